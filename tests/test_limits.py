"""Token buckets and seats, with a clock that the test moves."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covidcore.errors import Busy
from covidcore.limits import Limit, Rate, Seats

PLENTY = Rate(1000, 0.001)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(limit: Limit, session: str, tries: int) -> int:
    """How many of so many tries are allowed."""
    allowed = 0
    for _ in range(tries):
        try:
            limit.take(session)
        except Busy:
            continue
        allowed += 1
    return allowed


def test_a_session_has_its_burst_and_then_what_drops_in(clock: Clock) -> None:
    limit = Limit("images", Rate(3, 2.0), PLENTY, clock)
    assert taken(limit, "a", 5) == 3
    assert taken(limit, "b", 5) == 3  # another session's is untouched
    clock.now += 4.0
    assert taken(limit, "a", 5) == 2
    clock.now += 1e6
    assert taken(limit, "a", 5) == 3  # never more than the burst


def test_the_sentence_says_when_and_is_right(clock: Clock) -> None:
    limit = Limit("images", Rate(3, 7.0), PLENTY, clock)
    limit.take("a", 3)
    with pytest.raises(Busy, match=r"^You have asked for many images: try again in 14 seconds\.$"):
        limit.take("a", 2)
    clock.now += 11.5
    with pytest.raises(Busy, match="in 3 seconds"):  # in two it would be refused again
        limit.take("a", 2)
    clock.now += 2.4
    with pytest.raises(Busy, match="in 1 second"):
        limit.take("a", 2)
    clock.now += 0.1
    limit.take("a", 2)


def test_all_together_have_a_limit_of_their_own(clock: Clock) -> None:
    limit = Limit("images", Rate(3, 1.0), Rate(4, 60.0), clock)
    limit.take("a", 3)
    with pytest.raises(Busy, match=r"^Many people are here .* in 2 minutes\.$"):
        limit.take("b", 3)
    # What was refused has cost neither of them anything.
    limit.take("b", 1)
    with pytest.raises(Busy, match="Many people"):
        limit.take("c", 1)


def test_more_than_ever_fits_is_told_as_such(clock: Clock) -> None:
    limit = Limit("images", Rate(3, 1.0), PLENTY, clock)
    with pytest.raises(Busy, match=r"^These are 4 images; here 3 can be asked for at once"):
        limit.take("a", 4)
    limit.take("a", 0)
    assert taken(limit, "a", 5) == 3


def test_only_so_many_sessions_are_remembered(clock: Clock) -> None:
    limit = Limit("images", Rate(1, 60.0), PLENTY, clock, sessions=2)
    for session in "ab":
        limit.take(session)
    with pytest.raises(Busy):
        limit.take("a")  # which makes b the one that asked longest ago
    limit.take("c")
    with pytest.raises(Busy):
        limit.take("a")
    limit.take("b")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.floats(0, 5))))
def test_nobody_gets_more_than_the_rates_allow(steps: list[tuple[str, int, float]]) -> None:
    clock = Clock()
    limit = Limit("images", Rate(3, 2.0), Rate(5, 1.0), clock)
    began, given_to = clock.now, dict.fromkeys("abc", 0)
    for session, count, wait in steps:
        clock.now += wait
        try:
            limit.take(session, count)
        except Busy:
            continue
        given_to[session] += count
        passed = clock.now - began
        assert given_to[session] <= 3 + passed / 2.0 + 1e-6
        assert sum(given_to.values()) <= 5 + passed / 1.0 + 1e-6


def test_many_threads_share_one_bucket() -> None:
    limit = Limit("images", Rate(1, 1e9), Rate(20, 1e9))
    allowed: list[int] = []
    barrier = threading.Barrier(8)

    def visitor(name: int) -> None:
        barrier.wait()
        allowed.extend(taken(limit, f"{name}-{n}", 1) for n in range(10))

    threads = [threading.Thread(target=visitor, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(allowed) == 20


def test_seats_are_given_back_and_time_out(clock: Clock) -> None:
    seats = Seats(2, 60.0, clock)
    seats.admit("a")
    clock.now += 10
    seats.admit("b")
    with pytest.raises(Busy, match=r"^All 2 places .* in 50 seconds\.$"):
        seats.admit("c")
    seats.admit("a")  # who is in stays in, and was just seen
    with pytest.raises(Busy, match="in 60 seconds"):
        seats.admit("c")
    clock.now += 59.5
    with pytest.raises(Busy, match="in 1 second"):
        seats.admit("c")
    clock.now += 0.5
    seats.admit("c")
    seats.leave("c")
    seats.leave("nobody")
    assert len(seats) == 0
