"""What the run says to each upload: asked once, kept while the file is on the list."""

from functools import partial
from typing import Any, NamedTuple

import streamlit as st

from covidcore.evaluation.operating import OperatingPoint
from covidcore.inference.kept import Kept, Upload, Way
from covidcore.wording import markdown
from pages import shared, shared_demo, shared_model

PART = 8
"""Files between two looks at the bar; an interrupted list goes on from the last of them."""


class Asked(NamedTuple):
    """An upload with what was said to it."""

    upload: Upload
    file: Any
    """Streamlit's; its bytes are read again only where something new is asked."""
    said: dict[str, Any]
    """The contract's ``predict``."""


def kept() -> Kept:
    """What this session found out about its uploads."""
    found: Kept = st.session_state.setdefault("_kept", Kept())
    return found


def turn_key(content: str) -> str:
    """The switch that says of a file that it is a negative."""
    return f"turn-{content[:16]}"


def answers(run: str, files: list[Any], point: OperatingPoint | None, anyway: bool) -> list[Asked]:
    """Of every file, in order; shows how far that is."""
    uploads = [_upload(file) for file in files]
    kept().forget_others([file.file_id for file in files], uploads)
    if not files:
        return []
    model = shared_model.predictor(run, shared.settings().home)
    if model.missing:
        st.caption(f":material/info: {markdown(model.missing)}")
    bytes_of = {one.key: file for one, file in zip(uploads, files, strict=True)}
    done = 0
    with (
        st.spinner("Looking at the images"),
        shared.progress_bar("Looking at images", every=1) as bar,
    ):

        def look(items: list[tuple[str, bytes]], inverted: bool) -> list[dict[str, Any]]:
            nonlocal done
            question = partial(
                model.predict, point=point, anyway=anyway, invert=inverted, watcher=kept()
            )
            said = shared_demo.in_turn(items, question)
            done += len(items)
            if len(files) > PART:
                bar(done, len(files))
            return said

        said = kept().answers(
            uploads,
            Way(run, point, anyway),
            lambda one: bytes_of[one.key].getvalue(),
            look,
            part=0 if shared_demo.is_demo() else PART,  # there a line has parts of its own
        )
    return [Asked(*each) for each in zip(uploads, files, said, strict=True)]


def _upload(file: Any) -> Upload:
    content = kept().content(file.file_id, file.getvalue)
    return Upload(file.name, content, bool(st.session_state.get(turn_key(content), False)))
