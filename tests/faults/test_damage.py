"""Each stored file, one at a time, removed, emptied, cut, of a flipped bit, of junk.

Whoever reads it says what was so before, nothing, or a sentence: never another number. With more
flipped bits, and all pages, ``python -m benchmarks.damage`` does the same.
"""

import io
import random
import re
from pathlib import Path

import pandas as pd
import pytest

from covidcore import sealed, storage
from tests.faults import damage, readers
from tests.faults.readers import READERS, Home
from tests.once import once
from tests.runs import SHORT, trained


@pytest.fixture(scope="module")
def whole(phantoms: Path) -> Home:
    """Not to be written to."""
    one = trained(phantoms, SHORT)
    made = once("home-to-damage", lambda to: readers.make(one.settings.home, to, phantoms))
    return Home.at(made / "home", phantoms)


@pytest.mark.campaign
@pytest.mark.timeout(1200)
def test_no_harmed_file_changes_a_number(whole: Home, tmp_path: Path) -> None:
    home = whole.copied(tmp_path / "home")
    chance = random.Random(8)
    faults = damage.harm_all(whole, home, damage.files(whole.path), chance, flips=1)
    assert not list(faults)


def test_a_home_from_before_there_were_check_sums_says_the_same(
    whole: Home, tmp_path: Path
) -> None:
    home, before = whole.copied(tmp_path / "home"), whole.copied(tmp_path / "before")
    said = {name: read(before) for name, read in READERS.items()}
    for name in damage.files(whole.path):
        damage.put(home.path / name, without_sums(name, (whole.path / name).read_bytes(), home))
    for folder in (home.path / "runs").glob("[!.]*"):
        status = storage.read_json(folder / "status.json")
        for name in status["artefacts"]:
            status["artefacts"][name] = storage.sha256_file(folder / name)
        sealed_status = sealed.json_bytes(status)
        damage.put(folder / "status.json", without_sums("status.json", sealed_status, home))
    assert not any(b'"checksum"' in path.read_bytes() for path in home.path.rglob("*.json"))
    # Features are computed again, and who is alike, when somebody asks; arrays by who reads them.
    assert said == {name: read(home) for name, read in READERS.items()} | {
        name: said[name] for name in ("features", "alike")
    }


def without_sums(name: str, data: bytes, home: Home) -> bytes:
    """A stored file as versions before this one wrote it."""
    if name.endswith((".json", "log.txt")):
        return re.sub(rb',\s*"checksum": "[0-9a-f]{8}"(?=\s*\})', b"", data)
    if name.endswith("history.csv"):
        return re.sub(rb",[^,\n]+\n", b"\n", data)
    if name.endswith(".parquet"):
        old = io.BytesIO()
        pd.read_parquet(io.BytesIO(data)).to_parquet(old, index=False)
        return old.getvalue()
    if name.endswith(".npy"):
        return data[: -sealed.size_of_sums(len(home.dataset.index))]
    return data
