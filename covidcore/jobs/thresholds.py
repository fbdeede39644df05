"""The operating point that somebody saved with a run. Not part of its result: it may change."""

from covidcore import storage
from covidcore.errors import DataError, RunError
from covidcore.evaluation.operating import OperatingPoint
from covidcore.jobs.folder import RunFolder


def load(folder: RunFolder) -> OperatingPoint | None:
    """What was saved, or None.

    Raises: RunError where it is damaged, or of other classes: to go on without it would be to
    answer by a rule that nobody chose.
    """
    if not folder.operating.exists():
        return None
    try:
        classes = folder.read_job()["classes"]
        return OperatingPoint.from_json(storage.read_json(folder.operating), classes)
    except DataError as error:
        raise RunError(
            f"The operating point of run {folder.run} can not be used: {error} Save it again, or "
            f"clear it: operate {folder.run} --clear."
        ) from error


def save(folder: RunFolder, point: OperatingPoint | None) -> None:
    """Replace it, whole or not at all; None removes it.

    Raises: DataError where it names other classes than the run's, or the disk refuses.
    """
    if point is None:
        folder.operating.unlink(missing_ok=True)
        return
    point.limits(folder.read_job()["classes"])
    storage.write_json(folder.operating, point.to_json())
