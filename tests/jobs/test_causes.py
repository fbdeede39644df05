"""The sentence for each way in which a worker ends without a result."""

import errno

import pytest

from covidcore.errors import CovidcoreError, DataError, RunError
from covidcore.jobs.causes import (
    LOCK_GONE,
    NO_MEMORY,
    NO_ROOM,
    in_words,
    of_a_false_start,
    of_a_vanished_worker,
)

START = '{"event": "start", "time": "2026-01-01"}'


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 411041792 bytes. Error code 12 (Cannot allocate memory)"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 411041792"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("std::bad_alloc"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: cannot allocate memory in static TLS block"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
    ids=lambda error: f"{type(error).__name__}: {error}"[:40],
)
def test_out_of_memory(error: Exception) -> None:
    assert in_words(error) == NO_MEMORY


def raised_from(error: CovidcoreError, cause: Exception) -> CovidcoreError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "begin"),
    [
        (
            raised_from(DataError("/h/x could not be written: full."), OSError(errno.ENOSPC, "x")),
            "/h/x could not be written: full.",
        ),
        (
            raised_from(DataError("/h/x could not be written: q."), OSError(errno.EDQUOT, "x")),
            "/h/x could not be written: q.",
        ),
        (
            RuntimeError("write failed: No space left on device (os error 28)"),
            "write failed: No space left on device (os error 28).",
        ),
        (OSError(errno.ENOSPC, "No space left", "/h/x"), "[Errno 28] No space left: '/h/x'."),
    ],
)
def test_a_full_disk(error: Exception, begin: str) -> None:
    assert in_words(error) == f"{begin} {NO_ROOM}"


def test_our_own_errors_are_sentences_already() -> None:
    assert in_words(RunError("The run is gone.")) == "The run is gone."
    denied = raised_from(DataError("/h is closed."), PermissionError(errno.EACCES, "denied"))
    assert in_words(denied) == "/h is closed."


def test_what_nobody_foresaw() -> None:
    assert in_words(LookupError("nobody knows\nat all")) == (
        "Training failed (LookupError: nobody knows)."
    )
    assert in_words(ValueError()) == "Training failed (ValueError: no message)."
    assert in_words(ModuleNotFoundError("No module named 'x'")) == (
        "The installation is damaged (No module named 'x'): install requirements.txt anew, and "
        "resume."
    )


def test_a_false_start() -> None:
    assert of_a_false_start("Traceback\nImportError: a broken installation\n\n") == (
        "The worker could not be started. Its last line: ImportError: a broken installation"
    )
    assert of_a_false_start(" \n") == "The worker could not be started. It said nothing."
    assert of_a_false_start("Traceback\nMemoryError\n") == NO_MEMORY
    assert of_a_false_start("DataError: x could not be written: No space left on device.") == (
        f"The worker could not be started, for its disk is full. {NO_ROOM}"
    )


def test_a_vanished_worker() -> None:
    said_nothing = of_a_vanished_worker([START, '{"event": "progress"}'])
    assert said_nothing == of_a_vanished_worker([])
    assert "ended without a word" in said_nothing
    bus = "Fatal Python error: Bus error"
    assert of_a_vanished_worker([START, bus, "Thread 0x1"]).startswith(
        "The worker crashed (Bus error): a file that it was reading was cut short"
    )
    assert of_a_vanished_worker([START, "Fatal Python error: none_dealloc"]).startswith(
        "The worker crashed (none_dealloc): the log says more."
    )
    assert of_a_vanished_worker([START, bus, START]) == said_nothing  # of an earlier attempt
    assert of_a_vanished_worker([START, LOCK_GONE]) == f"{LOCK_GONE} The run can be resumed."
    full = "covidcore.errors.DataError: /h/status.json could not be written: No space left on "
    assert of_a_vanished_worker([START, full + "device."]) == (
        f"The worker ended because its disk was full. {NO_ROOM}"
    )
