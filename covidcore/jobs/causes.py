"""Why a run ended without a result, in a sentence for a person, with what can be done about it."""

import errno
from collections.abc import Iterator, Sequence

from covidcore.errors import CovidcoreError
from covidcore.storage import DISK_FULL

RESUME = "resume the run: it goes on from its last checkpoint"
NO_MEMORY = (
    "The machine ran out of memory: close other programs and resume the run, or train with a "
    "smaller batch_size or image_size."
)
NO_ROOM = f"Make room on that disk, then {RESUME}."
_VANISHED = (
    "The worker ended without a word: it was killed, the machine ran out of memory, or it was "
    "switched off. The run can be resumed from its last checkpoint."
)
LOCK_GONE = "The file “lock” of this run was removed while its worker was at work, which ended it."
_CRASHES = {
    "Bus error": "a file that it was reading was cut short, or its disk failed",
    "Segmentation fault": "a fault in one of the libraries, or of the machine's memory",
    "Illegal instruction": "a library was built for another processor",
    "Aborted": "one of the libraries gave up; the log says more",
}

# torch, numpy, the C++ library and the loader each have words of their own.
_MEMORY = (
    *("not enough memory", "allocate memory", "out of memory", "bad_alloc", "memoryerror"),
    "failed to map segment",
)
_DISK = ("no space left on device", "disk quota exceeded")


def in_words(error: BaseException) -> str:
    """The sentence for what a worker's work ended with."""
    # A sentence of ours is all of it: a path may hold a line break. Of others the first line.
    text = str(error) if isinstance(error, CovidcoreError) else _first_line(str(error))
    chain = list(_chain(error))
    if any(_is_os_error(one, *DISK_FULL) or _says(one, _DISK) for one in chain):
        return f"{_sentence(text)} {NO_ROOM}"
    if any(
        isinstance(one, MemoryError) or _is_os_error(one, errno.ENOMEM) or _says(one, _MEMORY)
        for one in chain
    ):
        return NO_MEMORY
    if isinstance(error, CovidcoreError):
        return str(error)
    if isinstance(error, ImportError):
        return f"The installation is damaged ({text}): install requirements.txt anew, and resume."
    return f"Training failed ({type(error).__name__}: {text or 'no message'})."


def of_a_false_start(output: str) -> str:
    """The sentence for a worker that ended before it began, from what it printed."""
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "").strip()
    if last and any(sign in last.lower() for sign in _MEMORY):
        return NO_MEMORY
    if any(sign in last.lower() for sign in _DISK):
        return f"The worker could not be started, for its disk is full. {NO_ROOM}"
    said = f"Its last line: {last}" if last else "It said nothing."
    return f"The worker could not be started. {said}"


def of_a_vanished_worker(log: Sequence[str]) -> str:
    """The sentence for a worker that is gone and has written no end, from its log's last lines."""
    for line in reversed(log):
        if line.startswith('{"event": "start"'):
            break  # what is above is of an earlier attempt
        if any(sign in line.lower() for sign in _DISK):
            return f"The worker ended because its disk was full. {NO_ROOM}"
        if line == LOCK_GONE:
            return f"{line} The run can be resumed."
        if line.startswith("Fatal Python error: "):
            what = line.removeprefix("Fatal Python error: ").strip()
            why = _CRASHES.get(what, "the log says more")
            return f"The worker crashed ({what}): {why}. The run can be resumed."
    return _VANISHED


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and those it was raised from."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _is_os_error(error: BaseException, *numbers: int) -> bool:
    return isinstance(error, OSError) and error.errno in numbers


def _says(error: BaseException, signs: Sequence[str]) -> bool:
    text = str(error).lower()
    return any(sign in text for sign in signs)


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")[:300]


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}."
