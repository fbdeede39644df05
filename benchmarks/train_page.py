"""How long the train page takes to draw: ``python -m benchmarks.train_page [reruns]``.

Reads ``COVIDCORE_HOME`` as it is: start a run first to see the page beside one. The time is the
script's, without the browser.
"""

import statistics
import sys
import time
from collections import Counter
from pathlib import Path

from streamlit.testing.v1 import AppTest

from covidcore.config import Settings
from covidcore.jobs.store import RunStore

ENTRY = Path(__file__).parents[1] / "streamlit_app.py"


def main(reruns: int = 20) -> None:
    """Print the first drawing, the median and the slowest of the reruns, and what they work."""
    app = AppTest.from_file(str(ENTRY), default_timeout=120)
    app.switch_page("pages/train.py")
    times, work = [], []
    for _ in range(reruns + 1):
        began, worked = time.perf_counter(), time.process_time()
        app.run()
        times.append(1000 * (time.perf_counter() - began))
        work.append(1000 * (time.process_time() - worked))
        assert not app.exception
    states = Counter(run.state.value for run in RunStore(Settings.from_environment()).list())
    print(", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no runs")
    print(
        f"first {times[0]:.0f} ms; again: median {statistics.median(times[1:]):.0f} ms, "
        f"slowest {max(times[1:]):.0f} ms of {reruns}; "
        f"of the processor: median {statistics.median(work[1:]):.0f} ms"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
