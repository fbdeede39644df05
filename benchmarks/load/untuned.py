"""The app without what makes it bear many visitors: the entry of the part ``untuned``.

Streamlit's own file watcher (by the environment), as many threads as torch likes, everybody in the
network at once, and a collector of garbage that goes through all of torch after every rerun.
"""

import runpy
from pathlib import Path

import benchmarks.load.loosen  # noqa: F401

runpy.run_path(str(Path(__file__).parents[2] / "streamlit_app.py"), run_name="__main__")
