"""What a worker is to the other processes of its machine."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from covidcore.data.index import Dataset
from covidcore.jobs.store import RunStore
from tests.runs import LONG, wait_until, worker_pid


@pytest.mark.usefixtures("idle")
def test_a_worker_steps_back_for_the_app(store: RunStore, dataset: Dataset) -> None:
    run = store.submit(replace(LONG, epochs=1000), dataset).run
    wait_until(lambda: store.info(run).phase not in ("", "starting"), "the worker's first word")
    pid = worker_pid(store.path(run))
    assert pid is not None
    assert os.getpriority(os.PRIO_PROCESS, pid) >= 10
    group = Path(f"/proc/{pid}/autogroup")
    if not group.exists():
        pytest.skip("this system does not group processes by session")
    assert group.read_text().endswith("nice 10\n")
