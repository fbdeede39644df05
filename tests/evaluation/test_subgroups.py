"""Parts of the test images: which there are, and their figures; and marks of copies."""

import math

import numpy as np
import pandas as pd
import pytest

from covidcore.errors import DataError
from covidcore.evaluation import predictions, subgroups
from covidcore.evaluation.marks import copies
from covidcore.proportions import wilson

CLASSES = ("COVID-19", "NORMAL")


def index_of(images=40):
    at = np.arange(images)
    return pd.DataFrame(
        {
            "file": [f"{one}.png" for one in at],
            "label": np.where(at % 2, *CLASSES),
            "source": np.where(at < 10, "a hospital", np.where(at < 30, "another", "")),
            "group": np.where(at < 10, "p", ""),
            "width": 100 + at,
            "height": 90,
            "mode": "L",
            "bytes": 1000,
            "sha256": [f"{one:x}" for one in at],
            "view": np.where(at % 4, "PA", "AP"),
        }
    )


def table_of(index, wrong=()):
    rows = index[["file", "label", "source", "group"]].assign(split="test")
    truth = (index["label"] == CLASSES[1]).to_numpy().astype(int)
    answer = np.where(np.isin(np.arange(len(index)), list(wrong)), 1 - truth, truth)
    return predictions.build(rows, 3.0 * np.eye(2)[answer], CLASSES)


def test_the_columns_that_part_the_images():
    ways = subgroups.groupings(index_of())
    assert set(ways) == {"label", "source", "view", "longer side", "patient"}
    assert sorted(set(ways["source"])) == ["a hospital", "another", "unknown"]
    assert sorted(set(ways["patient"])) == ["known", "unknown"]
    bands = ways["longer side"].value_counts()
    assert len(bands) == 4 and bands.between(9, 11).all()
    assert "100 to 110 pixels" in bands.index
    few = index_of().assign(width=np.where(np.arange(40) % 2, 224, 299), height=1)
    assert set(subgroups.groupings(few)["longer side"]) == {"224 pixels", "299 pixels"}


def test_figures_of_each_part_are_its_own():
    index = index_of()
    table = table_of(index, wrong=(0, 12, 14, 35))
    found = subgroups.by(table, subgroups.groupings(index)["source"], CLASSES)
    assert [part["value"] for part in found] == ["a hospital", "another", "unknown"]
    assert [part["n"] for part in found] == [10, 20, 10]
    assert [part["small"] for part in found] == [True, False, True]
    second = found[1]
    assert second["right"] == 18 and second["accuracy"] == 0.9
    assert second["accuracy_ci"] == list(wilson(18, 20))
    assert second["recall"]["COVID-19"]["n"] == 10
    low, high = second["balanced_accuracy_ci"]
    assert low < second["balanced_accuracy"] < high
    # One patient: nothing is known about the next.
    assert all(math.isnan(end) for end in found[0]["balanced_accuracy_ci"])


def test_a_class_that_a_part_has_none_of_is_nan_and_bands_are_in_order():
    index = index_of()
    ways = subgroups.groupings(index)
    found = subgroups.by(table_of(index), ways["label"], CLASSES)
    recall = {part["value"]: part["recall"] for part in found}
    assert math.isnan(recall["NORMAL"]["COVID-19"]["value"])
    assert recall["NORMAL"]["NORMAL"]["value"] == 1
    bands = [part["value"] for part in subgroups.by(table_of(index), ways["longer side"], CLASSES)]
    assert [int(band.split(" ")[0]) for band in bands] == sorted(
        int(band.split(" ")[0]) for band in bands
    )
    stranger = ways["label"].rename(lambda file: f"other/{file}")
    with pytest.raises(DataError, match="None of these images"):
        subgroups.by(table_of(index), stranger, CLASSES)


def test_copies_are_marked_where_they_are_in_training_before_all():
    rng = np.random.default_rng(0)
    thumbs = [rng.integers(0, 256, 256, dtype=np.uint8) for _ in range(5)]
    nearly = np.clip(thumbs[0].astype(int) + 1, 0, 255).astype(np.uint8)
    looks = [thumbs[0], nearly, thumbs[1], thumbs[1], thumbs[2], thumbs[2], thumbs[3]]
    index = pd.DataFrame(
        {
            "file": list("abcdefg"),
            "pixel_sha256": ["1", "2", "3", "3", "4", "4", "5"],
            "dhash": ["0" * 16] * 7,
            "thumbnail": [look.tobytes() for look in looks],
        }
    )
    split = pd.DataFrame(
        {
            "file": list("abcdefg"),
            "split": ["test", "train", "test", "train", "test", "val", "test"],
        }
    )
    marks = copies(index, split)
    assert marks["a"] == "nearly the same in training"
    assert marks["c"] == "the same picture in training"
    assert marks["e"] == "the same picture in validation"
    assert "g" not in marks
    everywhere = index.assign(pixel_sha256="1", thumbnail=looks[0].tobytes())
    told = copies(everywhere, split)
    assert told["a"] == "the same picture in training"  # though others are in test and validation
    assert told["b"] == "the same picture in training"  # the other one there
    assert copies(index, split[split["file"] == "a"]) == {}
