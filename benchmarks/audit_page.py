"""How long the views Audit and Split take to draw: ``python -m benchmarks.audit_page DATASET``.

DATASET is the start of a fingerprint in ``COVIDCORE_HOME`` whose audit is stored. The time is the
script's, without the browser.
"""

import statistics
import sys
import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

ENTRY = Path(__file__).parents[1] / "streamlit_app.py"


def main(dataset: str, reruns: int = 10) -> None:
    """Print the first drawing, the median and the slowest of the reruns, and what they work."""
    for view in ("Audit", "Split"):
        app = AppTest.from_file(str(ENTRY), default_timeout=300)
        app.switch_page("pages/explore.py")
        app.query_params["view"] = view
        app.query_params["dataset"] = dataset
        times, work = [], []
        for _ in range(reruns + 1):
            began, worked = time.perf_counter(), time.process_time()
            app.run()
            times.append(1000 * (time.perf_counter() - began))
            work.append(1000 * (time.process_time() - worked))
            assert not app.exception and not app.error
        print(
            f"{view}: first {times[0]:.0f} ms; again: median {statistics.median(times[1:]):.0f} "
            f"ms, slowest {max(times[1:]):.0f} ms; of the processor: first {work[0]:.0f} ms, "
            f"again {statistics.median(work[1:]):.0f} ms"
        )


if __name__ == "__main__":
    main(sys.argv[1])
