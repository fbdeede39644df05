"""The errors that covidcore raises on purpose; each message is a sentence fit to show a user."""


class CovidcoreError(Exception):
    """Something could not be done; the message says what, and how to mend it."""


class DataError(CovidcoreError):
    """A dataset, or a part of it, can not be used as asked."""


class ArchiveError(DataError):
    """An archive is damaged, refused, or holds no dataset: it will not do better another time."""


class DecodeError(DataError):
    """One file is not an image that may be read; ``code`` is a refusal code of the contract."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RecipeError(CovidcoreError):
    """A training recipe holds a value or a combination that can not be trained."""


class WeightsError(CovidcoreError):
    """Pre-trained weights can not be found, fetched or read."""


class CheckpointError(CovidcoreError):
    """A stored model is damaged or is not one of ours."""


class RunError(CovidcoreError):
    """There is no such run, or it is not in a state that allows what was asked."""


class Busy(CovidcoreError):
    """A public server has too much to do for this now; the message says when to try again."""


class Stopped(CovidcoreError):
    """Long work ended early because the caller asked it to."""
