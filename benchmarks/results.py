"""The runs of a home as the Markdown tables of docs/results.md: ``python -m benchmarks.results``.

Reads ``COVIDCORE_HOME``. Figures are computed from the stored predictions, as pages do, since
runs of earlier versions stored other intervals. Prints one row a finished run.
"""

import statistics
import sys
from collections import defaultdict

from covidcore.config import Settings
from covidcore.errors import RunError
from covidcore.evaluation import predictions
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from covidcore.show import share


def main() -> None:
    """Print a row a run, by preset and seed, and the median accuracy of each preset."""
    store = RunStore(Settings.from_environment())
    by_preset: dict[str, list[tuple[int, str, float]]] = defaultdict(list)
    for info in store.list():
        if info.state is not State.DONE:
            continue
        try:
            kept, recipe = store.evaluation(info.run), store.recipe(info.run)
            figures = predictions.evaluate(
                store.predictions(info.run),
                kept["classes"],
                run=info.run,
                dataset=kept["dataset"],
                temperature=kept["temperature"],
            )
        except RunError as error:
            print(error, file=sys.stderr)
            continue
        recalls = " | ".join(
            share(values["recall"], values["recall_ci"]) for values in figures["per_class"].values()
        )
        row = (
            f"| `{info.preset}` | {recipe.seed} | {figures['n']} | "
            f"**{share(figures['accuracy'], figures['accuracy_ci'])}** | {recalls} | "
            f"{share(figures['balanced_accuracy'], figures['balanced_accuracy_ci'])} | "
            f"{figures['loss']:.3f} | {100 * figures['ece']:.1f} % | {info.seconds or 0:.0f} s |"
        )
        by_preset[info.preset].append((recipe.seed, row, figures["accuracy"]))
    for preset, rows in by_preset.items():
        for _, row, _ in sorted(rows):
            print(row)
        median = statistics.median(accuracy for _, _, accuracy in rows)
        print(f"{preset}: median accuracy of {len(rows)} seeds {share(median)}\n")


if __name__ == "__main__":
    main()
