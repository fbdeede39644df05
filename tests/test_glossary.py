"""Notes on figures: every one is shown somewhere, and the document holds them all."""

import ast
import re
from pathlib import Path

from covidcore.glossary import TERMS, as_markdown

ROOT = Path(__file__).parents[1]
SHOWN = ("heading", "what_is", "_verdict")


def shown() -> set[str]:
    """The terms that pages ask for: words among the arguments of these functions, and tuples."""
    found: set[str] = set()
    for path in (ROOT / "pages").glob("*.py"):
        source = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(source):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in SHOWN:
                found |= {a.value for a in node.args if isinstance(a, ast.Constant)}
        if path.name == "evaluate_curves.py":  # which has them in a table
            found |= {n.value for n in ast.walk(source) if isinstance(n, ast.Constant)} & set(TERMS)
    return {word for word in found if re.fullmatch("[a-z0-9_]+", str(word))}


def test_every_note_is_shown_and_every_note_shown_exists() -> None:
    assert shown() == set(TERMS)


def test_the_document_holds_what_pages_show() -> None:
    assert (ROOT / "docs" / "glossary.md").read_text("utf-8") == as_markdown()


def test_each_note_is_short_plain_and_names_its_source() -> None:
    for key, term in TERMS.items():
        assert 60 < len(term.text) < 420, key
        assert re.search(r"\b(19|20)\d\d\b|section", term.source), key
        assert not re.search(r"[*_`$<>\[]", term.title + term.text), key
