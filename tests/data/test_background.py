"""Work in a process of its own lets the app go first, and nobody else."""

import subprocess
import sys
from pathlib import Path

import pytest

GROUP = Path("/proc/self/autogroup")
STEP = "import os; from covidcore.data.background import step_back; step_back(); print(os.nice(0))"


def says(*command: str) -> tuple[int, str]:
    """The niceness of a process that stepped back, and then that of the session it was started in.

    The session is a new one, so that nothing is left of what other tests have done.
    """
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, start_new_session=True
    )
    niceness, group = done.stdout.splitlines()
    return int(niceness), group.split("nice")[1].strip()


@pytest.mark.skipif(not GROUP.exists(), reason="this system groups no processes by session")
def test_a_session_of_its_own_steps_back_as_a_whole_and_no_other_one() -> None:
    niceness, session = says(
        sys.executable, "-c", f"{STEP}; print(open({str(GROUP)!r}).read().strip())"
    )
    assert niceness >= 10
    assert session == "10"
    within = 'python="$1"; "$python" -c "$2"; cat /proc/self/autogroup'
    niceness, session = says("sh", "-c", within, "sh", sys.executable, STEP)
    assert niceness >= 10
    assert session == "0"
