"""How the command line shows stress tests."""

from typing import Any

from covidcore.config import DISCLAIMER
from covidcore.show import share, table
from covidcore.wording import visible


def stress_described(document: dict[str, Any]) -> str:
    """The document of ``stress`` as text: a sentence for each test, and its figures."""
    sources = document["leave_one_source_out"]
    parts = [
        ("Lungs out", document["lungs_out"]["verdict"], _lungs(document)),
        ("Lungs only", document["lungs_only"]["verdict"], ""),
        ("Attention in lungs", document["attention"]["verdict"], ""),
        ("Leave one source out", sources["verdict"], _sources(sources["sources"])),
        ("Corruptions", document["corruptions_verdict"], _ladder(document)),
    ]
    blocks = [
        f"{title}: {visible(verdict)}" + (f"\n\n{rows}" if rows else "")
        for title, verdict, rows in parts
    ]
    return "\n\n".join([*blocks, DISCLAIMER])


def _lungs(document: dict[str, Any]) -> str:
    rows = [
        (name, share(one["accuracy"], one["accuracy_ci"]), str(one["n"]))
        for name, one in (
            ("whole images", document),
            ("lungs out", document["lungs_out"]),
            ("lungs only", document["lungs_only"]),
        )
    ]
    chance = (f"always “{document['chance_class']}”", share(document["chance"]), "")
    return table(("test images", "accuracy", "n"), [*rows, chance])


def _sources(sources: list[dict[str, Any]]) -> str:
    if not sources:
        return ""
    rows = [
        (
            one["source"],
            str(one["n"]),
            share(one["accuracy"], one["accuracy_ci"]),
            share(one["reference"]["accuracy"], one["reference"]["accuracy_ci"]),
            ", ".join(one["unlearnable"]) or "-",
        )
        for one in sources
    ]
    header = ("source", "n", "without it", "with all sources", "not to be learnt without it")
    return table(header, rows)


def _ladder(document: dict[str, Any]) -> str:
    rows = [
        (
            one["kind"],
            "; ".join(f"{at['level']:g}: {share(at['accuracy'])}" for at in one["levels"]),
            "-" if one["falls_at"] is None else f"{one['falls_at']:g}",
            one["unit"],
        )
        for one in document["corruptions"]
    ]
    return table(("corruption", "accuracy by level", "falls at", "level is"), rows)
