"""The line before the model: one at a time, in order, and no place is ever lost."""

import threading
from collections.abc import Callable

import pytest

from covidcore.errors import Busy
from covidcore.inference.turns import Line
from tests.runs import wait_until


class Visitor(threading.Thread):
    """Waits for its turn, and holds it until it is let go."""

    def __init__(self, line: Line, name: str, told: Callable[[int], None] | None = None) -> None:
        super().__init__(daemon=True)
        self.line, self.session, self.told = line, name, told
        self.in_turn, self.go = threading.Event(), threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with self.line.turn(self.session, self.told):
                self.in_turn.set()
                self.go.wait(30)
        except Exception as error:
            self.error = error

    def ended(self) -> None:
        self.go.set()
        self.join(30)
        assert not self.is_alive()


def comes(line: Line, name: str, told: Callable[[int], None] | None = None) -> Visitor:
    """A visitor who has taken a place."""
    visitor = Visitor(line, name, told)
    before = len(line)
    visitor.start()
    wait_until(lambda: len(line) > before, f"{name} in the line")
    return visitor


def quick_line(most: int = 10, **options: float) -> Line:
    return Line(most, look_seconds=0.01, **options)


def test_one_at_a_time_in_the_order_in_which_they_came() -> None:
    line = quick_line()
    visitors = [comes(line, name) for name in "abc"]
    for number, visitor in enumerate(visitors):
        assert visitor.in_turn.wait(30)
        for later, other in enumerate(visitors[number + 1 :], 1):
            assert not other.in_turn.is_set()
            assert line.ahead(other.session) == later
        visitor.ended()
    assert len(line) == 0
    assert line.ahead("a") is None


def test_who_waits_is_told_the_place() -> None:
    line, heard = quick_line(), []
    first, second = comes(line, "a"), comes(line, "b")
    third = comes(line, "c", heard.append)
    wait_until(lambda: 2 in heard, "the place of the third")
    first.ended()
    wait_until(lambda: 1 in heard, "its next place")
    second.ended()
    third.ended()
    assert heard == sorted(heard, reverse=True)
    assert set(heard) == {2, 1}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_page_that_ends_while_it_waits_gives_its_place_up(error: type[BaseException]) -> None:
    line = quick_line()
    first = comes(line, "a")

    def left(_: int) -> None:
        raise error

    with pytest.raises(error), line.turn("b", left):
        raise AssertionError("it is not b's turn")
    third = comes(line, "c")
    first.ended()
    assert third.in_turn.wait(30)
    third.ended()


def test_an_error_in_one_s_turn_calls_the_next() -> None:
    line = quick_line()
    with pytest.raises(ValueError, match="mine"), line.turn("a"):
        second = comes(line, "b")
        raise ValueError("mine")
    assert second.in_turn.wait(30)
    second.ended()


def test_a_session_waits_once() -> None:
    line = quick_line()
    first, second = comes(line, "a"), comes(line, "b")
    for name in "ab":
        with pytest.raises(Busy, match="already"), line.turn(name):
            raise AssertionError("a second place")
    first.ended()
    second.ended()
    with line.turn("a"):
        assert len(line) == 1


def test_a_line_has_an_end() -> None:
    line = quick_line(2)
    visitors = [comes(line, name) for name in "abc"]  # one in turn, two who wait
    with pytest.raises(Busy, match=r"^2 visitors wait already: try again"), line.turn("d"):
        raise AssertionError("there was no room")
    for visitor in visitors:
        visitor.ended()


def test_a_session_that_ends_is_taken_out() -> None:
    line = quick_line()
    first, second, third = (comes(line, name) for name in "abc")
    line.cancel("b")
    second.join(30)
    assert isinstance(second.error, Busy)
    assert not second.in_turn.is_set()
    assert line.ahead("c") == 1
    line.cancel("a")  # it is at work, and keeps its turn
    assert line.ahead("a") == 0
    assert not third.in_turn.wait(0.05)
    first.ended()
    assert third.in_turn.wait(30)
    third.ended()


def test_patience_ends() -> None:
    clock = {"now": 0.0}
    line = Line(10, patience_seconds=60, look_seconds=0.01, clock=lambda: clock["now"])
    first, second = comes(line, "a"), comes(line, "b")
    third = comes(line, "c")
    clock["now"] = 61.0
    for visitor in (second, third):
        visitor.join(30)
        assert isinstance(visitor.error, Busy)
        assert "try again" in str(visitor.error)
    assert len(line) == 1
    first.ended()
