"""How near the estimate comes: ``python -m benchmarks.estimate DATASET [preset | field=value]...``.

Estimates each preset from a probe, trains it, and says both; then estimates the same with another
seed from the finished run, and trains that. Use a COVIDCORE_HOME of its own, and a machine that
does nothing else: the crowding that is printed is 1.0 there.
"""

import sys
import threading

from covidcore.config import Settings
from covidcore.data.index import Dataset
from covidcore.data.sources import resolve
from covidcore.jobs.estimate import Forecaster, parts_in_words, start_probe, to_probe
from covidcore.jobs.folder import State
from covidcore.jobs.rates import RateFile, cost_key
from covidcore.jobs.store import RunStore
from covidcore.training.recipe import PRESETS, Recipe, preset


def main(spec: str, *words: str) -> None:
    """Print a line a run: what was estimated, what it took, and their ratio."""
    fields = dict(word.split("=", 1) for word in words if "=" in word)
    names = [word for word in words if "=" not in word] or list(PRESETS)
    store = RunStore(Settings.from_environment())
    dataset = resolve(spec, store.settings)
    recipes = [preset(name).with_overrides(fields) for name in names]
    probe = start_probe(store.settings, dataset, to_probe(store.settings, dataset, recipes))
    if probe:
        probe.wait()
    costs = RateFile(store.settings.home).costs()
    for recipe in recipes:
        print(f"{recipe.preset}: crowding {costs[cost_key(recipe)].crowding:.2f}")
        _compare(store, dataset, recipe)
        _compare(store, dataset, recipe.with_overrides({"seed": str(recipe.seed + 1)}))


def _compare(store: RunStore, dataset: Dataset, recipe: Recipe) -> None:
    finished = [store.path(info.run) for info in store.list() if info.state is State.DONE]
    found = Forecaster(store.settings, finished).estimate(recipe, dataset)
    assert found is not None
    run, pause = store.submit(recipe, dataset).run, threading.Event()
    while not store.info(run).state.ended:
        pause.wait(1)
    actual = store.info(run).seconds or 0.0
    print(
        f"  from a {found.origin}: {found.seconds:.1f} s ({found.low:.0f} to {found.high:.0f}), "
        f"took {actual:.1f} s, estimate/actual {found.seconds / actual:.2f}; "
        f"{parts_in_words(found.parts)}"
    )


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
