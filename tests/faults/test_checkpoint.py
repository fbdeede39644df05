"""From a damaged checkpoint nothing is taken: the run begins again, and says so."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from covidcore.data.index import Dataset
from covidcore.jobs import resumable
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.store import RunStore
from tests.faults.conftest import Saboteur
from tests.faults.wholeness import TINY
from tests.runs import Trained, assert_same_results, wait_for_end, wait_until

ANYWHERE = random.Random(11)


def header_size(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << ANYWHERE.randrange(8)]) + data[at + 1 :]


def in_a_tensor(data: bytes) -> bytes:
    return flip(data, ANYWHERE.randrange(header_size(data), len(data)))


def in_the_history(data: bytes) -> bytes:
    return flip(data, data.index(b"val_loss") + len('val_loss\\": 0.'))


def cut_short(data: bytes) -> bytes:
    return data[: ANYWHERE.randrange(len(data))]


def as_it_was(data: bytes) -> bytes:
    return data


def last_attempt(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "log.txt").read_text().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    began = max(at for at, event in enumerate(events) if event["event"] == "start")
    return events[began:]


@pytest.mark.campaign
@pytest.mark.timeout(900)
def test_a_damaged_checkpoint_is_known_and_the_run_begins_again(
    store: RunStore, dataset: Dataset, whole: Trained, saboteur: Saboteur, tmp_path: Path
) -> None:
    saboteur.plan("kill", at="rename history.csv 1")  # the first epoch's checkpoint is there
    run = store.submit(TINY, dataset).run
    folder = store.path(run)
    wait_until(lambda: not RunFolder(folder).locked(), "the worker to be gone")
    assert store.info(run).state is State.INTERRUPTED
    saboteur.rest()
    shutil.copytree(folder, tmp_path / "kept")
    harms: list[Callable[[bytes], bytes]] = [in_a_tensor, in_the_history, cut_short, as_it_was]
    for harm in harms:
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "kept", folder)
        data = (folder / "last.safetensors").read_bytes()
        (folder / "last.safetensors").write_bytes(harm(data))
        store.resume(run)
        assert wait_for_end(store, run) is State.DONE, store.log_tail(run)
        assert_same_results(folder, whole.folder)
        events = last_attempt(folder)
        notes = [event["message"] for event in events if event["event"] == "note"]
        epochs = [event["epoch"] for event in events if event["event"] == "epoch"]
        if harm is as_it_was:
            assert (notes, epochs) == ([], [2])
        else:
            assert (notes, epochs) == ([resumable.DAMAGED], [1, 2]), harm
