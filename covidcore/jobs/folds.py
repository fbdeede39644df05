"""Repeated cross-validation of a run's head, and what leaks buy: asked for, and found again.

What is found is kept in the run's folder: ``folds/<folds>x<repeats>.json``.
"""

from typing import TYPE_CHECKING, Any

from covidcore.data.audit_leaks import known_from_training
from covidcore.data.split import group_ids
from covidcore.errors import DataError
from covidcore.evaluation.folds import FOLDS, REPEATS
from covidcore.evaluation.leakage import ledger
from covidcore.jobs.folder import RunFolder
from covidcore.jobs.models import check_tested
from covidcore.jobs.studies import Study

if TYPE_CHECKING:
    from covidcore.data.index import Dataset
    from covidcore.jobs.store import RunStore

VERSION = 1
"""Of what is measured; a change measures anew."""


def folds_study(store: "RunStore", run: str, folds: int = 5, repeats: int = 5) -> Study:
    """The study of ``run`` in so many folds, so many times.

    Raises: DataError for numbers out of bounds; RunError where there is no such run.
    """
    for name, value, (least, most) in (("folds", folds, FOLDS), ("repeats", repeats, REPEATS)):
        if not least <= value <= most:
            raise DataError(f"{name} is {value}; it must lie between {least} and {most}.")
    folder = RunFolder(store.path(run))
    check_tested(folder)
    return Study(
        folder,
        folder.folds / f"{folds}x{repeats}.json",
        {"version": VERSION},
        "covidcore.jobs.folds_process",
        str(store.settings.home),
        run,
        str(folds),
        str(repeats),
    )


def leak_ledger(store: "RunStore", run: str, dataset: "Dataset") -> list[dict[str, Any]]:
    """`evaluation.leakage.ledger` of the run's test images; ``dataset`` is the run's own.

    Raises: RunError where the run is not done or damaged, DataError where the dataset is another.
    """
    table = store.predictions(run)
    pictures = group_ids(dataset.index, "near_duplicates", dataset.near_pairs)
    known = known_from_training(dataset.index, store.split(run), pictures)
    return ledger(table[table["split"] == "test"], known)
