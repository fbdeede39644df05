"""Zip archives as datasets: what is unpacked, what is refused, and what a kill leaves."""

import io
import os
import random
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from covidcore.data import archive_plan, archives, decode
from covidcore.data.archives import unpack
from covidcore.data.index import scan
from covidcore.data.layout import LEFT_OUT, list_files
from covidcore.errors import ArchiveError, DataError, Stopped
from tests.conftest import ROOT, MakeDataset
from tests.data.zips import Part, archive, honest, image, zip_folder

PNG = image(0)


def tree(folder: Path) -> dict[str, bytes]:
    """What a dataset folder holds, but for the note on what was left out of it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != LEFT_OUT
    }


def there(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def made(tmp_path: Path, *parts: Part, name: str = "set.zip") -> Path:
    path = tmp_path / name
    path.write_bytes(archive(*parts))
    return path


@pytest.mark.parametrize("prefix", ["", "COVID-19 Radiography/", "a/b/"])
@pytest.mark.parametrize(
    ("classes", "inner", "pattern", "layout"),
    [
        (("COVID-19", "NORMAL", "Viral Pneumonia"), "", "{label} ({number}).png", "v1"),
        (("COVID", "NORMAL", "Viral Pneumonia"), "", "{label} ({number}).png", "v3"),
        (("COVID", "Normal"), "images", "{label}-{number}.png", "v5"),
        (("肺炎", "gesund é"), "", "{label}{number}.png", "flat"),
    ],
)
def test_the_published_layouts_survive(
    make_dataset: MakeDataset,
    tmp_path: Path,
    home: Path,
    prefix: str,
    classes: tuple[str, ...],
    inner: str,
    pattern: str,
    layout: str,
) -> None:
    folder = make_dataset(
        dict.fromkeys(classes, 2), inner=inner, pattern=pattern, masks=layout == "v5"
    )
    first = sorted(folder.rglob("*.png"))[0].relative_to(folder).as_posix()
    (folder / "metadata.csv").write_text(f"file,source,patient_id\n{first},SIRM,7\n")
    expected = scan(folder, home)
    dataset = scan(unpack(zip_folder(folder, tmp_path / "x.zip", prefix), home / "imports"), home)
    assert dataset.fingerprint == expected.fingerprint
    assert (dataset.layout, dataset.classes) == (layout, expected.classes)
    assert dataset.index.equals(expected.index)
    assert dataset.ignored == expected.ignored


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shape", ["plain", "zip64", "streamed", "comment"])
def test_archives_of_another_packer(
    tmp_path: Path, phantoms: Path, method: int, shape: str
) -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

    target = Stream() if shape == "streamed" else io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as packer:
        packer.comment = b"PK\5\6 is no end" if shape == "comment" else b""
        for path in sorted(phantoms.rglob("*")):
            name = path.relative_to(phantoms).as_posix()
            if path.is_dir():
                packer.mkdir(name)
                continue
            with packer.open(name, "w", force_zip64=shape == "zip64") as file:
                file.write(path.read_bytes())
    (tmp_path / "set.zip").write_bytes(target.getvalue())
    folder = unpack(tmp_path / "set.zip", tmp_path / "imports")
    assert tree(folder) == tree(phantoms)
    assert list_files(folder).masks == list_files(phantoms).masks != {}


def test_an_archive_that_ends_like_a_large_one(tmp_path: Path) -> None:
    """Above 4 GiB or 65,535 entries the end sends its reader to a longer one."""
    path = tmp_path / "set.zip"
    path.write_bytes(archive(*honest(), long_end=True))
    with zipfile.ZipFile(path) as reader:
        assert reader.testzip() is None
    folder = unpack(path, tmp_path / "imports")
    assert tree(folder) == {part.raw.decode(): part.data for part in honest()}


def test_the_same_archive_is_the_same_folder_at_once(tmp_path: Path) -> None:
    calls: list[int] = []
    one = made(tmp_path, *honest())
    folder = unpack(one, tmp_path / "imports", moving=lambda *_: calls.append(1))
    assert calls
    assert folder.name.startswith("set-")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    other = Path(shutil.copy(one, tmp_path / "renamed.zip"))
    calls.clear()
    assert unpack(other, tmp_path / "imports", moving=lambda *_: calls.append(1)) == folder
    assert not calls
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    different = made(tmp_path, *honest(images=4))
    assert unpack(different, tmp_path / "imports") != folder
    assert len(there(tmp_path / "imports")) == 2


def test_what_is_left_out_is_told_with_its_reason(tmp_path: Path, home: Path) -> None:
    parts = (
        *honest("top/"),
        Part("top/", mode=stat.S_IFDIR | 0o755),
        Part("top/readme.txt", b"x"),
        Part("top/COVID/more.zip", archive(*honest())),
        Part("top/.DS_Store", b"x"),
        Part("__MACOSX/top/x.png", PNG),
        Part("top/Normal/big.png", bytes(archive_plan.MAX_IMAGE + 1), method=0),
        Part(f"top/Normal/{'x' * 252}.png", PNG),
        Part(b"top/Normal/\xff.png", PNG, flags=0x800),
        Part("/".join(["top", *"abcdefghijklmnop", "x.png"]), PNG),
        Part("top/odd.lzma", b"x", method=14),
    )
    dataset = scan(unpack(made(tmp_path, *parts), home / "imports"), home)
    assert dict(dataset.ignored_files) == {
        "readme.txt": "not a PNG, JPEG, WebP, BMP, TIFF or DICOM file",
        "COVID/more.zip": "an archive inside the archive is not unpacked",
        ".DS_Store": "a hidden file",
        "__MACOSX/top/x.png": "a hidden file",
        "Normal/big.png": "larger than 25 MiB",
        f"Normal/{'x' * 252}.png": "its name is too long for a disk",
        "Normal/\ufffd.png": "its name is not valid UTF-8",
        "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/x.png": "its name is too long for a disk",
        "odd.lzma": "not a PNG, JPEG, WebP, BMP, TIFF or DICOM file",
    }
    assert dataset.ignored == {"masks": 0, "hidden": 2, "other": 7}
    assert scan(dataset.root, home).ignored == dataset.ignored
    assert len(dataset.index) == 6


def test_the_limit_of_an_image_is_the_decoder_s() -> None:
    assert decode.Limits().max_bytes == archive_plan.MAX_IMAGE


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("COVID/ü.png".encode("cp437"), "COVID/ü.png"),
        ("COVID/ü.png".encode(), "COVID/ü.png"),
        ("COVID/gnp\N{RIGHT-TO-LEFT OVERRIDE}.png", "COVID/gnp_.png"),
        ("COVID/a\n\x1bb\N{ZERO WIDTH SPACE}.png", "COVID/a__b_.png"),
        (f"COVID/{'肺' * 83}xx.png", f"COVID/{'肺' * 83}xx.png"),
        ("./COVID//x.png", "COVID/x.png"),
        ("COVID\\x.png", "COVID/x.png"),
        ("COVID/![t](x) <b>.png", "COVID/![t](x) <b>.png"),
    ],
)
def test_odd_names_become_harmless_ones(tmp_path: Path, name: str | bytes, kept: str) -> None:
    folder = unpack(made(tmp_path, *honest(), Part(name, PNG)), tmp_path / "imports")
    assert kept in list_files(folder).labels


class Tailed(Part):
    """More than the deflated stream between this entry and the next."""

    @property
    def packed(self) -> bytes:
        return super().packed + b"x" * 31


HOSTILE: dict[str, tuple[list[Part], str]] = {
    "bytes behind the stream": ([Tailed("COVID/x.png", bytes(300_000))], "is damaged at “COVID"),
    "slip": ([Part("../evil.png", PNG)], "the name “../evil.png” in it leads out"),
    "slip deep": ([Part("COVID/../../evil.png", PNG)], "leads out"),
    "slip of Windows": ([Part("..\\evil.png", PNG)], "leads out"),
    "absolute": ([Part("/tmp/evil.png", PNG)], "leads out"),
    "absolute of Windows": ([Part("\\evil.png", PNG)], "leads out"),
    "drive": ([Part("C:\\evil.png", PNG)], "leads out"),
    "NUL": ([Part("COVID/x.png\0.txt", PNG)], "leads out"),
    "slip of a folder": ([Part("../evil/")], "leads out"),
    "slip of a file that is not wanted": ([Part("../.bashrc", b"x")], "leads out"),
    "link": ([Part("COVID/l.png", b"/etc/passwd", mode=0o120777)], "“COVID/l.png” in it is a link"),
    "link to a folder": ([Part("COVID/up", b"..", mode=0o120777)], "is a link"),
    "pipe": ([Part("COVID/pipe.png", mode=0o010644)], "is a link or a device"),
    "twice": ([Part("COVID/COVID-0.png", PNG)], "it holds “COVID/COVID-0.png” twice"),
    "case": ([Part("COVID/covid-0.PNG", PNG)], "both “COVID/COVID-0.png” and “COVID/covid-0.PNG”"),
    "case of folders": ([Part("covid/x.png", PNG)], "both “COVID” and “covid”"),
    "one name composed and not": (
        [Part("COVID/é.png", PNG), Part("COVID/e\u0301.png", PNG)],
        "one name on many disks",
    ),
    "a file that is a folder": (
        [Part("COVID/COVID-0.png/x.png", PNG)],
        "“COVID/COVID-0.png” twice",
    ),
    "encrypted": ([Part("COVID/x.png", PNG, flags=1)], "is encrypted"),
    "method": ([Part("COVID/x.png", PNG, method=14)], r"not read here \(number 14"),
    "says more": ([Part("COVID/x.png", PNG, size=len(PNG) + 1)], "lies about its size"),
    "says less": ([Part("COVID/x.png", PNG, size=len(PNG) - 1)], "lies about its size"),
    "stored says less": ([Part("COVID/x.png", PNG, method=0, size=9)], "lies about its size"),
    "hides a bomb": ([Part("COVID/x.png", bytes(50_000_000), size=99)], "lies about its size"),
    "ratio": ([Part("COVID/x.png", bytes(20_000_000))], "unpacks to far more .* to 20 MB"),
    "ratio of many": (
        [Part(f"COVID/{number}.png", bytes(2**20)) for number in range(90)],
        r"unpacks to far more .*\(0\.1 GB\)",
    ),
    "overlap": ([Part("COVID/x.png", PNG, offset=0)], "files in it overlap"),
    "outside": ([Part("COVID/x.png", PNG, offset=10_000_000)], "overlap"),
    "check sum": ([Part("COVID/x.png", PNG, crc=7)], "is damaged at “COVID/x.png”"),
    "two names": ([Part("COVID/x.png", PNG, inner_name=b"COVID/y.png")], "differs from place"),
    "data elsewhere": ([Part("COVID/x.png", PNG, inner_extra=500)], "differs from place to place"),
    "no header": ([Part("COVID/x.png", PNG, offset=1)], "overlap|damaged"),
    "only one class": ([Part("COVID/x.png", PNG)], "Only one class, “COVID”, was found in "),
    "an empty class": ([Part("Other/")], "The class folder “Other” in .* holds no PNG"),
    "a class of other files": (
        [Part("Other/x.gif", b"x")],
        r"“Other” in .* holds no PNG, JPEG, WebP, BMP, TIFF or DICOM image "
        r"\(Other/x\.gif: not a PNG, JPEG, WebP, BMP, TIFF or DICOM",
    ),
    "nothing": ([], "holds no PNG, JPEG, WebP, BMP, TIFF or DICOM image"),
    "only an archive": (
        [Part("inner.zip", archive(*honest()))],
        r"no PNG, JPEG, WebP, BMP, TIFF or DICOM image "
        r"\(inner\.zip: an archive inside the archive is not",
    ),
}
ALONE = {"nothing", "only an archive", "only one class"}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives_are_refused_in_a_sentence(tmp_path: Path, kind: str) -> None:
    parts, sentence = HOSTILE[kind]
    whole = parts if kind in ALONE else [*honest(), *parts]
    (tmp_path / "in").mkdir()
    path = made(tmp_path / "in", *whole)
    with pytest.raises(ArchiveError, match=sentence) as raised:
        unpack(path, tmp_path / "out/imports")
    message = str(raised.value)
    assert message.startswith((str(path), "Only", "The class folder", "No PNG"))
    assert message.endswith(".")
    assert str(tmp_path / "out") not in message
    assert there(tmp_path / "out/imports") == []
    assert sorted(there(tmp_path)) in (["in"], ["in", "out"])
    assert there(tmp_path / "in") == ["set.zip"]


def test_a_bomb_is_left_at_the_size_that_it_declares(tmp_path: Path) -> None:
    """Nothing of its 200 MB is written beyond that: no file may grow to one here."""
    bomb = made(tmp_path, *honest(), Part("COVID/x.png", bytes(200_000_000), size=99))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(ArchiveError, match="lies about its size"):
            unpack(bomb, tmp_path / "imports")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def cut(data: bytes) -> dict[str, bytes]:
    """An archive that is not what it was."""
    return {
        "cut off": data[: len(data) // 2],
        "without its last byte": data[:-1],
        "with more behind": data + b"x",
        "with more before": b"#!/bin/sh\n" + data,
        "no archive": b"GIF89a" + bytes(200),
        "empty": b"",
        "an end alone": b"PK\5\6" + bytes(18),
        "a count that is wrong": data[:-12] + b"\xff\0\xff\0" + data[-8:],
        "a part of several": data[:-18] + b"\1" + data[-17:],
        "its data blank": data[:60] + bytes(200) + data[260:],
    }


@pytest.mark.parametrize("kind", cut(bytes(300)))
def test_damaged_archives(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "set.zip"
    path.write_bytes(cut(archive(*honest()))[kind])
    with pytest.raises(ArchiveError, match=r"set\.zip (is no zip|is damaged|lists|is one|holds)"):
        unpack(path, tmp_path / "imports")
    assert there(tmp_path / "imports") == []


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covidcore.data.zip_directory.MAX_ENTRIES", 5)
    with pytest.raises(ArchiveError, match="lists 6 files; at most 5 are read"):
        unpack(made(tmp_path, *honest()), tmp_path / "imports")


def test_too_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_plan, "MAX_TOTAL", 5000)
    with pytest.raises(ArchiveError, match=r"at most 0\.0 GB are unpacked"):
        unpack(made(tmp_path, *honest()), tmp_path / "imports")


def test_a_disk_without_room_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=20_000)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: full)
    large = Part("COVID/large.png", random.Random(0).randbytes(20_000_000), method=0)
    with pytest.raises(
        DataError, match=r"needs 20\.\d MB unpacked, and the disk of .* has 0\.0 MB"
    ):
        unpack(made(tmp_path, *honest(), large), tmp_path / "imports")
    assert there(tmp_path / "imports") == []


def test_an_archive_that_can_not_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"can not be read: No such file"):
        unpack(tmp_path / "gone.zip", tmp_path / "imports")


def test_a_stop_between_two_files_and_on_from_there(tmp_path: Path) -> None:
    path, imports = made(tmp_path, *honest(images=10)), tmp_path / "imports"

    def stop(what: str, done: int, total: int) -> None:
        if done > total / 2:
            raise Stopped("enough")

    with pytest.raises(Stopped):
        unpack(path, imports, moving=stop)
    assert all(name.startswith(".") for name in there(imports))
    (staged,) = (entry for entry in imports.iterdir() if entry.is_dir())
    before = {file.name: file.stat().st_mtime_ns for file in staged.rglob("*.png")}
    assert 10 <= len(before) < 20
    damaged = sorted(before)[0]
    next(staged.rglob(damaged)).write_bytes(b"x" * next(staged.rglob(damaged)).stat().st_size)
    seen: list[int] = []
    folder = unpack(path, imports, moving=lambda _, done, __: seen.append(done))
    after = {file.name: file.stat().st_mtime_ns for file in folder.rglob("*.png")}
    assert len(after) == 20
    assert {name for name in before if before[name] != after[name]} == {damaged}
    assert seen[0] > 0
    assert there(imports) == [folder.name]
    assert all(part.data == (folder / part.raw.decode()).read_bytes() for part in honest(images=10))


def test_two_at_once_do_the_work_once(tmp_path: Path) -> None:
    path, imports = made(tmp_path, *honest(images=20)), tmp_path / "imports"
    begun, others = threading.Event(), threading.Barrier(3)
    progress: dict[int, list[int]] = {number: [] for number in range(3)}
    folders: list[Path] = []

    def work(number: int) -> None:
        def moving(what: str, done: int, total: int) -> None:
            progress[number].append(done)
            if not begun.is_set() and done:
                begun.set()
                others.wait(60)  # the others come while this one is in the middle

        if number:
            begun.wait(60)
            others.wait(60)
        folders.append(unpack(path, imports, moving=moving))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(set(folders)) == 1
    assert len(folders) == 3
    assert progress[0]
    assert not any(progress[1] + progress[2])
    assert there(imports) == [folders[0].name]


CHILD = """
import os, signal, sys
from pathlib import Path
from covidcore.data.archives import unpack
last = int(sys.argv[3])
def moving(what, done, total):
    print("begun", flush=True)
    if 0 <= last <= done:
        os.kill(os.getpid(), signal.SIGKILL)
unpack(Path(sys.argv[1]), Path(sys.argv[2]), moving=moving)
"""


def start(path: Path, imports: Path, last: int = -1) -> "subprocess.Popen[str]":
    """Unpack in a process that kills itself after ``last`` bytes."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(imports), str(last)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_at_some_moment(path: Path, imports: Path, chance: random.Random, total: int) -> None:
    """Between two files, or wherever it is a while after it has begun."""
    if chance.random() < 0.5:
        start(path, imports, chance.randrange(total)).communicate(timeout=120)
        return
    process = start(path, imports)
    assert process.stdout
    process.stdout.readline()
    try:
        process.wait(timeout=chance.uniform(0, 0.15))
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate(timeout=120)


def test_killed_at_twenty_moments_it_is_not_there_or_whole(
    make_dataset: MakeDataset, tmp_path: Path, home: Path
) -> None:
    source = make_dataset({"a": 60, "b": 60}, inner="images", masks=True)
    path, imports = zip_folder(source, tmp_path / "set.zip"), home / "imports"
    expected, whole = scan(source, home).fingerprint, tree(source)
    total = sum(len(data) for data in whole.values())
    chance = random.Random(20)
    halfway = 0
    for _ in range(20):
        kill_at_some_moment(path, imports, chance, total)
        shown = [name for name in there(imports) if not name.startswith(".")]
        assert len(shown) <= 1
        for name in shown:
            assert tree(imports / name) == whole
            shutil.rmtree(imports / name)
        halfway += not shown
        if chance.random() < 0.3:  # else the next kill comes later in the same import
            assert scan(unpack(path, imports), home).fingerprint == expected
            shutil.rmtree(imports)
    assert halfway >= 5  # else the kills came too late to tell anything
    folder = unpack(path, imports)
    assert scan(folder, home).fingerprint == expected
    assert there(imports) == [folder.name]


def test_a_killed_import_goes_on_where_it_was(tmp_path: Path) -> None:
    path, imports = made(tmp_path, *honest(images=30)), tmp_path / "imports"
    half = sum(len(part.data) for part in honest(images=30)) // 2
    process = start(path, imports, half)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    (staged,) = (entry for entry in imports.iterdir() if entry.is_dir())
    before = {file.name: file.stat().st_mtime_ns for file in staged.rglob("*.png")}
    assert 15 <= len(before) < 60
    folder = unpack(path, imports)
    after = {file.name: file.stat().st_mtime_ns for file in folder.rglob("*.png")}
    assert len(after) == 60
    assert before.items() <= after.items()


NAMES = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    st.lists(
        st.sampled_from(
            ["..", ".", "", "a", "B", "b", "C:", "~", "x.png", "y.PNG", "z\0", "é", "/"]
        ),
        min_size=1,
        max_size=5,
    ).map("/".join),
).filter(bool)
PARTS = st.builds(
    Part,
    name=NAMES.map(lambda name: name.encode() or b"x"),
    data=st.sampled_from([PNG, b"", b"text"]),
    method=st.sampled_from([0, 8, 8, 8, 9]),
    flags=st.sampled_from([0, 0, 0, 0x800, 1]),
    mode=st.sampled_from([0, 0, 0o100644, 0o040755, 0o120777]),
    size=st.sampled_from([None, None, None, 0, 5, 2**31]),
    offset=st.sampled_from([None, None, None, 0, 40]),
)


def never_outside(data: bytes) -> None:
    """Unpack in a folder of its own: it is refused, or everything lies inside."""
    with tempfile.TemporaryDirectory() as place:
        path, imports = Path(place) / "in.zip", Path(place) / "deep/down/imports"
        path.write_bytes(data)
        try:
            folder = unpack(path, imports)
        except ArchiveError as error:
            assert str(error).endswith(".")
            assert there(imports) == []
        else:
            assert there(imports) == [folder.name]
            for inner in folder.rglob("*"):
                assert not inner.is_symlink()
                assert inner.is_file() or inner.is_dir()
        outside = [Path(place), *Path(place).glob("deep"), *Path(place).glob("deep/*")]
        assert all(set(there(one)) <= {"in.zip", "deep", "down", "imports"} for one in outside)


@how(max_examples=150, deadline=None)
@given(st.lists(PARTS, max_size=4), st.booleans())
def test_random_archives_never_write_outside(parts: list[Part], with_honest: bool) -> None:
    never_outside(archive(*(honest() if with_honest else []), *parts))


@how(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
def test_flipped_bytes_never_write_outside(flips: list[tuple[int, int]]) -> None:
    data = bytearray(archive(*honest(images=1), Part("metadata.csv", b"file,source\n")))
    for at, value in flips:
        data[at % len(data)] = value
    never_outside(bytes(data))


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_files_are_as_others_may_read_them(tmp_path: Path, mode: int) -> None:
    """As the umask says, whatever the archive says: homes are shared in a lab."""
    before = os.umask(0o777 - mode)
    try:
        folder = unpack(made(tmp_path, *honest()), tmp_path / "imports")
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == mode
    assert stat.S_IMODE((folder / "COVID/COVID-0.png").stat().st_mode) == mode & 0o666
