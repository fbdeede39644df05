"""What the parts of the benchmark share: visitors, their pictures, and how a row is judged."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.load import people
from benchmarks.load.place import Place, Server, Taken
from benchmarks.load.report import Row, Spread


@dataclass(frozen=True)
class Work:
    """What every part is given."""

    place: Place
    files: Iterator[bytes]
    share: float
    """Of the pictures that a part usually sends."""
    minutes: float

    def times(self, count: int) -> int:
        """So many, or the share of them."""
        return max(2, round(count * self.share))

    def asking(self, port: int, sessions: int, each: int) -> people.Told:
        """So many sessions ask so many times each."""
        return people.run(
            people.all_at_once(port, sessions, self.files, lambda asked: asked < each)
        )

    def warm(self, server: Server) -> Server:
        """Once everything is loaded."""
        people.run(people.warm_up(server.port, self.files))
        return server


def judged(
    what: str,
    told: people.Told,
    half: float | None,
    most: float,
    rate: float = 0.0,
    opening: float | None = None,
) -> list[Row]:
    """A row of the answers, with targets of their times; and one of the openings, where asked."""
    found = Spread.of(told.answered)
    wanted = [
        f"p50 {half} s" if half else "",
        f"p95 {most} s",
        f"{rate:g} a second" if rate else "",
    ]
    holds = (
        not told.errors
        and not told.refused
        and found.most <= most
        and (half is None or found.half <= half)
        and told.rate >= rate
    )
    asked = ", ".join(filter(None, [*wanted, "no error"]))
    rows = [Row(f"{what}: upload to answer", asked, str(told), holds, told.figures)]
    if opening:
        opened = Spread.of(told.opened)
        good, asked = opened.most <= opening, f"p95 {opening} s"
        rows.append(Row(f"{what}: opening the page", asked, str(opened), good, opened.figures))
    return rows


def sound(what: str, server: Server) -> Row:
    """That nothing went wrong behind the scenes."""
    found = server.tracebacks()
    return Row(what, "no traceback", f"{found} tracebacks", not found, {"tracebacks": found})


def flat(what: str, before: Taken, after: Taken) -> Row:
    """That threads and open files do not grow; memory has rows of its own."""
    holds = after.threads <= before.threads + 10 and after.files <= before.files + 10
    figures = {
        f"more {name}": value - getattr(before, name) for name, value in after._asdict().items()
    }
    asked = "10 more threads and files at most"
    return Row(what, asked, f"{before}; then {after}", holds, figures)
