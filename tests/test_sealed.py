"""A file that is not as it was written is known by its own check sum: every bit of it counts."""

import functools
import io
import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidcore import sealed, storage
from covidcore.errors import DataError
from covidcore.jobs import history
from covidcore.training.stored import is_as_written, is_whole

DOCUMENT = {"name": "Ünïcode “x”", "numbers": [0.1, 2, None], "inner": {"checksum": "no"}, "e": {}}
TABLE = pd.DataFrame(
    {"file": ["a/b.png", "c.png"], "width": [7, 8], "p:a": [0.25, 0.5], "raw": [b"x", b"y"]}
)


def flips(data: bytes) -> list[bytes]:
    """Each byte with one bit of it changed."""
    return [data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :] for at in range(len(data))]


def test_a_document_comes_back_without_its_check_sum(tmp_path: Path) -> None:
    storage.write_json(tmp_path / "x.json", DOCUMENT)
    assert storage.read_json(tmp_path / "x.json") == DOCUMENT
    text = (tmp_path / "x.json").read_text("utf-8")
    assert list(json.loads(text)) == [*DOCUMENT, "checksum"]
    storage.write_json(tmp_path / "x.json", storage.read_json(tmp_path / "x.json"))
    assert (tmp_path / "x.json").read_text("utf-8") == text


def test_names_that_are_no_utf8_come_back() -> None:
    document = {"file": b"caf\xe9.png".decode("utf-8", "surrogateescape")}
    assert sealed.parse(sealed.json_bytes(document)) == document


def test_no_flipped_bit_of_a_document_changes_what_is_read() -> None:
    noticed = 0
    for data in flips(sealed.json_bytes(DOCUMENT)):
        try:
            found = sealed.parse(data)
        except ValueError:
            noticed += 1
        else:  # of the check sum's own name, or of white space
            assert {key: found.get(key) for key in DOCUMENT} == DOCUMENT
            assert len(set(found) - set(DOCUMENT)) <= 1
    assert noticed > 0.9 * len(sealed.json_bytes(DOCUMENT))


@pytest.mark.parametrize("text", ['{"a": 1}', '{"a": 1}\n', "[1]", "3", "{}"])
def test_what_others_wrote_is_taken_at_its_word(text: str) -> None:
    assert sealed.parse(text.encode()) == json.loads(text)


def test_a_check_sum_counts_wherever_it_stands() -> None:
    """Whoever edits a file has to take it out."""
    document = json.loads(sealed.json_bytes({"a": 1}))
    for text in (json.dumps(document), json.dumps({"checksum": "00000000", "a": 1}, indent=1)):
        with pytest.raises(ValueError, match="not as it was written"):
            sealed.parse(text.encode())


def test_no_flipped_bit_of_a_table_changes_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    storage.write_table(path, TABLE)
    data, noticed = path.read_bytes(), 0
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(data)), TABLE)  # as anybody reads it
    for other in random.Random(5).sample(flips(data), 300):
        path.write_bytes(other)
        try:
            pd.testing.assert_frame_equal(storage.read_table(path), TABLE)
        except DataError:
            noticed += 1
    assert noticed > 280  # but for the sixteen bytes that mark the check sum
    path.write_bytes(data)
    assert list(storage.read_columns(path, ["width"])["width"]) == [7, 8]


@pytest.mark.parametrize("keep", [0, 3, 7, 8, 100, -1])
def test_a_table_that_was_cut_is_a_sentence(keep: int, tmp_path: Path) -> None:
    storage.write_table(tmp_path / "x", TABLE)
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:keep])
    with pytest.raises(DataError, match="it is damaged or not parquet"):
        storage.read_table(tmp_path / "x")


def test_a_table_of_before_is_read(tmp_path: Path) -> None:
    TABLE.to_parquet(tmp_path / "x", index=False)
    pd.testing.assert_frame_equal(storage.read_table(tmp_path / "x"), TABLE)


def array_file(path: Path) -> bytes:
    """Of three rows, as activations are stored."""
    head = io.BytesIO()
    about = {"descr": "<f2", "fortran_order": False, "shape": (3, 5)}
    np.lib.format.write_array_header_1_0(head, about)
    sums, rows = sealed.Sums(head.getvalue()), np.arange(15, dtype="<f2").reshape(3, 5)
    for row in rows:
        sums.add(row.tobytes())
    path.write_bytes(head.getvalue() + rows.tobytes() + bytes(sums))
    np.testing.assert_array_equal(np.load(path), rows)
    return path.read_bytes()


def test_every_flipped_bit_and_every_length_of_an_array_is_noticed(tmp_path: Path) -> None:
    data = array_file(tmp_path / "0")
    assert is_whole(tmp_path / "0") and is_as_written(tmp_path / "0")
    others = flips(data) + [data[:end] for end in range(len(data))] + [data + b"x"]
    for number, other in enumerate(others, start=1):
        path = tmp_path / str(number)
        path.write_bytes(other)
        assert not is_as_written(path), number
    assert not is_as_written(tmp_path / "none")


def test_no_flipped_bit_of_a_history_changes_a_number(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    rows = [(1, 0.5, 0.25, 0.75, 0.5, 1e-3), (2, 0.4, 0.3, 0.7, float("nan"), 5e-4)]
    table = pd.DataFrame(rows, columns=list(history.COLUMNS))
    history.write(path, table)
    pd.testing.assert_frame_equal(history.read(path), table)
    assert history.count(path) == 2
    data = path.read_bytes()
    for other in flips(data):
        path.write_bytes(other)
        found = history.read(path)
        assert set(found["epoch"]) <= {1, 2} and history.count(path) <= 2
        for _, row in found.iterrows():
            kept = table.loc[int(row["epoch"]) - 1, list(found.columns)]
            np.testing.assert_array_equal(row.to_numpy(), kept.to_numpy(dtype=float))
    path.write_text("epoch,train_loss\n1,0.5\n")  # of an earlier version
    assert history.read(path).to_dict("list") == {"epoch": [1], "train_loss": [0.5]}
    for text in ("", "junk", "epoch", "\0\0\0", "epoch,check\n"):
        path.write_text(text)
        assert len(history.read(path)) == history.count(path) == 0


def test_the_columns_are_those_of_an_epoch() -> None:
    import dataclasses

    from covidcore.training.loop import EpochResult

    assert tuple(field.name for field in dataclasses.fields(EpochResult)) == history.COLUMNS


def test_what_was_just_written_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, row = tmp_path / "a.npy", b"x" * 8
    sums = sealed.Sums(b"head")
    sums.add(row)
    path.write_bytes(b"head" + row + bytes(sums))
    read: list[Path] = []
    look = sealed._as_written

    @functools.wraps(look)
    def counted(path: Path, *more: int) -> bool:
        read.append(path)
        return look(path, *more)

    monkeypatch.setattr(sealed, "_as_written", counted)
    sealed.trust(path, 4, 1, 8)
    assert sealed.is_whole(path, 4, 1, 8)
    assert read == []
    storage.write_bytes(path, b"head" + b"y" * 8 + bytes(sums))  # another file in its place
    assert not sealed.is_whole(path, 4, 1, 8)
