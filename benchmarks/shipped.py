"""What the model card shows: ``python -m benchmarks.shipped RUN --adults SOURCE [--against RUN]``.

RUN was trained on a release joined with adults of the source SOURCE (a folder's name). Its test
images are told apart: those of the release, and adults, where a copy of an image of the release
is no adult. The run to compare it with was trained on the release alone, from the same weights; it
is asked about the same adults, which ``evaluate RUN --on`` has scored. Prints Markdown.
"""

import argparse
from pathlib import PurePath

import numpy as np
import pandas as pd

from covidcore.config import Settings
from covidcore.data.duplicates import near_duplicate_groups
from covidcore.data.index import load
from covidcore.jobs.outside import outside_predictions, outside_results
from covidcore.jobs.store import RunStore
from covidcore.proportions import wilson
from covidcore.show import share

HEALTHY, SICK = "NORMAL", "COVID-19"


def main() -> None:
    """Print the table of one run, or of two side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--adults", required=True)
    parser.add_argument("--against")
    asked = parser.parse_args()
    store = RunStore(Settings.from_environment())
    run = store.find(asked.run)
    mixed = marked(store, run, asked.adults)
    columns = {"with adults": figures(mixed)}
    if asked.against:
        other = store.find(asked.against)
        adults = {image(file, asked.adults) for file in mixed.loc[mixed["adult"], "file"]}
        columns["without"] = figures(alone(store, other, adults))
    print(f"| | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name in columns["with adults"]:
        print(f"| {name} | {' | '.join(column.get(name, '') for column in columns.values())} |")


def marked(store: RunStore, run: str, adults: str) -> pd.DataFrame:
    """The run's test predictions with ``adult``; without copies of the release's images."""
    table = store.predictions(run)
    table = table[table["split"] == "test"]
    index = load(store.job(run)["dataset"], store.settings.home).index
    groups = near_duplicate_groups(index)
    theirs = (index["source"] == adults).to_numpy()
    repeated = theirs & np.isin(groups, groups[~theirs])
    kept = table[~table["file"].isin(index["file"][repeated])]
    adult = kept["file"].isin(index["file"][theirs])
    return kept.assign(adult=adult)


def alone(store: RunStore, run: str, adults: set[str]) -> pd.DataFrame:
    """Test predictions of a run on the release, and what it says to the same adults elsewhere."""
    own = store.predictions(run)
    parts = [own[own["split"] == "test"].assign(adult=False)]
    for found in outside_results(store, run):
        table = outside_predictions(store, run, found["key"])
        known = table["file"].map(image).isin(adults)
        parts.append(table[known].assign(adult=True))
    return pd.concat(parts, ignore_index=True)


def image(file: str, folder: str = "") -> str:
    """The name of a file, without that of the folder which joining puts before it."""
    return PurePath(file).name.removeprefix(f"{folder}-")


def figures(table: pd.DataFrame) -> dict[str, str]:
    """What the table shows, by name."""
    right = table["predicted"] == table["label"]
    own, adult = ~table["adult"], table["adult"]
    found = {"the release's test images, right": _share(right[own])}
    for name in sorted(table["label"].unique()):
        found[f"- {name}"] = _share(right[own & (table["label"] == name)])
    healthy, sick = (adult & (table["label"] == name) for name in (HEALTHY, SICK))
    found["healthy adults, not called COVID-19"] = _share(table["predicted"][healthy] != SICK)
    found["healthy adults, right"] = _share(right[healthy])
    found["adults with COVID-19, right"] = _share(right[sick])
    for name in sorted(set(table["source"][own])):
        found[f"source {name}"] = _share(right[own & (table["source"] == name)])
    return found


def _share(hits: "pd.Series[bool]") -> str:
    count, of = int(hits.sum()), len(hits)
    return f"{share(count / max(of, 1), wilson(count, of))} ({count:,} of {of:,})"


if __name__ == "__main__":
    main()
