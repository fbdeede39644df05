"""What is of Ray's REST interface alone, with idle workers.

What it has in common with others, and that real work is done there, is in ``test_contract.py``.
"""

import socketserver
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.data.index import Dataset, scan
from covidcore.doctor import examine
from covidcore.errors import RecipeError
from covidcore.jobs.folder import Presence, RunFolder, State
from covidcore.jobs.ray import RayRunner
from covidcore.jobs.runners import RunnerUnavailable
from covidcore.jobs.store import RunStore
from tests.jobs.conftest import store_until_the_end
from tests.jobs.fake_ray import RAY_LINES, FakeRay, Job, fake_ray
from tests.jobs.places import Failpoints
from tests.jobs.test_contract import end_of, page
from tests.runs import SHORT, wait_for_end, wait_until

pytestmark = pytest.mark.usefixtures("idle")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    (tmp_path / "cluster").mkdir()
    with fake_ray(tmp_path / "cluster") as cluster:
        yield cluster


@pytest.fixture
def store(cluster: FakeRay, settings: Settings) -> Iterator[RunStore]:
    yield from store_until_the_end(replace(settings, runner=cluster.runner))


def runner_of(store: RunStore) -> RayRunner:
    return RayRunner(store.settings.runner, store.settings)


def only_job(cluster: FakeRay) -> Job:
    (job,) = cluster.jobs.values()
    return job


def attempts(cluster: FakeRay) -> list[str]:
    return [key.removeprefix("covidcore-").rpartition("-")[0] for key in cluster.jobs]


def test_what_is_handed_over_and_what_comes_back(
    store: RunStore, dataset: Dataset, cluster: FakeRay
) -> None:
    run = store.submit(SHORT, dataset).run
    folder, runner, job = RunFolder(store.path(run)), runner_of(store), only_job(cluster)
    assert attempts(cluster) == [f"{run}-1"]
    assert job.asked["entrypoint_num_cpus"] == 1
    wait_until(lambda: runner.list() == {run: Presence.RUNNING}, "the job to start")
    assert RayRunner(runner.name, Settings(home=store.settings.home / "other")).list() == {}
    assert wait_for_end(store, run) is State.DONE
    output, offset = runner.logs(folder)
    assert output.startswith(RAY_LINES)
    assert runner.logs(folder, offset) == ("", offset)


def test_a_cluster_remembers_runs_of_other_homes_and_of_another_time(
    store: RunStore, dataset: Dataset, cluster: FakeRay, phantoms: Path, tmp_path: Path
) -> None:
    other = RunStore(replace(store.settings, home=tmp_path / "other"))
    run = other.submit(SHORT, scan(phantoms, other.settings.home)).run
    assert end_of(other, run) is State.DONE
    for _ in range(2):
        assert store.submit(SHORT, dataset).run == run
        assert end_of(store, run) is State.DONE
        store.remove(run)
    assert attempts(cluster) == [f"{run}-1"] * 3


def test_what_waits_on_the_cluster_is_stopped_there(
    store: RunStore, dataset: Dataset, cluster: FakeRay
) -> None:
    cluster.cpus = 0
    run = store.submit(SHORT, dataset).run
    assert store.info(run).state is State.QUEUED
    assert store.waiting() == []  # the order is the cluster's
    store.cancel(run)
    assert only_job(cluster).stopped
    store.resume(run)
    assert attempts(cluster) == [f"{run}-1", f"{run}-2"]
    store.remove(run)
    assert all(job.stopped for job in cluster.jobs.values())


def test_a_worker_whose_stop_was_not_heard_ends_without_a_word(
    store: RunStore, dataset: Dataset, cluster: FakeRay
) -> None:
    cluster.cpus = 0
    run = store.submit(SHORT, dataset).run
    cluster.down()
    store.cancel(run)
    assert store.info(run).state is State.CANCELLED
    cluster.cpus = 1
    cluster.up()
    wait_until(lambda: not runner_of(store).list(), "the cluster to be empty")
    job = only_job(cluster)
    assert (job.stopped, job.status()) == (False, "SUCCEEDED")
    assert store.info(run).state is State.CANCELLED
    assert not (store.path(run) / "last.safetensors").exists()


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
    assert examine(store.settings)["runner_answers"] == "Ray 2.60.0"

    cluster.broken = True  # as it runs: it goes on, and nothing is taken for its end
    assert store.list()[0].state in (State.RUNNING, State.QUEUED, State.DONE)
    assert wait_for_end(store, run) is State.DONE
    cluster.broken = False
    wait_until(lambda: not runner_of(store).list(), "the job to end")


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.ray)])
def guarded(request: pytest.FixtureRequest, cluster: FakeRay) -> tuple[str, str]:
    """A cluster that asks for a token: its runner and the token."""
    if request.param == "real":
        head = request.getfixturevalue("ray_head")
        return head.runner, head.token
    cluster.token = "secret"
    return cluster.runner, cluster.token


def test_a_token_is_asked_for(
    guarded: tuple[str, str], settings: Settings, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, token = guarded
    settings = replace(settings, runner=runner)
    for given, told in (
        ("", "set RAY_AUTH_TOKEN"),
        ("wrong", "it does not take the one in RAY_AUTH_TOKEN"),
    ):
        monkeypatch.setenv("RAY_AUTH_TOKEN", given)
        store = RunStore(settings)
        run = store.submit(SHORT, dataset).run
        assert store.info(run).state is State.QUEUED
        sentence = f"The cluster at {runner[4:]} wants a token: {told}."
        assert store.queue.problem == examine(settings)["runner_answers"] == sentence
        assert store.waiting() == [run]
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    assert str(examine(settings)["runner_answers"]).startswith("Ray 2.")
    store = RunStore(settings)
    assert end_of(store, run) is State.DONE
    assert store.queue.problem == ""


def test_a_worker_that_can_not_start_there_says_why(
    store: RunStore, dataset: Dataset, cluster: FakeRay
) -> None:
    cluster.cpus = 0
    run = store.submit(SHORT, dataset).run
    only_job(cluster).asked["entrypoint"] = "python3 -c 'raise SystemExit(\"No module named x\")'"
    cluster.cpus = 1
    wait_until(lambda: only_job(cluster).status() == "FAILED", "the worker to end")
    assert store.info(run).state is State.QUEUED  # never one that was interrupted
    assert store.list()[0].state is State.FAILED
    assert store.info(run).message == (
        "The worker could not be started. Its last line: No module named x"
    )


def test_a_home_that_the_cluster_does_not_share_is_the_failure_s_cause(
    store: RunStore,
    dataset: Dataset,
    cluster: FakeRay,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = tmp_path / "not-shared"
    cluster.mounts = {str(store.settings.home): str(elsewhere)}
    run = store.submit(SHORT, dataset).run
    assert end_of(store, run) is State.FAILED
    cause = f"There is no run in {elsewhere}/runs/{run}: is COVIDCORE_HOME shared with it?"
    assert store.info(run).message.endswith(cause)
    assert not elsewhere.exists()
    (shown,) = page(store.settings, run, monkeypatch)["problem"]
    assert "is COVIDCORE" in shown
    cluster.mounts = {}
    store.resume(run)
    assert end_of(store, run) is State.DONE


def test_a_home_without_a_whole_path_is_refused(cluster: FakeRay) -> None:
    with pytest.raises(RecipeError, match="a cluster needs the whole path of a folder"):
        RayRunner(cluster.runner, Settings(home=Path("home")))


def test_what_found_no_room_for_too_long_waits_again(
    store: RunStore, dataset: Dataset, cluster: FakeRay
) -> None:
    cluster.cpus = 0
    run = store.submit(SHORT, dataset).run
    only_job(cluster).given_up = True  # as Ray does after 15 minutes
    assert store.info(run).state is State.QUEUED
    store.list()
    assert attempts(cluster) == [f"{run}-1", f"{run}-2"]
    assert (store.info(run).state, store.waiting()) == (State.QUEUED, [])
    assert "had no room for too long: it waits again" in store.info(run).message
    cluster.cpus = 1
    assert end_of(store, run) is State.DONE
    assert store.info(run).message == ""


def test_a_job_that_failed_before_it_began_says_what_ray_says(
    store: RunStore, dataset: Dataset, cluster: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.cpus = 0
    run = store.submit(SHORT, dataset).run
    told = {"status": "FAILED", "message": "runtime_env setup failed: no disk"}
    monkeypatch.setattr(type(only_job(cluster)), "document", lambda self: told)
    store.list()
    assert store.info(run).state is State.FAILED
    assert store.info(run).message.endswith("Its last line: runtime_env setup failed: no disk")


def test_a_worker_that_outlives_the_cluster_s_memory_is_there(
    store: RunStore, dataset: Dataset, cluster: FakeRay, failpoints: Failpoints
) -> None:
    failpoints.arm("batch")
    run = store.submit(SHORT, dataset).run
    failpoints.wait("batch")
    forgotten = dict(cluster.jobs)
    cluster.jobs.clear()  # the head was started anew, this node was not
    assert [info.state for info in store.list()] == [State.RUNNING]
    assert runner_of(store).logs(RunFolder(store.path(run))) == ("", 0)
    failpoints.release("batch")
    assert end_of(store, run) is State.DONE
    cluster.jobs.update(forgotten)


def test_refusals_are_told_apart(
    store: RunStore, dataset: Dataset, cluster: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = 400, "Traceback (most recent call last):\nTypeError: no such thing\n."
    monkeypatch.setattr(cluster, "submit", lambda asked: answer)
    run = store.submit(SHORT, dataset).run
    assert store.info(run).state is State.FAILED
    sentence = "The cluster refused the job: HTTP 400, TypeError: no such thing."
    assert store.info(run).message == sentence

    answer = 500, "No available agent to submit job, please try again later."
    store.resume(run)  # a head that has just started: it waits
    assert store.info(run).state is State.QUEUED
    assert store.queue.problem == (
        f"The cluster at {cluster.runner[4:]} answers with an error: "
        "HTTP 500, No available agent to submit job, please try again later."
    )
    runner, folder = runner_of(store), RunFolder(store.path(run))
    assert runner.status(folder) is Presence.LOST
    runner.stop(folder)
    assert folder.stop_requested()
    cluster.broken = True
    with pytest.raises(RunnerUnavailable, match="HTTP 503, OSError: no head node"):
        runner.version()


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example.org ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    ],
)
def test_what_answers_there_may_be_something_else(answer: bytes, settings: Settings) -> None:
    class Other(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1 << 16)
            self.request.sendall(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        told = examine(replace(settings, runner=f"ray:{url}"))["runner_answers"]
        server.shutdown()
    assert told == f"What answers at {url} is not a Ray cluster."
