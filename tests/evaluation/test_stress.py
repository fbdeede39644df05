"""Figures and verdicts of stress tests, on answers whose meaning is known."""

import math

import numpy as np
import pytest

from covidcore.evaluation import stress
from covidcore.evaluation.stress import Chance, Where
from covidcore.proportions import wilson

CHANCE = Chance(0.5, "NORMAL")
MASKS, BOXES, BOTH = Where(40, 0), Where(0, 40), Where(30, 10)


def figures(right: int, of: int = 100, answer_share: float = 0.5) -> dict:
    usual = {"answer": "COVID-19", "answer_share": answer_share}
    return {**stress.accuracy(np.arange(of) < right), **usual}


def test_chance_is_the_share_of_the_largest_class() -> None:
    assert stress.chance(np.array([0, 1, 1, 2, 1]), ("a", "b", "c")) == (0.6, "b")


def test_accuracy_has_wilson_s_interval() -> None:
    found = stress.accuracy(np.arange(100) < 90)
    assert found == {"n": 100, "accuracy": 0.9, "accuracy_ci": list(wilson(90, 100))}
    assert math.isnan(figures(0, 0)["accuracy"])


@pytest.mark.parametrize("judge", [stress.lungs_out, stress.lungs_only])
def test_who_answers_always_the_same_is_told(judge) -> None:
    usual = stress.usual_answer(np.array([0] * 19 + [1]), ("COVID-19", "NORMAL"))
    assert usual == {"answer": "COVID-19", "answer_share": 0.95}
    told = "It answers “COVID-19” about 95.0 % of them."
    assert told in judge(figures(8, 100, 0.95), figures(98), CHANCE, MASKS)["verdict"]
    assert "It answers" not in judge(figures(8), figures(98), CHANCE, MASKS)["verdict"]


@pytest.mark.parametrize(
    ("right", "finding"),
    [
        (95, "above_chance"),
        (61, "above_chance"),
        (59, "at_chance"),
        (50, "at_chance"),
        (10, "at_chance"),
    ],
)
@pytest.mark.parametrize("judge", [stress.lungs_out, stress.lungs_only])
def test_what_is_above_chance_is_told_by_the_interval(judge, right: int, finding: str) -> None:
    """Of 100, Wilson's interval of 60 begins at 50.2 %, that of 59 at 49.2 %."""
    found = judge(figures(right), figures(98), CHANCE, MASKS)
    assert found["finding"] == finding
    assert f"{right}.0 % of 100 images" in found["verdict"]
    assert "50.0 % of always answering “NORMAL”" in found["verdict"]


def test_lungs_out_says_what_it_means() -> None:
    high = stress.lungs_out(figures(95), figures(98), CHANCE, MASKS)["verdict"]
    assert high.startswith("With the lungs black the run is right on 95.0 %")
    assert "what is not lungs, or the shape of what was blacked, tells it the class" in high
    low = stress.lungs_out(figures(50), figures(98), CHANCE, MASKS)["verdict"]
    assert "nothing shows that it answers by what is not lungs" in low


@pytest.mark.parametrize("judge", [stress.lungs_out, stress.lungs_only])
def test_a_box_is_not_called_lungs(judge) -> None:
    assert "box" not in judge(figures(95), figures(98), CHANCE, MASKS)["verdict"]
    box = judge(figures(95), figures(98), CHANCE, BOXES)["verdict"]
    assert "no lung masks are known: a box stands for the lungs" in box
    assert "shape of what was blacked" not in box  # it is the same for all
    assert (
        "10 of 40 images have no mask" in judge(figures(95), figures(98), CHANCE, BOTH)["verdict"]
    )


@pytest.mark.parametrize("judge", [stress.lungs_out, stress.lungs_only])
def test_who_is_at_chance_anyway_is_not_judged(judge) -> None:
    found = judge(figures(50), figures(55), CHANCE, MASKS)
    assert found["finding"] == "untested"
    assert "nothing to lose" in found["verdict"]


def test_the_level_at_which_five_points_are_lost() -> None:
    levels = [{"level": at, "accuracy": value} for at, value in ((1, 0.9), (2, 0.85), (3, 0.95))]
    assert stress.falls_at(levels, 0.9) == 2
    assert stress.falls_at(levels, 0.95) == 1
    assert stress.falls_at(levels, 0.89) is None


def test_the_ladder_names_what_it_falls_by_and_what_not() -> None:
    kinds = [
        {"kind": "noise", "unit": "of the scale", "falls_at": 0.05, "levels": [1, 2]},
        {"kind": "blur", "unit": "%", "falls_at": None, "levels": [1, 2]},
    ]
    found = stress.ladder(kinds, figures(95), CHANCE)
    assert found["finding"] == "falls"
    assert "noise (0.05 of the scale). No level of blur does." in found["verdict"]
    assert stress.ladder(kinds[1:], figures(95), CHANCE)["finding"] == "holds"
    swapped = {"kind": "inversion", "unit": "swapped", "falls_at": 1, "levels": [1]}
    assert stress.ladder([swapped], figures(95), CHANCE)["verdict"].endswith("with inversion.")
    assert stress.ladder(kinds, figures(52), CHANCE)["finding"] == "untested"


def halves(images: int = 20, cells: int = 8, size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Maps that look at the left half, and areas that are it."""
    maps = np.zeros((images, cells, cells), np.float32)
    maps[:, :, : cells // 2] = 1
    areas = np.zeros((images, size, size), dtype=bool)
    areas[:, :, : size // 2] = True
    return maps, areas


def test_the_mass_in_the_lungs_is_set_against_their_area() -> None:
    maps, areas = halves()
    groups = [f"p{at // 2}" for at in range(20)]
    found = stress.attention(maps, areas, groups)
    assert (found["n"], found["area"]) == (20, 0.5)
    assert 0.9 < found["share"] <= 1
    assert found["ratio"] == pytest.approx(found["share"] / 0.5)
    assert stress.attention_verdict(found, MASKS)["finding"] == "inside"
    away = stress.attention(maps, ~areas, groups)
    assert away["share"] == pytest.approx(1 - found["share"])
    assert stress.attention_verdict(away, MASKS)["finding"] == "outside"
    flat = stress.attention(np.ones_like(maps), areas, groups)
    assert flat["ratio"] == pytest.approx(1)
    assert stress.attention_verdict(flat, BOXES)["finding"] == "even"
    assert "a box stands for the lungs" in stress.attention_verdict(flat, BOXES)["verdict"]


def test_a_mixed_look_is_not_called_a_look() -> None:
    """Half of the patients' maps lie inside, half outside: the interval holds 1."""
    maps, areas = halves()
    maps[::2] = maps[::2, :, ::-1]
    found = stress.attention(maps, areas, [""] * 20)
    low, high = found["ratio_ci"]
    assert low < 1 < high
    assert stress.attention_verdict(found, MASKS)["finding"] == "even"


def test_groups_are_what_is_drawn() -> None:
    maps, areas = halves()
    maps[:5] = maps[:5, :, ::-1]
    alone = stress.attention(maps, areas, [""] * 20)["ratio_ci"]
    grouped = stress.attention(maps, areas, ["a"] * 5 + ["b"] * 5 + ["c"] * 5 + ["d"] * 5)[
        "ratio_ci"
    ]
    assert grouped[1] - grouped[0] > alone[1] - alone[0]


def test_maps_that_tell_nothing_are_left_out() -> None:
    maps, areas = halves()
    maps[:3] = 0
    assert stress.attention(maps, areas, [""] * 20)["n"] == 17
    for none in (np.zeros_like(maps), np.ones((20, 2, 2), np.float32)):
        found = stress.attention(none, areas, [""] * 20)
        assert found["n"] == 0 and math.isnan(found["ratio"])
        assert stress.attention_verdict(found, MASKS)["finding"] == "untested"


def test_a_sample_has_every_class_in_its_share() -> None:
    truth = np.repeat([0, 1, 2], [600, 395, 5])
    chosen = stress.sample(truth, 100, 0)
    assert len(np.unique(chosen)) == len(chosen)
    assert (np.diff(chosen) > 0).all()
    counts = np.bincount(truth[chosen], minlength=3)
    assert counts[0] == pytest.approx(60, abs=1) and counts[1] == pytest.approx(40, abs=1)
    assert counts[2] >= 1
    assert (chosen == stress.sample(truth, 100, 0)).all()
    assert (chosen != stress.sample(truth, 100, 1)).any()
    assert stress.sample(truth[:7], 100, 0).tolist() == list(range(7))
