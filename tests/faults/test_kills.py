"""SIGKILL at any moment costs the work since the last checkpoint, and never a wrong byte."""

import collections
import subprocess
import sys
from pathlib import Path

import pytest

from covidcore.data.index import Dataset
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.store import RunStore
from tests.conftest import ROOT
from tests.faults.app_campaign import WHO, AppCampaign
from tests.faults.campaign import Campaign
from tests.faults.conftest import Saboteur
from tests.faults.wholeness import TINY, assert_readable, assert_whole, remains
from tests.runs import Trained, assert_same_results, wait_for_end, wait_until

ENDED = (State.INTERRUPTED, State.DONE)


@pytest.mark.campaign
@pytest.mark.timeout(1200)
def test_25_kills_at_random_moments(store: RunStore, dataset: Dataset, whole: Trained) -> None:
    longest = (whole.store.info(whole.run).seconds or 0) + 1
    campaign = Campaign(store, dataset, TINY, whole.run, whole.folder, longest)
    places = collections.Counter(where for where, _ in campaign.kills(25, seed=3))
    campaign.finish()
    assert places.total() == 25
    assert len(places) > 4, places  # else the moments were not spread over its life


@pytest.mark.campaign
@pytest.mark.timeout(1200)
def test_12_kills_of_the_app_its_worker_or_both(phantoms: Path, tmp_path: Path) -> None:
    """On the way from an archive to a finished run."""
    campaign = AppCampaign.of(phantoms, tmp_path, TINY)
    struck = list(campaign.kills(12, seed=5))
    assert {who for who, _ in struck} == set(WHO), struck
    assert len({at for _, at in struck}) > 2, struck


@pytest.mark.campaign
@pytest.mark.timeout(1200)
def test_killed_before_every_change_that_a_reader_could_see(
    store: RunStore, dataset: Dataset, whole: Trained, saboteur: Saboteur
) -> None:
    """Each name is taken by a rename; the worker dies just before each of them, once."""
    saboteur.plan("kill", at="[sr][te][an]*")  # start, rename
    run = store.submit(TINY, dataset).run
    for _ in range(50):
        wait_until(lambda: not RunFolder(store.path(run)).locked(), "the worker to be gone")
        if assert_whole(store, run, ENDED) is State.DONE:
            break
        store.resume(run)
    assert_same_results(store.path(run), whole.folder)
    assert not remains(store.path(run))
    (features,) = [name for name in saboteur.reached if ".npy" in name and "pixels" not in name]
    assert saboteur.reached == [
        *("start", "rename status.json running", "rename split.csv", "rename pixels-32.npy"),
        *(features, "rename history.csv 0"),
        *("rename last.safetensors 1", "rename history.csv 1"),
        *("rename last.safetensors 2", "rename history.csv 2"),
        *("rename predictions.parquet", "rename report.json", "rename familiar.safetensors"),
        "rename known.safetensors",
        *("rename best.safetensors", "rename contract.json", "rename status.json done"),
    ]


def test_killed_while_libraries_are_imported(
    store: RunStore, dataset: Dataset, whole: Trained, saboteur: Saboteur
) -> None:
    saboteur.plan("kill", at="import torch*n*")  # of torch, torch.nn, torchvision: some hundreds
    run = store.submit(TINY, dataset).run
    for _ in range(3):
        wait_until(lambda: not RunFolder(store.path(run)).locked(), "the worker to be gone")
        assert_whole(store, run, (State.INTERRUPTED,))
        store.resume(run)
    assert len(saboteur.reached) >= 3
    saboteur.rest()
    wait_until(lambda: not RunFolder(store.path(run)).locked(), "the worker to be gone")
    store.resume(run)
    assert wait_for_end(store, run) is State.DONE
    assert_same_results(store.path(run), whole.folder)


SUBMIT = """
import sys
from pathlib import Path
from covidcore.config import Settings
from covidcore.data.index import load
from covidcore.jobs.store import RunStore
from tests.faults.wholeness import TINY
settings = Settings(home=Path(sys.argv[1]))
RunStore(settings).submit(TINY, load(sys.argv[2], settings.home))
"""


def test_whoever_submits_is_killed_before_every_change(
    store: RunStore, dataset: Dataset, whole: Trained, saboteur: Saboteur
) -> None:
    """The app, or a shell: the run is there and whole, or not there; asked again, it is done."""
    home = store.settings.home
    saboteur.plan("kill", at="rename*", program="RunStore(settings).submit")
    command = [sys.executable, "-c", SUBMIT, str(home), dataset.fingerprint]
    for _ in range(20):
        done = subprocess.run(command, cwd=ROOT, timeout=120)
        assert_readable(home)
        for folder in store.queue.folders():
            assert store.queue.state(folder) in (State.QUEUED, State.RUNNING, State.DONE)
        if done.returncode == 0:
            break
    assert saboteur.reached[-1] == "rename handover.json"
    assert len(saboteur.reached) == 5, saboteur.reached
    run = whole.run
    store.advance()
    assert wait_for_end(store, run) is State.DONE, store.log_tail(run)
    assert [info.run for info in store.list()] == [run]
    assert_same_results(store.path(run), whole.folder)
    assert not list(store.queue.folder.glob(".new-*"))
