import math

import pytest

from covidcore import wording


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("COVID-19 (1).png", "COVID-19 (1).png"),
        ("two\nlines\tand  blanks", "twolinesand blanks"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        (3, "3"),
    ],
)
def test_visible_drops_what_can_not_be_seen(given: object, shown: str) -> None:
    assert wording.visible(given) == shown


@pytest.mark.parametrize(
    "name",
    ["![t](http://x/b.png)", "**b**", "`c`", "<b>x</b>", "$x$", "~~s~~", ":red[x]", "# h", "a_b_c"],
)
def test_markdown_escapes_every_sign(name: str) -> None:
    escaped = wording.markdown(name)
    signs = set("\\`*_{}[]()#+-.!|<>~$:&=")
    at = 0
    while at < len(escaped):
        if escaped[at] == "\\":
            at += 2
            continue
        assert escaped[at] not in signs
        at += 1
    assert escaped.replace("\\", "").replace("\N{WORD JOINER}", "") == name


@pytest.mark.parametrize("name", ["http://evil.example", "www.evil.example", "a@b.example", ":x:"])
def test_markdown_parts_what_streamlit_would_link(name: str) -> None:
    assert "\N{WORD JOINER}" in wording.markdown(name)


def test_markdown_adds_nothing_unseen_to_usual_names() -> None:
    assert "\N{WORD JOINER}" not in wording.markdown("Viral Pneumonia (12).png")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (41.4, "41 s"),
        (59.7, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (4320, "1 h 12 min"),
        (-3, "0 s"),
        (None, "\N{EN DASH}"),
        (math.nan, "\N{EN DASH}"),
        (math.inf, "\N{EN DASH}"),
    ],
)
def test_duration(seconds: float | None, words: str) -> None:
    assert wording.duration(seconds) == words


def test_shares() -> None:
    assert wording.percent(0.9466) == "94.7 %"
    assert wording.percent(None) == wording.percent(math.nan) == "\N{EN DASH}"
    assert wording.interval([0.925, 0.962]) == "92.5 to 96.2 %"
    assert wording.interval([0.0, 1.0]) == "0.0 to 100.0 %"
    assert wording.interval([None, 0.5]) == wording.interval(None) == "\N{EN DASH}"


def test_points_have_a_sign_and_no_negative_nothing() -> None:
    assert wording.points(0.0123) == "+1.2"
    assert wording.points(-0.2, 0.034) == "-20.0 to +3.4"
    assert wording.points(-0.0001) == "+0.0"
    assert wording.points(0.1, float("nan")) == wording.points(None) == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (0, "**0** images of a are answered b."),
        (1, "**1** image of a is answered b."),
        (1234, "**1,234** images of a are answered b, the most surprising first."),
    ],
)
def test_the_images_of_a_cell_are_counted_in_words(images: int, said: str) -> None:
    assert wording.answered(images, "a", "b") == said
