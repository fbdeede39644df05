"""Models that can answer, and where the folder of one comes from: the one place that knows.

A model is a folder with ``best.safetensors``, ``contract.json`` and, where it tells what it was
trained on, ``familiar.safetensors`` for its gate and ``known.safetensors``. Finished runs are such
folders, and so are models that were brought in (`jobs.imports`). Whoever predicts, scores or takes
away asks here. No torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidcore import storage
from covidcore.errors import DataError, RunError
from covidcore.jobs.folder import RunFolder, State
from covidcore.wording import interval, percent

if TYPE_CHECKING:
    from covidcore.jobs.store import RunStore

PARTS = ("best.safetensors", "contract.json", "familiar.safetensors", "known.safetensors")
"""Every file that a model may be made of; the last two may be missing."""


def model_folder(store: "RunStore", run: str) -> Path:
    """The folder with the model of ``run``, an id as ``RunStore.find`` gives it."""
    return store.path(run)


def whole_model(store: "RunStore", run: str) -> Path:
    """The same, where nothing of it is missing or changed.

    Raises: RunError where the run is not done, or any of its files is damaged.
    """
    state = store.info(run).state
    if state is not State.DONE:
        raise RunError(f"The run {run} is {state}: it has no model yet.")
    folder = RunFolder(store.path(run))
    if damaged := folder.damaged():
        cure = "import it again" if folder.is_imported() else "resume the run"
        raise RunError(f"Files of {run} are damaged or missing: {', '.join(damaged)}; {cure}.")
    return model_folder(store, run)


def check_tested(folder: RunFolder) -> None:
    """Raises: RunError for an imported model, which has no test images of its own."""
    if folder.is_imported():
        raise RunError(
            f"{folder.run} is an imported model: it has no test images, and so no figures, of its "
            f"own. {figures_in_words(folder)}Score it on labelled images: evaluate {folder.run} "
            "--on DATASET."
        )


def stated_figures(folder: RunFolder) -> dict[str, Any]:
    """The test figures that a model's contract states; empty where it states none that make sense.

    ``n``, ``accuracy``, ``accuracy_ci``, ``classes`` and ``confusion`` at least, as `evaluate` has
    them: the contract may be a stranger's.
    """
    try:
        found: dict[str, Any] = dict(storage.read_json(folder.contract)["figures"])
        rows: Any = found["confusion"]
        low, high = found["accuracy_ci"]
        count = sum(sum(row) for row in rows)
        sound = (
            {len(row) for row in rows} == {len(rows)} == {len(found["classes"])}
            and all(isinstance(value, int) and value >= 0 for row in rows for value in row)
            and 0 < count == found["n"] < 10**9
            and 0 <= low <= found["accuracy"] <= high <= 1
        )
    except (DataError, AttributeError, KeyError, TypeError, ValueError):
        return {}
    return found if sound else {}


def figures_in_words(folder: RunFolder) -> str:
    """A sentence on them, and a space; empty where there are none."""
    one = stated_figures(folder)
    if not one:
        return ""
    right = f"{percent(one['accuracy'])} ({interval(one['accuracy_ci'])})"
    return f"Its contract states that it was right on {right} of {one['n']:,} test images. "


def recipe_of(job: Mapping[str, Any], run: str) -> dict[str, Any]:
    """How a model was trained.

    Raises: RunError where it was imported and does not tell.
    """
    if job["recipe"] is None:
        raise RunError(f"How the model {run} was trained is not known: it was imported.")
    return dict(job["recipe"])
