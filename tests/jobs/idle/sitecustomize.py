"""Python imports a module of this name when it starts: here a worker gets an idle training.

For tests of who waits, who starts and who ends, which do not look at what is learnt: torch is not
imported, and nothing is computed. Where ``WORKERS_STARTED`` names a file, each worker writes the
folder of its run there before anything else: none is started unseen.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType


class _Training(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "covidcore.jobs.training":
            return None
        return spec_from_file_location(name, Path(__file__).with_name("idle_training.py"))


if "covidcore.jobs.worker" in sys.orig_argv:
    sys.meta_path.insert(0, _Training())
    if "WORKERS_STARTED" in os.environ:
        with Path(os.environ["WORKERS_STARTED"]).open("a") as file:
            file.write(sys.orig_argv[-2] + "\n")
