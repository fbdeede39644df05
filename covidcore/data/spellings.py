"""Class names that look like two spellings of one class, and the way to join them.

A copied folder in another language, case or release gives a classifier two outputs for one finding,
and figures that punish it for choosing the wrong spelling.
"""

import shlex
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from covidcore.config import Settings
from covidcore.data.facts import Progress
from covidcore.data.index import Dataset
from covidcore.data.sources import import_datasets
from covidcore.errors import DataError

_COVID = {"covid", "covid19", "covid2019", "sarscov2", "2019ncov", "ncov19", "coronavirus"}


@dataclass(frozen=True)
class Spelling:
    """One class under several names; ``names`` begins with the one that most images have."""

    names: tuple[str, ...]
    images: tuple[int, ...]


def find_spellings(counts: Mapping[str, int]) -> list[Spelling]:
    """Classes (name -> images) of which several are alike but for case, signs or plural.

    COVID, COVID-19 and SARS-CoV-2 count as alike too.
    """
    alike: dict[str, list[str]] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        alike.setdefault(_key(name) or name, []).append(name)
    return [
        Spelling(tuple(names), tuple(counts[name] for name in names))
        for names in alike.values()
        if len(names) > 1
    ]


def _key(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name).casefold()
    key = "".join(sign for sign in plain if sign.isalnum())
    if key in _COVID:
        return "covid"
    plural = len(key) > 4 and key.endswith("s") and not key.endswith(("ss", "is", "us"))
    return key[:-1] if plural else key


def mending(dataset: Dataset) -> dict[str, str]:
    """The mapping of all classes that joins what is alike; empty where nothing is."""
    counts = dataset.index["label"].value_counts()
    found = find_spellings({name: int(counts[name]) for name in dataset.classes})
    joined = {name: spelling.names[0] for spelling in found for name in spelling.names}
    return {name: joined.get(name, name) for name in dataset.classes} if found else {}


def mending_command(dataset: Dataset) -> str:
    """What to type to join them; every class is named, as others would be left out."""
    pairs = [f"--map {shlex.quote(f'{a}={b}')}" for a, b in mending(dataset).items()]
    return " ".join(["python -m covidcore import", dataset.fingerprint[:12], *pairs])


def mend(dataset: Dataset, settings: Settings, progress: Progress | None = None) -> Dataset:
    """Make the joined dataset below the home, of links, and index it; the other stays as it is.

    Raises: DataError in a demo, where nothing is to be joined, and where the disk refuses.
    """
    settings.refuse_in_demo()
    mapping = mending(dataset)
    if not mapping:
        raise DataError(f"No two classes of {dataset.name} look like spellings of one.")
    return import_datasets([dataset.fingerprint], settings, mapping, progress=progress)
