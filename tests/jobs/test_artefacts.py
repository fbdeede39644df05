"""What a finished run is made of is checked before it is shown, and can be made anew."""

import json
from pathlib import Path

import pytest

from covidcore import storage
from covidcore.errors import RunError
from covidcore.jobs.folder import State
from covidcore.jobs.store import RunStore
from tests.runs import SHORT, Trained, assert_same_results, copied, trained, wait_for_end

ARTEFACTS = (
    *("split.csv", "history.csv", "predictions.parquet", "report.json"),
    *("best.safetensors", "contract.json", "familiar.safetensors"),
)


@pytest.fixture(scope="module")
def whole(phantoms: Path) -> Trained:
    return trained(phantoms, SHORT)


@pytest.fixture
def store(whole: Trained, phantoms: Path, home: Path) -> RunStore:
    """A copy of the finished run in a home of its own."""
    return copied(whole, phantoms, home)


def remove(path: Path) -> None:
    path.unlink()


def change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("harm", [remove, change, cut])
@pytest.mark.parametrize("name", ARTEFACTS)
def test_a_damaged_file_is_told_in_a_sentence(
    store: RunStore, whole: Trained, name: str, harm: object
) -> None:
    assert store.evaluation(whole.run) == whole.store.evaluation(whole.run)
    assert callable(harm)
    harm(store.path(whole.run) / name)
    for read in (store.evaluation, store.predictions):
        with pytest.raises(RunError, match=f"damaged or missing: {name}. Resume the run"):
            read(whole.run)


@pytest.mark.parametrize("again", ["resume", "submit"])
def test_damaged_files_are_made_anew_with_the_same_bytes(
    store: RunStore, whole: Trained, again: str
) -> None:
    folder = store.path(whole.run)
    harms = [remove, change, cut, remove, change, cut, remove]
    for name, harm in zip(ARTEFACTS if again == "resume" else ARTEFACTS[::-1], harms, strict=True):
        harm(folder / name)
    if again == "resume":
        store.resume(whole.run)
    else:
        submission = store.submit(SHORT, whole.dataset)
        assert (submission.run, submission.cached) == (whole.run, False)
    assert wait_for_end(store, whole.run) is State.DONE, store.info(whole.run).message
    assert_same_results(folder, whole.folder)
    assert store.submit(SHORT, whole.dataset).cached
    with pytest.raises(RunError, match="there is nothing to resume"):
        store.resume(whole.run)


def test_a_run_of_an_earlier_version_is_whole_without_the_newer_files(
    store: RunStore, whole: Trained
) -> None:
    folder = store.path(whole.run)
    status = storage.read_json(folder / "status.json")
    del status["artefacts"]["familiar.safetensors"]
    (folder / "status.json").write_text(json.dumps(status))
    (folder / "familiar.safetensors").unlink()
    assert store.evaluation(whole.run) == whole.store.evaluation(whole.run)


def test_without_its_checkpoint_it_is_trained_again(store: RunStore, whole: Trained) -> None:
    folder = store.path(whole.run)
    (folder / "report.json").unlink()
    cut(folder / "last.safetensors")
    store.resume(whole.run)
    assert wait_for_end(store, whole.run) is State.DONE, store.info(whole.run).message
    assert_same_results(folder, whole.folder)
