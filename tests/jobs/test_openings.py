"""How often the test figures of a run were shown: counted once each, whoever looks."""

import subprocess
import sys
from pathlib import Path

import pytest

from covidcore.jobs.folder import State
from covidcore.jobs.openings import note_opened, times_opened
from tests.conftest import ROOT, run_obedient
from tests.runs import write_run

PROCESSES, LOOKS = 8, 5

# Waits until all are ready, so that they look at once.
LOOKER = f"""
import sys
from pathlib import Path
from covidcore.jobs.openings import note_opened
print("ready", flush=True)
sys.stdin.readline()
for _ in range({LOOKS}):
    note_opened(Path(sys.argv[1]))
"""


@pytest.fixture
def run(home: Path) -> Path:
    return write_run(home, "aaaa", State.DONE).path


def test_each_look_counts_once(run: Path) -> None:
    assert times_opened(run) == 0
    assert [note_opened(run) for _ in range(3)] == [1, 2, 3]
    assert times_opened(run) == 3


def test_eight_processes_that_look_at_once(run: Path) -> None:
    lookers = [
        subprocess.Popen(
            [sys.executable, "-c", LOOKER, str(run)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for looker in lookers:
        assert looker.stdout and looker.stdout.readline() == "ready\n"
    for looker in lookers:
        assert looker.stdin
        looker.stdin.write("\n")
        looker.stdin.flush()
    for looker in lookers:
        looker.communicate()
        assert looker.returncode == 0
    assert times_opened(run) == PROCESSES * LOOKS


@pytest.mark.parametrize("text", ["", "[]", '{"times": "x"}', '{"times": null}', '{"times": -2}'])
def test_a_damaged_count_begins_anew(run: Path, text: str) -> None:
    (run / "opened.json").write_text(text)
    assert times_opened(run) == 0
    assert note_opened(run) == 1


def test_a_home_that_can_only_be_read_is_shown_and_not_counted(run: Path) -> None:
    note_opened(run)
    run.chmod(0o555)
    try:
        code = (
            "import sys; from pathlib import Path\n"
            "from covidcore.jobs.openings import note_opened\n"
            "print(note_opened(Path(sys.argv[1])))"
        )
        assert run_obedient([sys.executable, "-c", code, str(run)]) == "1\n"
    finally:
        run.chmod(0o755)
    assert times_opened(run) == 1
