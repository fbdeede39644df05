"""Less of what torch brings along and nothing here uses: its compiler, and what is for GPUs.

Also how a process deals with freed memory: gives it back, or keeps it and is faster. Measured by
``benchmarks/demo_memory.py`` and ``benchmarks/speed.py``; figures in ``docs/performance.md``.
"""

import ctypes
import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_loader
from types import ModuleType
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # glibc's malloc.h
_ARENAS = 2
_COMPILER = "torch._dynamo"
_ITS_PARTS = (_COMPILER, f"{_COMPILER}.utils")


class _Later(ModuleType):
    """Stands for a module until something of it is asked for that is not there."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_the_compiler(self.__name__), name)


class _Parts(MetaPathFinder, Loader):
    """Who imports a module of the compiler gets the one that the compiler itself brings along."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        stands_in = isinstance(sys.modules.get(_COMPILER), _Later)
        if not (stands_in and name.startswith(f"{_COMPILER}.")):
            return None
        _the_compiler(_COMPILER)
        return spec_from_loader(name, self) if name in sys.modules else find_spec(name)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """It was executed when the compiler was imported."""


def _the_compiler(part: str) -> ModuleType:
    """Put the compiler in the place of its stand-ins; returns one of its modules."""
    for name in _ITS_PARTS:
        if isinstance(sys.modules.get(name), _Later):
            del sys.modules[name]
    vars(sys.modules["torch"]).pop("_dynamo", None)
    importlib.import_module(_COMPILER)
    return importlib.import_module(part)


def leave_out_compiler() -> None:
    """Call before torchvision is first imported: torch's compiler then waits until it is needed.

    torchvision asks it whether one operation of its detection networks can be compiled, and
    optimisers mark their steps as not to be compiled: for these answers 1,400 modules are imported,
    in each process, in a second and 140 MB. Here they are given by a stand-in, which gives way to
    the compiler itself as soon as anything else is asked for, such as by ``torch.compile``. Does
    nothing where the compiler is there already.
    """
    if _COMPILER in sys.modules:
        return
    compiler, utils = (_Later(name) for name in _ITS_PARTS)
    vars(compiler).update(
        __path__=[],
        utils=utils,
        disable=lambda function=None, *_, **__: function,
        graph_break=lambda *_, **__: None,
    )
    vars(utils).update(is_compile_supported=lambda device: False)
    sys.modules.update(zip(_ITS_PARTS, (compiler, utils), strict=True))
    sys.meta_path.insert(0, _Parts())


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


def keep_memory() -> None:
    """Call in a process that computes until its work is done, and then ends.

    glibc hands large blocks back to the system when they are freed, and the next batch asks for
    as many, which the kernel fills with zeros page by page: up to a sixth of the time of training.
    So freed memory stays with the process. Does nothing where there is no glibc.
    """
    library = _glibc()
    if library is not None:
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, -1)


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
