"""The images that a finding is about are those that the audit counted."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covidcore.data.audit import SplitSettings, audit, file_of, measured
from covidcore.data.audit_images import NAMES, findings_of_images
from covidcore.data.audit_leaks import deal, leaks, picture_ids
from covidcore.data.audit_pictures import RULES
from covidcore.data.gallery import sets_of
from covidcore.data.index import Dataset, scan
from covidcore.data.phantoms import PhantomSpec, write


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    """Phantoms with copies, of which two files are blank and one stands on its head."""
    place = tmp_path_factory.mktemp("found")
    spec = PhantomSpec(images=60, size=64, duplicates=2, near_duplicates=3)
    folder = write(spec, place / "set")
    files = sorted(folder.glob("NORMAL/images/*.png"))
    for number, file in enumerate(files[:2]):
        Image.fromarray(np.full((64, 64), 90 + number, dtype=np.uint8)).save(file)
    return scan(folder, place / "home"), place / "home"


def test_each_finding_about_images_lists_as_many_as_it_counts(
    audited: tuple[Dataset, Path],
) -> None:
    dataset, home = audited
    assert measured(dataset, home) is None
    document = audit(dataset, home)
    assert file_of(dataset, home).is_file()
    kept = measured(dataset, home)
    assert kept is not None
    found = findings_of_images(kept, dataset)
    assert {"exact_duplicates", "near_duplicates", "blank"} <= set(found)
    for one in document["findings"]:
        if one["kind"] in RULES:
            assert found[one["kind"]].sum() == one["size"]
    for kind in ("exact_duplicates", "near_duplicates"):
        files = set(dataset.index["file"][found[kind]])
        assert files == {file for group in document[kind] for file in group}
    names = dataset.index["file"][found["blank"]]
    assert len(names) == 2 and all(name.startswith("NORMAL/") for name in names)


def test_findings_of_classes_sources_and_patients(audited: tuple[Dataset, Path]) -> None:
    dataset, home = audited
    audit(dataset, home)
    kept = measured(dataset, home)
    assert kept is not None
    index = dataset.index.copy()
    index.loc[:4, "source"] = ""
    index.loc[5:6, "group"] = ""
    changed = type(dataset)(**{**dataset.__dict__, "index": index})
    found = findings_of_images(kept | {"own_sources": {"NORMAL": 20}}, changed)
    assert np.flatnonzero(found["unknown_sources"]).tolist() == [0, 1, 2, 3, 4]
    assert np.flatnonzero(found["unknown_patients"]).tolist() == [5, 6]
    assert (found["own_sources"] == (index["label"] == "NORMAL")).all()
    assert "children" not in found


def test_test_images_known_from_training_are_those_that_a_split_counts(
    audited: tuple[Dataset, Path],
) -> None:
    dataset, home = audited
    audit(dataset, home)
    kept = measured(dataset, home)
    assert kept is not None
    dealt = deal(dataset, SplitSettings("50/20/30", seed=1, group_by="none"))
    sets = sets_of(dataset.index, dealt)
    pictures = picture_ids(dataset.index, kept["near_pairs"])
    found = findings_of_images(kept, dataset, sets)["leak"]
    assert found.sum() == leaks(dataset.index, dealt, pictures)["any"] > 0
    assert set(sets[found]) == {"test"}
    by_both = sets_of(dataset.index, deal(dataset, SplitSettings(group_by="both")))
    assert "leak" not in findings_of_images(kept, dataset, by_both)
    assert "leak" not in findings_of_images(kept, dataset)


def test_every_finding_with_images_has_a_name() -> None:
    assert set(RULES) <= set(NAMES)
    assert len(set(NAMES.values())) == len(NAMES)
