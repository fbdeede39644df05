"""Every stored file of a home, harmed in every way, and what its readers then say.

Used by ``test_damage`` and by ``benchmarks/damage.py``. A reader may say what it said of the whole
file, that there is nothing, or raise one of covidcore's errors, which is a sentence: never another
value, and never another exception.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from covidcore.errors import CovidcoreError
from tests.faults.readers import READERS, Home, Reader, readers_of

_LARGE = 5_000_000
"""Bytes from which on a file is harmed in fewer ways, unless in every."""


def harms(
    file: str, data: bytes, chance: random.Random, flips: int, every: bool
) -> Iterator[tuple[str, bytes | None]]:
    """Names of harms, and what is left of the file; None: nothing."""
    yield "removed", None
    if data:
        yield "truncated", data[: len(data) // 2]
    if len(data) < _LARGE or every:
        yield "junk", chance.randbytes(max(64, min(len(data), 4096)))
        yield "emptied", b""
    if file.endswith(".json") or every:
        yield "other json", b"{}\n"
    if every:
        yield "a byte short", data[:-1]
        yield "a byte more", data + b"\n"
        yield "text", b"Lorem ipsum, dolor sit amet.\n" * 3
        yield "a list", b"[[1], 2]\n"
    for _ in range(flips if data else 0):
        at, bit = chance.randrange(len(data)), chance.randrange(8)
        yield f"bit {bit} of byte {at}", data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def put(path: Path, data: bytes | None) -> None:
    """In its place, never into it: the file may have other names."""
    path.unlink(missing_ok=True)
    if data is not None:
        path.write_bytes(data)


class Wrong(AssertionError):
    """A reader said what is not so, or fell over."""


def check(said: dict[str, Any], home: Home, readers: list[str]) -> dict[str, str]:
    """What each reader says of a harmed home: "same", "nothing" or a sentence. Raises: Wrong."""
    return {name: _outcome(name, READERS[name], said[name], home) for name in readers}


def _outcome(name: str, read: Reader, before: Any, home: Home) -> str:
    try:
        now = read(home)
    except CovidcoreError as error:
        if not str(error).strip().endswith((".", ")")) or "\n" in str(error):
            raise Wrong(f"{name}: this is no sentence: {error}") from error
        return str(error)
    except Exception as error:
        raise Wrong(f"{name}: {type(error).__name__}: {error}") from error
    if now == before:
        return "same"
    if not _is_less(now, before):
        raise Wrong(f"{name}: {_difference(now, before)}")
    return "nothing"


def _is_less(now: Any, before: Any) -> bool:
    """Whether ``now`` says nothing that ``before`` did not: parts of it may be missing."""
    if now == before or now in (None, [], {}, 0, "", "None"):
        return True
    if isinstance(now, dict) and isinstance(before, dict):
        return all(_is_less(value, before.get(key)) or key in _MAY_DIFFER for key, value in
                   now.items())  # fmt: skip
    if isinstance(now, list) and isinstance(before, list):
        if len(now) == len(before):
            return all(map(_is_less, now, before))
        return all(one in before for one in now)
    return False


_MAY_DIFFER = {"state", "message", "lost", "created", "name", "seconds"}
"""What becomes of a run whose files were harmed, and is told so."""


def _difference(now: Any, before: Any) -> str:
    if isinstance(now, dict) and isinstance(before, dict):
        keys = [key for key in now if not _is_less(now[key], before.get(key))]
        return "; ".join(f"{key}: {_difference(now[key], before.get(key))}" for key in keys)[:600]
    return f"{str(now)[:200]} instead of {str(before)[:200]}"


def files(home: Path) -> list[str]:
    """Every file of a home; locks, which are empty, among them."""
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())


def harm_all(
    whole: Home,
    home: Home,
    names: list[str],
    chance: random.Random,
    flips: int,
    every: bool = False,
) -> Iterator[str]:
    """Harm each file of ``home`` in each way, and put it back; what was wrong, in words.

    ``every``: ask all readers, also those that should have nothing to do with the file.
    """
    asked = {name for file in names for name in (READERS if every else readers_of(file))}
    said = {name: READERS[name](home) for name in asked}
    restore(whole.path, home.path)
    for name in names:
        path, data = home.path / name, (whole.path / name).read_bytes()
        for harm, left in harms(name, data, chance, flips, every):
            put(path, left)
            try:
                check(said, home, list(READERS) if every else readers_of(name))
            except Wrong as wrong:
                yield f"{name}, {harm}: {wrong}"
            restore(whole.path, home.path)


def restore(whole: Path, home: Path) -> None:
    """As it was: readers may have made anew what was harmed."""
    kept = set(files(whole))
    for name in set(files(home)) - kept:
        (home / name).unlink()
    for name in kept:
        ours, theirs = home / name, whole / name
        if not ours.exists() or not ours.samefile(theirs):
            ours.unlink(missing_ok=True)
            ours.hardlink_to(theirs)
