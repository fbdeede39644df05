"""The published releases of the Kaggle database: how their folders look, and how many they hold."""

import re
from collections.abc import Mapping

COUNTS: dict[str, dict[str, int]] = {
    "v1": {"COVID-19": 219, "NORMAL": 1341, "Viral Pneumonia": 1345},
    "v3": {"COVID": 1200, "NORMAL": 1341, "Viral Pneumonia": 1345},
    "v5": {"COVID": 3616, "Lung_Opacity": 6012, "Normal": 10192, "Viral Pneumonia": 1345},
}
"""Layout -> class -> images, as published (Kaggle, tawsifurrahman/covid19-radiography-database)."""
TITLES = {
    "v1": "the first published release",
    "v3": "the third published release",
    "v5": "the fifth published release",
}
_NUMBERED = re.compile(r".+ ?\(\d+\)\.png", re.IGNORECASE)


def layout_of(labels: Mapping[str, str]) -> str:
    """Name the release that a folder looks like, by its image files and their classes.

    ``flat`` or ``nested`` where it looks like none.
    """
    classes = set(labels.values())
    if all(file.split("/")[1].lower() == "images" for file in labels):
        return "v5" if classes <= set(COUNTS["v5"]) and "COVID" in classes else "nested"
    if all(_NUMBERED.fullmatch(file.rpartition("/")[2]) for file in labels):
        for layout in ("v1", "v3"):
            if classes == set(COUNTS[layout]):
                return layout
    return "flat" if all(file.count("/") == 1 for file in labels) else "nested"
