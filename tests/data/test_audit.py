"""The whole audit: what is planted in phantoms is found, what is not is not; results are kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from covidcore import storage
from covidcore.data import audit as module
from covidcore.data.audit import STEPS, SplitSettings, audit, stored
from covidcore.data.index import Dataset, dataset_folder, scan
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.errors import RecipeError, Stopped

KEYS = {
    *("fingerprint", "exact_duplicates", "near_duplicates", "leaks", "source_by_class"),
    *("cramers_v", "source_only_accuracy", "header_only_accuracy", "findings"),
}

Make = Callable[..., tuple[Dataset, Path]]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Phantoms of 64 px by spec, scanned, each in a home of its own."""

    def made(**spec: Any) -> tuple[Dataset, Path]:
        place = tmp_path_factory.mktemp("audit")
        folder = write(PhantomSpec(**({"images": 120, "size": 64} | spec)), place / "set")
        return scan(folder, place / "home"), place / "home"

    return made


@pytest.fixture(scope="module")
def clean(make: Make) -> tuple[Dataset, Path, dict[str, Any]]:
    dataset, home = make(seed=2)
    return dataset, home, audit(dataset, home)


def kinds(document: dict[str, Any]) -> set[str]:
    return {one["kind"] for one in document["findings"]}


def test_where_nothing_is_planted_nothing_is_found(
    clean: tuple[Dataset, Path, dict[str, Any]],
) -> None:
    document = clean[2]
    assert document["exact_duplicates"] == document["near_duplicates"] == []
    assert document["label_conflicts"] == document["outliers"] == []
    assert document["cramers_v"] < 0.2
    assert document["leaks"]["this_split"] == 0
    # All that is said is what would be wrong with another split.
    assert kinds(document) == {"random_leak"}
    assert document["leaks_by_kind"]["random_split"]["patient"] == document["leaks"]["random_split"]


def test_the_document_keeps_the_contract(clean: tuple[Dataset, Path, dict[str, Any]]) -> None:
    dataset, _, document = clean
    assert set(document) >= KEYS
    assert document["fingerprint"] == dataset.fingerprint
    assert set(document["leaks"]) == {"random_split", "this_split"}
    assert {"level", "title", "detail"} <= set(document["findings"][0])
    assert sum(sum(row.values()) for row in document["source_by_class"].values()) == 120
    for kind in ("header_only", "border_only"):
        one = document[kind]
        assert one["accuracy_ci"][0] <= one["accuracy"] <= one["accuracy_ci"][1]
        assert one["n"] == 120 and one["majority_accuracy"] == pytest.approx(1 / 3)
        assert one["groups"] == dataset.index["group"].nunique()
    assert document["split"]["by_class"]["NORMAL"]["test"] == 8
    by_source = document["split"]["by_source"]
    assert sum(row["train"] for row in by_source.values()) == sum(
        row["train"] for row in document["split"]["by_class"].values()
    )


def test_as_many_copies_are_found_as_were_planted(make: Make) -> None:
    dataset, home = make(seed=5, duplicates=4, near_duplicates=6)
    document = audit(dataset, home)
    assert sum(len(group) - 1 for group in document["exact_duplicates"]) == 4
    assert sum(len(group) - 1 for group in document["near_duplicates"]) == 6
    assert sum(pair["mirrored"] for pair in document["near_pairs"]) == 1
    sizes = {one["kind"]: one["size"] for one in document["findings"]}
    assert (sizes["exact_duplicates"], sizes["near_duplicates"]) == (4, 6)
    # Half of them claim to be of new patients: the split by patient may leak, by both it may not.
    leaks = [
        audit(dataset, home, SplitSettings(seed=seed, group_by=how))["leaks"]["this_split"]
        for how in ("patient", "both")
        for seed in range(6)
    ]
    assert sum(leaks[:6]) > 0
    assert leaks[6:] == [0] * 6
    both = audit(dataset, home, SplitSettings(group_by="both"))
    assert {one["kind"]: one["level"] for one in both["findings"]}["near_duplicates"] == "info"


def test_a_source_of_the_first_class_alone_is_found(make: Make) -> None:
    """COVID-19 has hospital C; A and B hold both other classes: V is the square root of 1/2."""
    dataset, home = make(seed=3, cue="source")
    document = audit(dataset, home)
    assert document["cramers_v"] == pytest.approx(0.5**0.5, abs=0.03)
    hits = 40 + sum(
        max(document["source_by_class"][name].values()) for name in ("Hospital A", "Hospital B")
    )
    assert document["source_only_accuracy"] == hits / 120
    assert document["own_sources"] == {"COVID-19": 40}
    assert {"own_sources", "source_class", "border_only"} <= kinds(document)
    assert document["border_only"]["per_class"]["COVID-19"]["recall"] > 0.8


def test_a_marker_in_the_corner_is_found_by_the_border_alone(make: Make) -> None:
    dataset, home = make(seed=4, cue="corner")
    document = audit(dataset, home)
    assert document["border_only"]["per_class"]["COVID-19"]["recall"] > 0.8
    assert document["border_only"]["per_class"]["COVID-19"]["precision"] > 0.8
    assert kinds(document) == {"border_only", "random_leak"}


def test_an_audit_is_made_once(
    clean: tuple[Dataset, Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, home, document = clean

    def again(*_: Any, **__: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(module, "_measure", again)
    assert stored(dataset, home) == document
    assert audit(dataset, home) == document
    other = SplitSettings("60/20/20", seed=3)
    assert stored(dataset, home, other) is None
    assert audit(dataset, home, other)["split"]["by_class"]["NORMAL"]["val"] == 8
    monkeypatch.setattr(module, "_split_part", again)
    assert audit(dataset, home, other) == stored(dataset, home, other)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"version": 0}'])
def test_what_is_damaged_or_old_is_measured_again(
    clean: tuple[Dataset, Path, dict[str, Any]], damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, home, document = clean
    path = dataset_folder(home, dataset.fingerprint) / "audit.json"
    whole = storage.read_json(path)
    path.write_text(damage)
    assert stored(dataset, home) is None
    monkeypatch.setattr(module, "_measure", lambda *_: whole)
    assert audit(dataset, home) == document
    assert storage.read_json(path) == whole


def test_progress_counts_up_to_the_end_and_may_stop_the_work(make: Make) -> None:
    dataset, home = make(images=24, seed=8)
    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        assert total == STEPS
        seen.append(done)
        if done > 700:
            raise Stopped("enough")

    with pytest.raises(Stopped):
        audit(dataset, home, progress=stop)
    assert stored(dataset, home) is None
    assert not (dataset_folder(home, dataset.fingerprint) / "audit.json").exists()
    seen.clear()
    audit(dataset, home, progress=lambda done, total: seen.append(done))
    assert seen == sorted(seen) and seen[-1] == STEPS


def test_sources_can_be_left_out(clean: tuple[Dataset, Path, dict[str, Any]]) -> None:
    dataset, home, _ = clean
    document = audit(dataset, home, SplitSettings(exclude_sources=("Hospital B",)))
    assert set(document["split"]["by_source"]) == {"Hospital A"}
    assert set(document["source_by_class"]) == {"Hospital A", "Hospital B"}
    with pytest.raises(RecipeError, match="no source “Hospital Z”"):
        audit(dataset, home, SplitSettings(exclude_sources=("Hospital Z",)))


def test_a_split_that_can_not_be_is_said_and_the_rest_is_audited(make: Make) -> None:
    dataset, home = make(images=9, images_per_patient=4, seed=1)
    document = audit(dataset, home)
    assert document["leaks"]["this_split"] is None
    assert document["findings"][0]["kind"] == "split"
    assert "needs at least 3" in document["findings"][0]["detail"]
    assert document["header_only_accuracy"] is None


@pytest.mark.real
@pytest.mark.timeout(900)
def test_the_radiographs_of_the_write_up(real_data: Path, tmp_path: Path) -> None:
    dataset = scan(real_data, tmp_path)
    document = audit(dataset, tmp_path)
    assert round(document["source_only_accuracy"], 3) == 0.538
    assert document["cramers_v"] == pytest.approx(1, abs=0.001)
    assert document["own_sources"] == {"COVID-19": 219}
    assert document["children"]["by_class"] == {
        "COVID-19": {"children": 0, "unknown": 219},
        "NORMAL": {"children": 1341, "unknown": 0},
        "Viral Pneumonia": {"children": 1345, "unknown": 0},
    }
    assert sum(len(group) - 1 for group in document["exact_duplicates"]) == 6
    assert sum(len(group) - 1 for group in document["near_duplicates"]) == 16
    assert document["border_only_accuracy"] > 0.85
    assert len(document["outliers"]) < 15
    both = audit(dataset, tmp_path, SplitSettings(group_by="both"))
    assert both["leaks"]["this_split"] == 0 < both["leaks"]["random_split"]
