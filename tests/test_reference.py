"""The reference builds from the docstrings of the library by README's command, without warning."""

import re
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pdoc.doc import Doc

ROOT = Path(__file__).parents[1]
LIBRARY = sorted((ROOT / "covidcore").rglob("*.py"))


def undocumented(member: "Doc") -> Iterator[str]:
    """Full names of public modules, classes and functions that say nothing about themselves."""
    from pdoc.doc import Namespace

    if member.kind != "variable" and not member.docstring and member.name != "__init__":
        yield member.fullname
    if isinstance(member, Namespace):
        for one in member.own_members:
            if one.kind != "module" and not one.name.startswith("_"):
                yield from undocumented(one)


def test_it_builds_without_warnings_and_leaves_nobody_out(tmp_path: Path) -> None:
    pytest.importorskip("pdoc", reason="pdoc is not installed")
    from pdoc import extract
    from pdoc.__main__ import cli
    from pdoc.doc import Module

    (command,) = re.findall(r"^python (-W.* -m pdoc .*)$", (ROOT / "README.md").read_text("utf-8"),
                            re.MULTILINE)  # fmt: skip
    strict, words = (shlex.split(part) for part in command.split("-m pdoc"))
    assert strict == ["-W", "error::UserWarning"]  # which pdoc's warnings are
    words[words.index("-o") + 1] = str(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        cli([*words, "--no-search"])  # half of the time, and nothing in it warns
    written = {path.relative_to(tmp_path).with_suffix("") for path in tmp_path.rglob("*.html")}
    public = [path for path in LIBRARY if not path.name.startswith("_")]
    assert {path.relative_to(ROOT).with_suffix("") for path in public} <= written
    every = (Module(extract.load_module(name)) for name in extract.walk_specs(["covidcore"]))
    assert [name for module in every for name in undocumented(module)] == []
