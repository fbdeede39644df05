"""Files that are never half there, and values that JSON knows."""

import errno
import hashlib
import json
import math
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidcore import storage
from covidcore.errors import DataError
from tests.conftest import ROOT, run_obedient


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_place_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep/down/file"
    with storage.replacing(path) as file:
        file.write(b"first")
        assert not path.exists()
    with storage.replacing(path) as file:
        file.write(b"second")
        file.flush()
        assert path.read_bytes() == b"first"
    assert path.read_bytes() == b"second"
    assert names(path.parent) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_error_leaves_the_old_file_and_nothing_else(
    error: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(error), storage.replacing(path) as file:
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


KILLED = """
import os, signal, sys
from pathlib import Path
from covidcore import storage
with storage.replacing(Path(sys.argv[1])) as file:
    file.write(b"new" * 100_000)
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, path], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert [name for name in names(tmp_path) if not name.startswith(".")] == ["file"]
    storage.write_bytes(path, b"newer")
    assert path.read_bytes() == b"newer"


def test_a_reader_keeps_what_it_opened(tmp_path: Path) -> None:
    path = tmp_path / "file"
    storage.write_bytes(path, b"old")
    with path.open("rb") as reader:
        storage.write_bytes(path, b"new")
        assert reader.read() == b"old"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_who_may_read_follows_the_umask(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        storage.write_bytes(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_long_names(tmp_path: Path) -> None:
    for name in ("x" * 255, "肺" * 85):
        storage.write_bytes(tmp_path / name, b"1")
    assert len(names(tmp_path)) == 2


def test_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder/inner").mkdir(parents=True)
    with pytest.raises(DataError, match=r"file can not be written to: (File exists|Not a dir)"):
        storage.write_bytes(tmp_path / "file/x", b"")
    with pytest.raises(DataError, match="folder could not be written: Is a directory"):
        storage.write_bytes(tmp_path / "folder", b"")
    with pytest.raises(DataError, match="could not be written: File name too long"):
        storage.write_bytes(tmp_path / ("x" * 256), b"")
    assert names(tmp_path) == ["file", "folder"]


CLOSED = """
import sys
from pathlib import Path
from covidcore import storage
from covidcore.errors import DataError
for act in (lambda: storage.write_json(Path(sys.argv[1]) / "x", 1),
            lambda: storage.read_json(Path(sys.argv[2])),
            lambda: storage.read_table(Path(sys.argv[2]))):
    try:
        act()
    except DataError as error:
        print(error)
"""


def test_what_may_not_be_read_or_written(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.write_text("1")
    folder.chmod(0o555)
    file.chmod(0o000)
    said = run_obedient([sys.executable, "-c", CLOSED, str(folder), str(file)]).splitlines()
    assert said[0] == f"{folder} can not be written to: Permission denied."
    assert said[1].startswith(f"{file} can not be read")
    assert said[2].startswith(f"{file} can not be read")


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    """By a limit on the size of files, which is refused alike."""
    import resource

    path = tmp_path / "file"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(DataError, match="file could not be written: File too large"):
            storage.write_bytes(path, bytes(5000))
        with pytest.raises(DataError, match="too large"), storage.replacing(path) as file:
            storage.reserve(file, tmp_path, 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_space_is_reserved_behind_what_was_written(tmp_path: Path) -> None:
    with storage.replacing(tmp_path / "file") as file:
        file.write(b"head")
        storage.reserve(file, tmp_path, 6)
        file.write(b"morning")
    assert (tmp_path / "file").read_bytes() == b"headmorning"
    with storage.replacing(tmp_path / "file") as file:
        file.write(b"head")
        storage.reserve(file, tmp_path, 6)
    assert (tmp_path / "file").read_bytes() == b"head" + bytes(6)


def test_the_first_error_of_a_full_disk_counts(tmp_path: Path) -> None:
    """A file that can not be closed either must not hide why it could not be written."""
    with (
        pytest.raises(DataError, match="file could not be written: no room for 5 MB"),
        storage.replacing(tmp_path / "file") as file,
    ):
        file.write(b"held back")
        os.close(file.fileno())
        raise OSError(errno.ENOSPC, "no room for 5 MB")


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    for name in (".pixels-[1].npy-0a1b", ".pixels-[1].npy-ffff", ".pixels-1.npy-0a1b", ".other-1"):
        (tmp_path / name).touch()
    storage.sweep(tmp_path / "pixels-[1].npy")
    assert names(tmp_path) == [".other-1", ".pixels-1.npy-0a1b"]


def test_json(tmp_path: Path) -> None:
    value = {
        "nan": math.nan,
        "infinities": [math.inf, -math.inf],
        "numpy": [np.float32("nan"), np.int64(3), np.bool_(True), np.array([[1.5, np.nan]])],
        "path": Path("a/b"),
        "tuple": (1, "zwei", None),
        3: "three",
        "text": "肺 “x”\n",
    }
    path = tmp_path / "x.json"
    storage.write_json(path, value)
    assert storage.read_json(path) == {
        "nan": None,
        "infinities": [None, None],
        "numpy": [None, 3, True, [[1.5, None]]],
        "path": "a/b",
        "tuple": [1, "zwei", None],
        "3": "three",
        "text": "肺 “x”\n",
    }
    text = path.read_text(encoding="utf-8")
    assert "NaN" not in text and "Infinity" not in text
    assert "肺 “x”" in text  # for people, too
    assert text.endswith("}\n")


def test_names_that_are_not_utf8_come_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"r\xf6ntgen")
    storage.write_json(tmp_path / "x.json", {name: name})
    assert storage.read_json(tmp_path / "x.json") == {name: name}
    json.loads((tmp_path / "x.json").read_text(encoding="utf-8", errors="strict"))
    storage.write_text(tmp_path / "x.txt", name)
    assert (tmp_path / "x.txt").read_text() == "r\\udcf6ntgen"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"{'a': 1}", b"[" * 100_000])
def test_json_that_is_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.json can not be read: it is damaged or not JSON"):
        storage.read_json(path)


def test_what_is_not_there(tmp_path: Path) -> None:
    for read in (storage.read_json, storage.read_table):
        with pytest.raises(DataError, match="nothing is not there"):
            read(tmp_path / "nothing")
    with pytest.raises(DataError, match="can not be read"):
        storage.read_json(tmp_path)


def test_tables(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"file": ["a/1.png", '"x", \n肺'], "n": [1, 2], "p": [0.5, np.nan], "raw": [b"\0", b"\xff"]}
    )
    storage.write_table(tmp_path / "x.parquet", table)
    pd.testing.assert_frame_equal(storage.read_table(tmp_path / "x.parquet"), table)
    storage.write_csv(tmp_path / "x.csv", table[["file", "n", "p"]])
    assert (tmp_path / "x.csv").read_text() == 'file,n,p\na/1.png,1,0.5\n"""x"", \n肺",2,\n'


def test_damaged_tables_are_never_believed(tmp_path: Path) -> None:
    """A bit that is flipped is found, or was of no consequence."""
    table = pd.DataFrame({"file": [f"a/{n}.png" for n in range(50)], "n": range(50)})
    path = tmp_path / "x.parquet"
    storage.write_table(path, table)
    data, refused = path.read_bytes(), 0
    pages = data[: data.rindex(b"ARROW:schema")]
    for at in range(4, len(pages) // 2, 5):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        try:
            pd.testing.assert_frame_equal(storage.read_table(path), table)
        except DataError as error:
            assert "damaged or not parquet" in str(error)
            refused += 1
    assert refused > 50
    for content in (b"", data[:-1], data[:100], b"PAR1" * 100):
        path.write_bytes(content)
        with pytest.raises(DataError, match="damaged or not parquet"):
            storage.read_table(path)


def test_one_spelling_for_one_value() -> None:
    one = storage.canonical_json({"b": (1, 2.5), "a": Path("x"), "c": math.nan, "d": "ü"})
    other = storage.canonical_json({"d": "ü", "c": None, "a": "x", "b": [np.int64(1), 2.5]})
    assert one == other == b'{"a":"x","b":[1,2.5],"c":null,"d":"\\u00fc"}'


def test_hashes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(data)
    expected = hashlib.sha256(data).hexdigest()
    assert storage.sha256_file(tmp_path / "file") == storage.sha256_bytes(data) == expected
