"""Less memory for a server that only answers: what torch brings along for GPUs stays out.

Measured by ``benchmarks/demo_memory.py``; figures in ``docs/performance.md``.
"""

import ctypes
import sys

_M_ARENA_MAX = -8  # glibc's malloc.h
_ARENAS = 2


def spare_memory() -> None:
    """Call before torch is first imported, in a process that computes on the CPU only.

    Triton compiles for GPUs; torchvision loads it with torch's compiler, which nothing here uses.
    Streamlit runs each session on threads of its own, and glibc gives every thread a heap that it
    seldom shrinks: two are shared instead. Does nothing where there is no glibc.
    """
    if "triton" not in sys.modules:
        sys.modules["triton"] = None  # type: ignore[assignment]  # as if it were not installed
    library = _glibc()
    if library is not None:
        library.mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Return free memory to the system; does nothing where there is no glibc."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None  # musl has none
