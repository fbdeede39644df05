"""The index of ended runs: the list is what the folders say, whatever happens to the index."""

import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from covidcore import sealed, storage
from covidcore.config import Settings
from covidcore.errors import RunError
from covidcore.jobs import catalogue
from covidcore.jobs.catalogue import INDEX
from covidcore.jobs.folder import RunFolder, State
from covidcore.jobs.info import RunInfo, describe
from covidcore.jobs.queue import Queue
from covidcore.jobs.store import RunStore
from tests.conftest import ROOT, run_obedient
from tests.runs import write_run

Infos = dict[str, RunInfo]
RUNS = [f"{number:04d}" for number in range(8)]
ENDED = (State.DONE, State.FAILED, State.CANCELLED)


@pytest.fixture
def store(home: Path) -> RunStore:
    """Eight runs that have ended; with no slot, none that waits is started."""
    for number, run in enumerate(RUNS):
        accuracy = 0.9 + number / 1000
        write_run(home, run, ENDED[number % 3], accuracy=accuracy, message=f"número {run}\udcff")
    return RunStore(Settings(home=home, slots=0))


def listed(store: RunStore) -> Infos:
    return {info.run: info for info in store.list()}


def from_folders(home: Path) -> Infos:
    """The list by opening every file of every run."""
    queue, infos = Queue(Settings(home=home, slots=0)), {}
    for folder in queue.folders():
        with contextlib.suppress(RunError):
            infos[folder.run] = describe(folder, queue.state(folder))
    return infos


def index_of(store: RunStore) -> Path:
    return store.queue.folder / INDEX


def remembered(store: RunStore) -> list[str]:
    """The runs in the index."""
    with contextlib.closing(sqlite3.connect(index_of(store))) as database:
        return [run for (run,) in database.execute("SELECT run FROM runs ORDER BY run")]


def assert_read_from_the_index(store: RunStore, expected: Infos) -> None:
    """Even where job files, which never change, have become unreadable: nobody opens them."""
    kept = {folder: folder.job.read_bytes() for folder in store.queue.folders()}
    for folder in kept:
        folder.job.write_bytes(b"unreadable")
    assert listed(store) == expected
    for folder, data in kept.items():
        folder.job.write_bytes(data)


def test_an_ended_run_is_read_once(store: RunStore) -> None:
    expected = from_folders(store.settings.home)
    assert sorted(expected) == RUNS
    assert listed(store) == expected
    assert {info.state for info in expected.values()} == set(ENDED)
    assert remembered(store) == RUNS
    assert_read_from_the_index(store, expected)
    assert_read_from_the_index(RunStore(store.settings), expected)


OPENED = """
import sys
from pathlib import Path
from covidcore.config import Settings
from covidcore.jobs.store import RunStore
store, opened = RunStore(Settings(home=Path(sys.argv[1]), slots=0)), set()
def note(event, arguments):
    if event == "open" and "runs" in str(arguments[0]):
        opened.add(Path(arguments[0]).parent.name)
sys.addaudithook(note)
store.list(), store.waiting(), store.advance(), store.find("latest"), store.find("0001")
print(*sorted(opened - {"runs"}))
"""


def test_no_file_of_an_ended_run_is_opened_to_list_or_to_move_the_queue_on(
    store: RunStore,
) -> None:
    write_run(store.settings.home, "aaaa", State.QUEUED)
    write_run(store.settings.home, "bbbb", State.RUNNING)  # interrupted: nobody holds its lock
    command = [sys.executable, "-c", OPENED, str(store.settings.home)]
    opened = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert opened.split() == [*RUNS, "aaaa", "bbbb"]
    opened = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert opened.split() == ["aaaa", "bbbb"]


def test_what_has_not_ended_is_read_each_time(store: RunStore) -> None:
    home = store.settings.home
    waiting = write_run(home, "aaaa", State.QUEUED)
    begun = write_run(home, "bbbb", State.RUNNING)
    odd = write_run(home, "cccc", State.RUNNING)
    odd.status_file.unlink()
    states = [State.QUEUED, State.INTERRUPTED, State.INTERRUPTED]
    for _ in range(2):
        infos = listed(store)
        assert [infos[run].state for run in ("aaaa", "bbbb", "cccc")] == states
        assert infos == from_folders(home)
        assert remembered(store) == RUNS
        assert store.waiting() == ["aaaa"]
    with FileLock(begun.lock):
        assert listed(store)["bbbb"].state is State.RUNNING
    begun.write_status(State.DONE, accuracy=0.7)
    waiting.write_status(State.CANCELLED)
    assert listed(store)["bbbb"].accuracy == 0.7
    assert store.waiting() == []
    assert remembered(store) == [*RUNS, "aaaa", "bbbb"]


def test_a_run_has_not_ended_for_good_while_its_worker_is_there(store: RunStore) -> None:
    """It takes a slot of the machine until it has left."""
    home = store.settings.home
    last = write_run(home, "aaaa", State.DONE)
    waiting = write_run(home, "bbbb", State.QUEUED)
    one = RunStore(replace(store.settings, slots=1))
    with FileLock(last.lock):
        for _ in range(2):
            assert listed(one)["aaaa"].state is State.DONE
            assert one.waiting() == ["bbbb"]
            assert not waiting.handover.exists()
            assert "aaaa" not in remembered(one)
    assert listed(store) == from_folders(home)
    assert "aaaa" in remembered(store)


def test_a_damaged_run_that_is_queued_again_is_not_shown_from_the_index(store: RunStore) -> None:
    run = RUNS[0]
    assert listed(store)[run].state is State.DONE
    store.resume(run)  # its files were never made, which is as damaged as can be
    info = listed(store)[run]
    assert (info.state, info.accuracy) == (State.QUEUED, None)
    assert store.waiting() == [run]
    assert remembered(store) == RUNS[1:]
    store.cancel(run)
    assert listed(store)[run].state is State.CANCELLED
    assert remembered(store) == RUNS


def test_removed_runs_are_forgotten(store: RunStore) -> None:
    listed(store)
    store.remove(RUNS[3])
    shutil.rmtree(store.path(RUNS[4]))
    assert sorted(listed(store)) == RUNS[:3] + RUNS[5:] == remembered(store)
    write_run(store.settings.home, RUNS[3], State.FAILED, message="Another one.")
    assert listed(store)[RUNS[3]].message == "Another one."


def with_accuracy(file: Path, accuracy: float) -> bytes:
    """A status as a worker would have written it."""
    return sealed.json_bytes({**storage.read_json(file), "accuracy": accuracy})


def replaced(file: Path) -> None:
    """Same size, same time of change, another file."""
    before = file.stat()
    other = file.with_name("other")
    other.write_bytes(with_accuracy(file, 0.101))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(file)


def edited(file: Path) -> None:
    """Same size, same file, another time of change."""
    before = file.stat()
    file.write_bytes(with_accuracy(file, 0.101))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def resized(file: Path) -> None:
    """Same file, same time of change, another size."""
    before = file.stat()
    file.write_bytes(with_accuracy(file, 0.1001))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [replaced, edited, resized])
def test_a_status_that_was_changed_is_read_again(
    store: RunStore, change: Callable[[Path], None]
) -> None:
    before = listed(store)
    assert before[RUNS[1]].accuracy == 0.901
    change(RunFolder(store.path(RUNS[1])).status_file)
    after = listed(store)
    assert after == from_folders(store.settings.home)
    assert 0.1 <= (after[RUNS[1]].accuracy or 0) < 0.2
    assert_read_from_the_index(store, after)


def emptied(index: Path) -> None:
    index.write_bytes(b"")


def halved(index: Path) -> None:
    index.write_bytes(index.read_bytes()[: index.stat().st_size // 2])


def junk(index: Path) -> None:
    index.write_bytes(random.Random(1).randbytes(20_000))


def older(index: Path) -> None:
    """Whole, and written by a program to which the same values meant something else."""
    with contextlib.closing(sqlite3.connect(index)) as database:
        for run, info in database.execute("SELECT run, info FROM runs").fetchall():
            other = info.replace(b"0.9", b"0.1")
            values = (other, zlib.crc32(other), run)
            database.execute("UPDATE runs SET info = ?, checksum = ? WHERE run = ?", values)
        database.execute("PRAGMA user_version = 1")
        database.commit()


def foreign(index: Path) -> None:
    with contextlib.closing(sqlite3.connect(index)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("DROP TABLE runs")
        database.execute("CREATE TABLE runs (name TEXT)")
        database.commit()


def altered(index: Path) -> None:
    """Sound as a database, but its rows are not what was written."""
    with contextlib.closing(sqlite3.connect(index)) as database:
        database.execute("UPDATE runs SET info = CAST(replace(info, '0.9', '0.1') AS BLOB)")
        database.commit()


def of_other_kinds(index: Path) -> None:
    with contextlib.closing(sqlite3.connect(index)) as database:
        database.execute("UPDATE runs SET info = NULL, checksum = 'x', stamp = 1.5")
        database.commit()


def with_a_stranger_s_journal(index: Path) -> None:
    halved(index)
    index.with_name(INDEX + "-journal").write_bytes(random.Random(2).randbytes(2_000))


DAMAGE = [
    *(Path.unlink, emptied, halved, junk, older, foreign, altered, of_other_kinds),
    with_a_stranger_s_journal,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_index_that_is_no_use_is_made_anew(
    store: RunStore, damage: Callable[[Path], None]
) -> None:
    expected = from_folders(store.settings.home)
    assert listed(store) == expected
    damage(index_of(store))
    assert listed(store) == expected
    assert remembered(store) == RUNS
    assert_read_from_the_index(store, expected)


def test_an_index_that_can_be_read_but_takes_nothing_is_made_anew(store: RunStore) -> None:
    listed(store)
    with contextlib.closing(sqlite3.connect(index_of(store))) as database:
        refuse = "BEGIN SELECT RAISE(ABORT, 'no'); END"
        database.execute(f"CREATE TRIGGER no BEFORE INSERT ON runs {refuse}")
        database.commit()
    write_run(store.settings.home, "aaaa", State.DONE)
    assert listed(store) == from_folders(store.settings.home)
    assert remembered(store) == [*RUNS, "aaaa"]


def test_flipped_bits_change_no_list(store: RunStore) -> None:
    expected, chance = from_folders(store.settings.home), random.Random(3)
    for _ in range(60):
        assert listed(store) == expected
        data = bytearray(index_of(store).read_bytes())
        for _ in range(chance.choice((1, 8, 64))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        index_of(store).write_bytes(data)
    assert listed(store) == expected


def test_the_index_of_another_home_says_nothing_of_this_one(
    store: RunStore, tmp_path: Path
) -> None:
    other = RunStore(Settings(home=tmp_path / "other", slots=0))
    for run in (*RUNS[:4], "ffff"):
        write_run(other.settings.home, run, State.DONE, accuracy=0.1)
    listed(other)
    expected = from_folders(store.settings.home)
    shutil.copy(index_of(other), index_of(store))
    assert listed(store) == expected
    assert remembered(store) == RUNS


def test_what_can_not_be_an_index_is_left_alone(store: RunStore) -> None:
    (index_of(store) / "inside").mkdir(parents=True)
    for _ in range(2):
        assert listed(store) == from_folders(store.settings.home)
    assert [path.name for path in index_of(store).iterdir()] == ["inside"]


def test_an_index_that_another_process_holds_is_made_anew(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_PATIENCE_SECONDS", 0.05)
    expected = listed(store)
    with contextlib.closing(sqlite3.connect(index_of(store))) as database:
        database.execute("BEGIN EXCLUSIVE")
        assert listed(store) == expected
        assert_read_from_the_index(store, expected)


def test_while_another_process_writes_the_index_the_folders_are_read(store: RunStore) -> None:
    expected = from_folders(store.settings.home)
    with FileLock(index_of(store).with_suffix(".lock")):
        assert listed(store) == expected
        assert not index_of(store).exists()
    assert listed(store) == expected
    assert remembered(store) == RUNS


LIST = """
import os, sys
if sys.argv[2:]:
    sys.modules["sqlite3"] = None
from pathlib import Path
from covidcore.config import Settings
from covidcore.jobs.info import runs_as_json
from covidcore.jobs.store import RunStore
assert os.access(sys.argv[1], os.W_OK) == bool(sys.argv[2:])
print(runs_as_json(RunStore(Settings(home=Path(sys.argv[1]), slots=0)).list()))
"""


@pytest.mark.parametrize("before", [True, False], ids=["with an index", "without one"])
def test_a_home_that_can_only_be_read(store: RunStore, before: bool) -> None:
    home = store.settings.home
    write_run(home, "aaaa", State.QUEUED)
    if before:
        listed(store)
    for path in (home, home / "runs"):
        path.chmod(0o555)
    try:
        said = run_obedient([sys.executable, "-c", LIST, str(home)])
    finally:
        for path in (home, home / "runs"):
            path.chmod(0o755)
    assert index_of(store).exists() == before
    assert all(f"'run': '{run}'" in said for run in (*RUNS, "aaaa"))


def test_a_python_without_sqlite(store: RunStore) -> None:
    command = [sys.executable, "-c", LIST, str(store.settings.home), "without"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"'run': '{run}'" in said for run in RUNS)
    assert not index_of(store).exists()


def test_a_worker_opens_no_index(store: RunStore) -> None:
    """What it does when it has ended: move the queue on."""
    Queue(store.settings).advance()
    assert not index_of(store).exists()
    index_of(store).write_bytes(b"not to be touched")
    Queue(store.settings).advance()
    assert Queue(store.settings).waiting() == []
    assert index_of(store).read_bytes() == b"not to be touched"


def test_names_that_mean_something_in_an_address(tmp_path: Path) -> None:
    store = RunStore(Settings(home=tmp_path / "a?b#c%20d é&mode=memory", slots=0))
    write_run(store.settings.home, "aaaa", State.DONE)
    for _ in range(2):
        assert sorted(listed(store)) == ["aaaa"]
    assert remembered(store) == ["aaaa"]


TOGETHER = """
import sys
from pathlib import Path
from covidcore.config import Settings
from covidcore.jobs.catalogue import INDEX
from covidcore.jobs.store import RunStore
home, number = Path(sys.argv[1]), int(sys.argv[2])
store, index = RunStore(Settings(home=home, slots=0)), home / "runs" / INDEX
print("ready", flush=True)
sys.stdin.readline()
for turn in range(40):
    infos = {info.run: info.accuracy for info in store.list()}
    assert len(infos) == 8 and infos["0007"] == 0.907, infos
    if turn % 3 == number:
        index.unlink(missing_ok=True)
    elif turn % 3 == 2:
        index.write_bytes(b"junk" * (1 + 500 * number))
print("done")
"""


def test_two_processes_that_list_and_make_the_index_anew(store: RunStore) -> None:
    command = [sys.executable, "-c", TOGETHER, str(store.settings.home)]
    both = [
        subprocess.Popen(
            [*command, str(number)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for process in both:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    said = []
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        said.append(process.communicate(timeout=120))
    assert said == [("done\n", "")] * 2
    expected = from_folders(store.settings.home)
    assert listed(store) == expected
    assert_read_from_the_index(store, expected)


STATUS = st.fixed_dictionaries(
    {},
    optional={
        "accuracy": st.none() | st.floats(0, 1) | st.booleans() | st.integers(),
        "message": st.sampled_from(["", "Out of memory.", "\udcff", 3]),
        "started": st.sampled_from(["2026-01-01T00:00:00+00:00", "soon", None]),
        "finished": st.sampled_from(["2026-01-01T00:01:00+00:00", "2026-01-01", 5]),
        "val_loss": st.none() | st.lists(st.integers(), max_size=2),
    },
)
STEP = st.tuples(
    st.sampled_from(["write", "write", "junk", "remove", "list", "flip", "forget"]),
    st.sampled_from(RUNS[:4]),
    st.sampled_from(State),
    STATUS,
)


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, max_size=14))
def test_whatever_happens_the_list_is_what_the_folders_say(
    steps: list[tuple[str, str, State, dict[str, object]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Settings(home=Path(folder), slots=0))
        store.queue.folder.mkdir()
        for number, (step, run, state, status) in enumerate(steps):
            written = {"state": state, "turn": "x" * number, **status}
            take(step, store, write_or_find(store, run, state), written)
            expected = from_folders(store.settings.home)
            assert listed(store) == expected
            waiting = [run for run, info in expected.items() if info.state is State.QUEUED]
            assert sorted(store.waiting()) == sorted(waiting)


def write_or_find(store: RunStore, run: str, state: State) -> RunFolder:
    found = store.queue.folders(run)
    return found[0] if found else write_run(store.settings.home, run, state)


def take(step: str, store: RunStore, folder: RunFolder, status: dict[str, object]) -> None:
    """One thing that may happen."""
    if step == "write":
        aside = folder.path / "aside"
        aside.write_text(json.dumps(status))
        aside.rename(folder.status_file)
    elif step == "junk":
        folder.history.write_bytes(b"\xff\xfe")
        folder.status_file.write_bytes(b'{"state": "done"' + b" " * len(str(status)))
    elif step == "remove":
        store.remove(folder.run)
    elif step == "forget":
        index_of(store).unlink(missing_ok=True)
    elif step == "flip" and index_of(store).exists():
        junk(index_of(store))
