"""Stress tests of a finished run: asked for, and found again.

What is found is kept in the run's folder as ``stress.json``. It looks at the run's test images, so
whoever shows it counts a look (`openings`), as for any figure of theirs; the process itself, which
shows nobody anything, does not.
"""

from typing import TYPE_CHECKING

from covidcore.jobs.folder import RunFolder
from covidcore.jobs.models import check_tested
from covidcore.jobs.studies import Study, stamp_of_checkpoint

if TYPE_CHECKING:
    from covidcore.jobs.store import RunStore

IMAGES = 600
"""Test images that are looked at with lungs out and lungs only, at most."""
LADDER_IMAGES = 120
"""Of these, so many on the ladder of corruptions, which is 26 looks at each, and by Grad-CAM."""
_VERSION = 1
"""Of what is measured; a change measures anew."""


def stress_study(store: "RunStore", run: str) -> Study:
    """The stress tests of ``run``.

    Raises: RunError where there is no such run, or it has no model.
    """
    folder = RunFolder(store.path(run))
    check_tested(folder)
    return Study(
        folder,
        folder.stress,
        stamp_of_checkpoint(folder, _VERSION),
        "covidcore.jobs.stress_process",
        str(store.settings.home),
        run,
    )
