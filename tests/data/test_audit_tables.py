"""An audit's document as rows to show."""

from covidcore.data.audit_tables import by_rule, leak_rows, pairs, size_in_words, without_lungs


def test_rules_without_lungs() -> None:
    def one(share: float | None) -> dict[str, object]:
        return {"accuracy": share, "accuracy_ci": [None if share is None else share - 0.1, 1]}

    document = {
        "majority_accuracy": 0.5,
        "source_only_accuracy": None,
        "source_only_ci": [None, None],
        "header_only": one(None),
        "border_only": one(0.8),
    }
    assert [rule[1:] for rule in without_lungs(document)] == [
        (0.5, None, None),
        (None, None, None),
        (None, None, 1),
        (0.8, 0.8 - 0.1, 1),
    ]


def test_a_split_that_can_not_be_made_has_no_row() -> None:
    counts = {"test": 9, "exact": 1, "near": 2, "patient": 3, "any": 5}
    document = {
        "split": {"group_by": "both"},
        "leaks_by_kind": {"random_split": counts, "this_split": None},
    }
    assert leak_rows(document) == [{"split": "at random", **counts}]
    document["leaks_by_kind"]["this_split"] = counts
    assert [row["split"] for row in leak_rows(document)] == [
        "at random",
        "by patient and near duplicates",
    ]


def test_pairs_of_each_kind() -> None:
    near = {"first": "a", "second": "d", "mirrored": True, "correlation": 0.99123}
    document = {
        "exact_duplicates": [["a", "b", "c"]],
        "near_duplicates": [["a", "d"]],
        "near_pairs": [near, {**near, "second": "e", "mirrored": False}],
        "label_conflicts": [["a", "b", "c", "d"]],
    }
    found = pairs(document, {"a": "x", "b": "x", "c": "y", "d": "y", "e": "x"})
    assert [pair[:2] for pair in found["exact"]] == [("a", "b"), ("a", "c")]
    assert [pair.how for pair in found["near"]] == [
        "mirrored, correlation 0.991",
        "correlation 0.991",
    ]
    assert [pair[:2] for pair in found["conflicts"]] == [("a", "c"), ("a", "d")]


def test_outliers_by_rule() -> None:
    listed = [{"rule": "blank", "file": "a"}, {"rule": "small", "file": "b"}]
    listed.append({"rule": "blank", "file": "c"})
    assert {rule: len(some) for rule, some in by_rule(listed).items()} == {"blank": 2, "small": 1}


def test_sizes_are_images_shares_or_a_ratio() -> None:
    sizes = [("leak", 1), ("leak", 1200), ("border_only", 0.9), ("imbalance", 6.14), ("split", 0)]
    said = [size_in_words({"kind": kind, "size": size}) for kind, size in sizes]
    assert said == ["1 image", "1,200 images", "90.0 %", "6.1 to 1", ""]
