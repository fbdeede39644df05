"""One session's uploads are opened once, asked once a way, and forgotten with the list."""

from typing import Any

import numpy as np
import pytest

from covidcore.evaluation.operating import OperatingPoint
from covidcore.inference.kept import Kept, Upload, Way
from tests.pictures import picture


class Server:
    """Stands for a browser's files and for a model that counts how often it is asked."""

    def __init__(self) -> None:
        self.kept, self.read, self.asked = Kept(), [], []  # type: ignore[var-annotated]
        self.fails_at = ""

    def answers(self, uploads: list[Upload], way: Way, part: int = 0) -> list[dict[str, Any]]:
        def read(upload: Upload) -> bytes:
            self.read.append(upload.name)
            return upload.content.encode()

        def ask(items: list[tuple[str, bytes]], inverted: bool) -> list[dict[str, Any]]:
            if any(name == self.fails_at for name, _ in items):
                raise InterruptedError
            for name, data in items:
                assert name.removesuffix("-inverted") == data.decode()
                self.kept.saw(name, picture(1))
                self.kept.felt(name, np.full(3, float(inverted), np.float32))
            self.asked.append([name for name, _ in items])
            return [{"file": name, "answer": f"{way.run} {name}"} for name, _ in items]

        return self.kept.answers(uploads, way, read, ask, part)


A, B = Upload("one.png", "aa"), Upload("two.png", "bb")
WAY = Way("run", None, False)


def test_nothing_is_asked_twice() -> None:
    server = Server()
    first = server.answers([A, B], WAY)
    assert [one["file"] for one in first] == ["one.png", "two.png"]
    assert server.answers([B, A], WAY) == first[::-1]
    assert server.asked == [["aa", "bb"]] and server.read == ["one.png", "two.png"]
    assert server.kept.look(A) is not None


def test_the_same_bytes_are_one_upload_under_two_names() -> None:
    server = Server()
    said = server.answers([A, Upload("copy.png", "aa")], WAY)
    assert [one["file"] for one in said] == ["one.png", "copy.png"]
    assert server.asked == [["aa"]]


@pytest.mark.parametrize(
    "other",
    [
        Way("other", None, False),
        Way("run", None, True),
        Way("run", OperatingPoint({"a": 0.3}), False),
    ],
)
def test_another_way_is_asked_anew_and_the_first_one_stays(other: Way) -> None:
    server = Server()
    server.answers([A], WAY)
    server.answers([A], other)
    server.answers([A], WAY)
    assert len(server.asked) == 2


def test_a_negative_is_another_question_with_a_look_of_its_own() -> None:
    server = Server()
    turned = A._replace(inverted=True)
    said = server.answers([A, turned], WAY)
    assert server.asked == [["aa"], ["aa-inverted"]]
    assert [one["answer"] for one in said] == ["run aa", "run aa-inverted"]
    features = [server.kept.features(one, "run") for one in (A, turned)]
    assert [one[0] for one in features if one is not None] == [0.0, 1.0]
    assert server.kept.features(A, "other") is None


def test_an_interrupted_list_goes_on_where_it_was() -> None:
    server = Server()
    server.fails_at = "bb"
    with pytest.raises(InterruptedError):
        server.answers([A, B], WAY, part=1)
    server.fails_at = ""
    server.answers([A, B], WAY, part=1)
    assert server.asked == [["aa"], ["bb"]]


def test_what_is_off_the_list_is_forgotten() -> None:
    server = Server()
    digests = [server.kept.content(name, lambda: b"x") for name in ("f1", "f2")]
    assert digests[0] == digests[1]
    server.answers([A, B], WAY)
    made = [server.kept.once("heat", A, "w", lambda: object()) for _ in range(2)]
    assert made[0] is made[1]
    server.kept.forget_others(["f1"], [B])
    assert server.kept.look(A) is None and server.kept.look(B) is not None
    assert server.kept.features(A, "run") is None
    assert server.kept.once("heat", A, "w", lambda: 3) == 3
    reads: list[str] = []
    server.kept.content("f2", lambda: reads.append("f2") or b"y")  # type: ignore[func-returns-value]
    server.kept.content("f1", lambda: reads.append("f1") or b"y")  # type: ignore[func-returns-value]
    assert reads == ["f2"]
    server.answers([A, B], WAY)
    assert server.asked[1:] == [["aa"]]
