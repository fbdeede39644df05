"""Runs on a cluster, over Ray's REST interface: the same runs, and no failure of it loses one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.index import Dataset
from covidcore.doctor import examine
from covidcore.errors import RunError
from covidcore.jobs.folder import Presence, RunFolder, State
from covidcore.jobs.ray import RayRunner
from covidcore.jobs.runners import RunnerUnavailable
from covidcore.jobs.store import RunStore
from tests.jobs.fake_ray import RAY_LINES, FakeRay, fake_ray
from tests.runs import (
    LONG,
    SHORT,
    STEPS,
    Trained,
    assert_same_results,
    kill_worker,
    trained,
    wait_for_end,
    wait_until,
)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    (tmp_path / "cluster").mkdir()
    with fake_ray(tmp_path / "cluster") as cluster:
        yield cluster


@pytest.fixture
def store(cluster: FakeRay, settings: Settings) -> RunStore:
    return RunStore(replace(settings, runner=cluster.runner))


@pytest.fixture
def whole(phantoms: Path) -> Trained:
    """The same run on this machine."""
    return trained(phantoms, SHORT)


def runner_of(store: RunStore) -> RayRunner:
    return RayRunner(store.settings.runner, store.settings)


def test_a_run_on_the_cluster_is_the_run_of_this_machine(
    store: RunStore, dataset: Dataset, cluster: FakeRay, whole: Trained
) -> None:
    run = store.submit(SHORT, dataset).run
    folder = RunFolder(store.path(run))
    runner = runner_of(store)
    (key,) = cluster.jobs
    assert key == f"covidcore-{run}-1"
    assert runner.submit(folder) == key  # twice is once
    assert runner.list() == {run: Presence.RUNNING}
    assert store.submit(SHORT, dataset).run == run
    assert wait_for_end(store, run) is State.DONE, store.info(run).message
    assert list(cluster.jobs) == [key]
    assert cluster.jobs[key].asked["entrypoint_num_cpus"] == 1
    assert_same_results(store.path(run), whole.folder)
    assert store.log_tail(run)[-1].startswith('{"event": "end"')

    output, offset = runner.logs(folder)
    assert output.startswith(RAY_LINES)
    assert runner.logs(folder, offset) == ("", offset)
    wait_until(lambda: not runner.list(), "the job to end")
    assert store.submit(SHORT, dataset).cached
    assert store.queue.problem == ""


def test_cancelled_while_it_waits_on_the_cluster(
    store: RunStore, dataset: Dataset, cluster: FakeRay
) -> None:
    cluster.full = True
    run = store.submit(SHORT, dataset).run
    assert store.info(run).state is State.QUEUED
    assert store.waiting() == []  # the order is the cluster's
    store.cancel(run)
    (job,) = cluster.jobs.values()
    assert (store.info(run).state, job.status()) == (State.CANCELLED, "STOPPED")

    job.start()  # the stop came too late: the worker ends without a word
    assert job.process is not None
    assert job.process.wait(60) == 0
    assert store.info(run).state is State.CANCELLED
    assert not (store.path(run) / "last.safetensors").exists()

    store.resume(run)
    assert [key[-2:] for key in cluster.jobs] == ["-1", "-2"]
    store.remove(run)
    assert [job.status() for job in cluster.jobs.values()] == ["STOPPED", "STOPPED"]


def test_cancelled_and_killed_while_it_runs_on_the_cluster(
    store: RunStore, dataset: Dataset, cluster: FakeRay, phantoms: Path
) -> None:
    run = store.submit(STEPS, dataset).run
    wait_until(lambda: store.info(run).phase == "training", "the training")
    store.cancel(run)
    assert wait_for_end(store, run) is State.CANCELLED

    store.resume(run)
    wait_until(lambda: store.info(run).phase == "training", "the training")
    assert kill_worker(store.path(run))
    wait_until(lambda: store.info(run).state is State.INTERRUPTED, "the cluster to notice")

    store.resume(run)
    assert len(cluster.jobs) == 3
    assert wait_for_end(store, run) is State.DONE
    assert_same_results(store.path(run), trained(phantoms, STEPS).folder)


def test_a_cluster_that_does_not_answer_is_waited_for(
    store: RunStore, dataset: Dataset, cluster: FakeRay
) -> None:
    cluster.down()
    run = store.submit(SHORT, dataset).run
    assert store.info(run).state is State.QUEUED
    assert store.queue.problem == f"The cluster at {cluster.runner[4:]} does not answer."
    assert store.waiting() == [run]
    assert examine(store.settings)["runner_answers"] == store.queue.problem
    cluster.up()
    wait_until(lambda: store.list()[0].state is State.RUNNING, "the cluster to answer again")
    assert store.queue.problem == ""
    assert examine(store.settings)["runner_answers"] == "Ray 2.50.0"

    cluster.broken = True  # as it runs: it goes on, and nothing is taken for its end
    assert store.list()[0].state in (State.RUNNING, State.QUEUED, State.DONE)
    assert wait_for_end(store, run) is State.DONE
    cluster.broken = False
    wait_until(lambda: not runner_of(store).list(), "the job to end")


def test_a_token_is_asked_for(
    store: RunStore, dataset: Dataset, cluster: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.token = "secret"
    run = store.submit(SHORT, dataset).run
    assert store.info(run).state is State.QUEUED
    assert "set RAY_AUTH_TOKEN" in store.queue.problem
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    again = RunStore(store.settings)
    again.list()
    assert (again.queue.problem, len(cluster.jobs)) == ("", 1)
    again.cancel(run)
    assert wait_for_end(again, run) is State.CANCELLED


def test_a_worker_that_can_not_start_there_says_why(
    store: RunStore, dataset: Dataset, cluster: FakeRay
) -> None:
    cluster.full = True
    run = store.submit(LONG, dataset).run
    (job,) = cluster.jobs.values()
    job.asked["entrypoint"] = "python3 -c 'raise SystemExit(\"No module named covidcore\")'"
    job.start()
    assert job.process is not None
    assert job.process.wait(30) == 1
    store.list()
    info = store.info(run)
    assert info.state is State.FAILED
    assert info.message == (
        "The worker could not be started. Its last line: No module named covidcore"
    )


def test_refusals_are_told_apart(
    store: RunStore, cluster: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = runner_of(store)
    monkeypatch.setattr(cluster, "submit", lambda asked: (400, "no such thing"))
    folder = RunFolder(store.queue.folder / "aaaa")
    folder.path.mkdir(parents=True)
    folder.job.write_text('{"recipe": {"threads": 0}}')
    monkeypatch.setattr(RunFolder, "read_job", lambda self: {"recipe": {"threads": 3}})
    with pytest.raises(RunError, match=r"refused the job \(HTTP 400\)") as caught:
        runner.submit(folder)
    assert not isinstance(caught.value, RunnerUnavailable)
    assert runner.status(folder) is Presence.GONE
    runner.stop(folder)
    assert folder.stop_requested()
    cluster.broken = True
    with pytest.raises(RunnerUnavailable, match="HTTP 503"):
        runner.version()
