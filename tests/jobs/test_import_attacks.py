"""What a stranger may send as a model: each is refused in a sentence, and nothing of it is kept."""

import base64
import os
import pickle
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from covidcore import storage
from covidcore.cli import main
from covidcore.config import Settings
from covidcore.errors import CovidcoreError, RunError
from covidcore.jobs import imports
from covidcore.jobs.report import gather
from covidcore.jobs.store import RunStore
from tests import hostile
from tests.data.zips import Part, archive
from tests.jobs.checkpoints import CLASSES, vouch, with_contract, with_gate, with_tensors, write

TENSORS, CONTRACT, GATE = "best.safetensors", "contract.json", "familiar.safetensors"


class Touch:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["CANARY"],)


@pytest.fixture(autouse=True)
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is there once something was unpickled."""
    path = tmp_path / "unpickled"
    monkeypatch.setenv("CANARY", str(path))
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return write(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sound, tmp_path / "sent")


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(Settings(home=tmp_path / "home"))


def everything(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}


def refused(store: RunStore, source: Path, canary: Path) -> str:
    """The sentence; the home is as it was, and nothing was unpickled."""
    store.settings.home.mkdir(exist_ok=True)
    before = everything(store.settings.home)
    with pytest.raises(CovidcoreError) as caught:
        imports.import_model(store, source)
    said = str(caught.value)
    assert said.endswith("."), said
    assert "\n" not in said
    assert str(store.settings.home) not in said
    assert everything(store.settings.home) == before
    assert store.list() == []
    assert not canary.exists()
    return said


def as_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Touch()))


def saved_by_torch(path: Path) -> None:
    torch.save({"weights": Touch()}, path)


def header(folder: Path, text: str, tail: bytes = bytes(64)) -> None:
    data = text.encode()
    (folder / TENSORS).write_bytes(struct.pack("<Q", len(data)) + data + tail)
    vouch(folder)


def not_a_number(folder: Path) -> None:
    tensors = load_file(folder / TENSORS)
    tensors["classifier.3.bias"][1] = float("nan")
    with_tensors(folder, tensors)


def one_byte(folder: Path) -> None:
    data = bytearray((folder / TENSORS).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / TENSORS).write_bytes(data)


def other_weights(folder: Path) -> None:
    tensors = load_file(folder / TENSORS)
    tensors["classifier.3.bias"][0] += 0.01
    with_tensors(folder, tensors)


def golden_bomb(folder: Path) -> None:
    golden = storage.read_json(folder / CONTRACT)["golden"]
    golden[0]["png"] = base64.b64encode(hostile.declaring(60_000, 60_000)).decode()
    with_contract(folder, golden=golden)


def contract_text(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / CONTRACT).write_text(text)


def linked(folder: Path) -> None:
    (folder / CONTRACT).rename(folder.parent / "elsewhere.json")
    (folder / CONTRACT).symlink_to(folder.parent / "elsewhere.json")


def a_folder(folder: Path) -> None:
    (folder / GATE).unlink()
    (folder / GATE).mkdir()


def a_pipe(folder: Path) -> None:
    (folder / GATE).unlink()
    os.mkfifo(folder / GATE)


HUGE = '{"classifier.3.bias":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,64]}}'

FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pickle beside": (lambda f: as_pickle(f / "model.pkl"), "model.pkl: a pickle"),
    "a .pth beside": (lambda f: saved_by_torch(f / "model.pth"), "model.pth: a pickle"),
    "tensors are a pickle": (lambda f: as_pickle(f / TENSORS), "a pickle under another name"),
    "tensors are torch's": (lambda f: saved_by_torch(f / TENSORS), "a pickle under another name"),
    "gate is a pickle": (lambda f: as_pickle(f / GATE), "a pickle under another name"),
    "contract is a pickle": (lambda f: as_pickle(f / CONTRACT), "a pickle under another name"),
    "wrong hash": (one_byte, "is damaged: export it again"),
    "other weights": (other_weights, "golden inputs"),
    "NaN": (not_a_number, "values that are no numbers"),
    "classes swapped": (lambda f: with_contract(f, classes=CLASSES[::-1]), "golden inputs"),
    "huge shapes": (lambda f: header(f, HUGE), "does not fit its contract"),
    "other shapes": (lambda f: header(f, HUGE.replace("4294967296", "4")), "does not fit"),
    "deep header": (lambda f: header(f, '{"a":' * 100_000), "does not fit its contract"),
    "endless header": (
        lambda f: (f / TENSORS).write_bytes(struct.pack("<Q", 2**40) + b"{" + bytes(99)),
        "is no safetensors file",
    ),
    "empty tensors": (lambda f: (f / TENSORS).write_bytes(b""), "is no safetensors file"),
    "no tensors": (lambda f: (f / TENSORS).unlink(), "best.safetensors is missing"),
    "no contract": (lambda f: (f / CONTRACT).unlink(), "contract.json is missing"),
    "10 MB": (lambda f: with_contract(f, x="x" * 10_000_000), "larger than 4 MiB"),
    "deep JSON": (contract_text('{"a":' * 200_000), "damaged or not JSON"),
    "not JSON": (contract_text("{]"), "damaged or not JSON"),
    "a list": (contract_text("[1]"), "is no JSON object"),
    "nothing said": (contract_text("{}"), "is damaged"),
    "right to left": (
        lambda f: with_contract(f, classes=["a\u202egnp.b", "b", "c"]),
        "characters that can not be seen",
    ),
    "a class without name": (lambda f: with_contract(f, classes=["", "b", "c"]), "is empty"),
    "a class of 300": (lambda f: with_contract(f, classes=["a" * 300, "b"]), "longer than 100"),
    "too many classes": (lambda f: with_contract(f, classes=list(map(str, range(101)))), "at most"),
    "temperature": (lambda f: with_contract(f, temperature=10**400), "is damaged"),
    "size": (
        lambda f: with_contract(
            f, preprocessing={**storage.read_json(f / CONTRACT)["preprocessing"],
                              "image_size": 4096}
        ),
        "4,096 pixels a side",
    ),
    "a golden bomb": (golden_bomb, "golden input of this model can not be read"),
    "no golden inputs": (lambda f: with_contract(f, format=1, golden=[]), "no golden inputs"),
    "a link": (linked, "is a link or a folder"),
    "a folder inside": (a_folder, "is a link or a folder"),
    "a pipe": (a_pipe, "is a link or a folder"),
    "a job file": (lambda f: (f / "job.json").write_text("{}"), "job.json .* is no part"),
    "no gate": (lambda f: (f / GATE).unlink(), "do not belong together"),
    "a gate unasked": (lambda f: with_contract(f, gate=None), "do not belong together"),
    "a gate that is a list": (lambda f: with_contract(f, gate=[1]), "damaged, or of another"),
    "gate changed": (
        lambda f: (f / GATE).write_bytes((f / GATE).read_bytes()[:-4] + b"abcd"),
        "damaged, or of another model",
    ),
    "gate of another width": (
        lambda f: with_gate(
            f, features__means=np.zeros((3, 8), np.float32),
            features__whitening=np.eye(8, dtype=np.float32),
        ),
        "damaged, or of another model",
    ),
    "gate with NaN": (
        lambda f: with_gate(f, features__means=np.full((3, 1280), np.nan, np.float32)),
        "damaged, or of another model",
    ),
    "gate of no square": (
        lambda f: with_gate(f, looks__whitening=np.zeros((26, 2), np.float32)),
        "damaged, or of another model",
    ),
    "gate without pictures": (
        lambda f: with_gate(f, thumbnails=np.zeros((3, 32, 32), np.uint8)),
        "damaged, or of another model",
    ),
    "gate with deep names": (
        lambda f: with_gate(f, files=np.frombuffer(b"[" * 200_000, np.uint8)),
        "damaged, or of another model",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), FOLDERS.values(), ids=FOLDERS.keys())
def test_a_folder_that_is_no_checkpoint_is_refused(
    store: RunStore, folder: Path, canary: Path, change: Callable[[Path], object], said: str
) -> None:
    change(folder)
    assert re.search(said, refused(store, folder, canary))


def parts(folder: Path, prefix: str = "") -> list[Part]:
    names = (TENSORS, CONTRACT, GATE)
    return [Part(prefix + name, (folder / name).read_bytes(), method=0) for name in names]


SMALL = [Part(CONTRACT, b"{}" * 50), Part(TENSORS, b"x" * 100)]
ZIPS: dict[str, tuple[list[Part], str]] = {
    "slips out": ([Part("../contract.json", b"{}"), *SMALL[1:]], "leads out"),
    "absolute": ([Part("/etc/contract.json", b"{}"), *SMALL[1:]], "leads out"),
    "a link": ([Part(CONTRACT, b"/etc/passwd", mode=0o120777), *SMALL[1:]], "a link or a device"),
    "a bomb": ([SMALL[0], Part(TENSORS, bytes(60_000_000))], "unpacks to far more"),
    "lies about its size": ([SMALL[0], Part(TENSORS, b"x" * 99, size=9)], "lies about its size"),
    "overlaps": ([*SMALL, Part(GATE, b"x", offset=0)], "overlap"),
    "a name twice": ([*SMALL, SMALL[0]], "twice"),
    "encrypted": ([Part(CONTRACT, b"{}", flags=1), SMALL[1]], "encrypted"),
    "a pickle inside": ([*SMALL, Part("model/data.pkl", b"x")], "data.pkl: a pickle"),
    "something else": ([*SMALL, Part("run.sh", b"x")], "run.sh .* no part of a checkpoint"),
    "another archive": ([*SMALL, Part("more.zip", b"PK")], "more.zip .* no part"),
    "in two folders": (
        [Part(f"a/{CONTRACT}", b"{}"), Part(f"b/{TENSORS}", b"x")], "no part of a checkpoint",
    ),
    "nothing": ([Part(".DS_Store", b"x")], "best.safetensors is missing"),
}  # fmt: skip


@pytest.mark.parametrize(("entries", "said"), ZIPS.values(), ids=ZIPS.keys())
def test_an_archive_that_is_no_checkpoint_is_refused(
    store: RunStore, tmp_path: Path, canary: Path, entries: list[Part], said: str
) -> None:
    path = tmp_path / "sent.zip"
    path.write_bytes(archive(*entries))
    assert re.search(said, refused(store, path, canary))


@pytest.mark.parametrize("name", ["model.pth", "model.pt", "model.zip", "MODEL.PTH"])
def test_a_file_of_torch_is_refused_under_any_name(
    store: RunStore, tmp_path: Path, canary: Path, name: str
) -> None:
    saved_by_torch(tmp_path / name)
    said = refused(store, tmp_path / name, canary)
    # An archive of torch's has a list that is laid out as no packer does it.
    assert ("is damaged" if name == "model.zip" else "is a pickle") in said


def test_what_is_no_archive_is_refused(store: RunStore, tmp_path: Path, canary: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"no zip")
    assert "no zip archive" in refused(store, tmp_path / "x.zip", canary)
    assert "not there" in refused(store, tmp_path / "y.zip", canary)


@pytest.mark.parametrize("packed", [False, True])
def test_more_than_a_part_may_have_is_refused(
    store: RunStore, folder: Path, tmp_path: Path, canary: Path, packed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(imports.MOST_BYTES, TENSORS, 1000)
    if packed:
        (tmp_path / "sent.zip").write_bytes(archive(*parts(folder)))
    source = tmp_path / "sent.zip" if packed else folder
    assert "best.safetensors in it is larger than" in refused(store, source, canary)


def test_the_sound_one_is_taken_and_its_names_do_no_harm(
    store: RunStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Or the refusals above would say nothing; its classes hold markup."""
    (folder / ".DS_Store").write_bytes(b"junk")
    made = imports.import_model(store, folder)
    assert (made.classes, made.cached) == (CLASSES, False)
    (tmp_path / "sent.zip").write_bytes(archive(*parts(folder, "in a folder/")))
    again = imports.import_model(store, tmp_path / "sent.zip")
    assert (again.run, again.cached, again.name) == (made.run, True, made.name)
    monkeypatch.setenv("COVIDCORE_HOME", str(store.settings.home))
    assert main(["report", made.run, "--out", str(tmp_path / "r.html")]) == 0
    text = (tmp_path / "r.html").read_text()
    assert "<b>x" not in text
    assert "&lt;b&gt;x" in text
    assert main(["import-model", str(folder / TENSORS)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_facts_of_a_stranger_s_contract_are_read_with_care(store: RunStore, folder: Path) -> None:
    wild = {
        "recipe": {"epochs": [1], "exclude_sources": None}, "dataset": "../../etc",
        "dataset_name": "a\u202eb" * 200, "split": 7, "weights": ["x"], "trained_with": [1],
    }  # fmt: skip
    with_contract(folder, **wild)
    run = imports.import_model(store, folder).run
    job = store.job(run)
    assert (job["recipe"], job["dataset"], job["split"], job["weights"]) == (None, "", "", None)
    assert job["dataset_name"] == ("ab" * 40)
    with pytest.raises(RunError, match="not known"):
        store.recipe(run)
    assert gather(store, run)["evaluation"] is None


def test_a_demo_takes_none(folder: Path, tmp_path: Path, canary: Path) -> None:
    store = RunStore(Settings(home=tmp_path / "home", demo=True))
    assert "demo" in refused(store, folder, canary)
