"""Bytes changed at random: what a fuzzer does that knows nothing of the code it tries."""

import random
from collections.abc import Callable, Sequence

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_WORDS = (
    *("null", "true", "[]", "{}", "-1", "0", "1e999", "NaN", "-Infinity", '""', "1" * 30),
    *('"\\ud800"', '"\\u202e"', '"../../x"', '"<b>"', "[[[[]]]]", "9" * 5000, '"=cmd()"', "\uff10"),
)
_LARGEST = 1 << 18


def mutated(seeds: Sequence[bytes], chance: random.Random, kind: str) -> bytes:
    """One of the seeds with one to six changes."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 6)):
        chance.choice(_TEXT if kind == "text" else _BINARY)(data, chance, seeds)
    return bytes(data[:_LARGEST])


def _flip(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _byte(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.randrange(256)


def _number(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    size = chance.choice((1, 2, 4))
    value = chance.choice(_NUMBERS) & ((1 << 8 * size) - 1)
    at = chance.randrange(len(data) + 1)
    data[at : at + size] = value.to_bytes(size, chance.choice(("little", "big")))


def _cut(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    del data[at : at + chance.randint(1, 64)]


def _end(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _again(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    part = bytes(data[at : at + chance.randint(1, 256)])
    data[at:at] = part * chance.choice((1, 2, 20))


def _splice(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    other = chance.choice(seeds)
    at, start = chance.randrange(len(data) + 1), chance.randrange(len(other) + 1)
    data[at:] = other[start : start + 4096]


def _word(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    """Another value in place of one, between a colon, comma or equals sign and what ends it."""
    starts = [at for at, byte in enumerate(data) if byte in b":,=["]
    if starts:
        at = chance.choice(starts) + 1
        end = at
        while end < len(data) and data[end] not in b",]}\n":
            end += 1
        data[at:end] = chance.choice(_WORDS).encode()


_Change = Callable[[bytearray, random.Random, Sequence[bytes]], None]
_BINARY: tuple[_Change, ...] = (_flip, _byte, _number, _number, _cut, _end, _again, _splice)
_TEXT: tuple[_Change, ...] = (_word, _word, _word, _byte, _cut, _again, _splice)
