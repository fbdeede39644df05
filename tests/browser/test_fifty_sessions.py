"""Fifty visitors of a public demo at once, over websockets, on this machine."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from covidcore.config import PRIVACY, Settings
from covidcore.jobs import demo_process
from tests.browser.conftest import free_port, serve
from tests.hostile import saved
from tests.pictures import picture
from tests.runs import SHORT, trained

pytest.importorskip("websockets", reason="websockets (requirements-dev.txt) is not installed")

from tests.browser.visitors import Seen, Visitor

SESSIONS = 50


@pytest.fixture
def port(tmp_path: Path, phantoms: Path) -> Iterator[int]:
    """A demo with phantoms and a run, as it is once it is prepared."""
    settings = Settings(home=tmp_path / "home")
    shutil.copytree(trained(phantoms, SHORT).settings.home, settings.home)
    demo_process.task(settings.home).write_status(ready=True)
    env = {key: value for key, value in os.environ.items() if not key.startswith("COVIDCORE")}
    port, log = free_port(), tmp_path / "server.log"
    process = serve("asgi.py", port, {**env, "COVIDCORE_HOME": str(settings.home)}, log)
    yield port
    process.terminate()
    process.wait(30)
    assert "Traceback" not in log.read_text()


def sound(seen: Seen) -> None:
    assert not seen.exceptions
    assert PRIVACY in seen.words


async def visit(port: int, number: int) -> str:
    """Look at two pages, send an image, and be told an answer about it."""
    async with Visitor(port) as visitor:
        sound(await visitor.open("explore"))
        seen = await visitor.open("predict")
        sound(seen)
        seen = await visitor.send(seen.uploaders[0], f"image {number}.png", saved(picture(number)))
        sound(seen)
        assert f"image {number}.png" in seen.words
        assert "chooses among its classes" in seen.words, seen.words
        assert "try again" not in seen.words
        return visitor.session


async def everyone(port: int) -> list[str]:
    first = await visit(port, 0)  # who waits for torch
    others = [visit(port, number) for number in range(1, SESSIONS + 1)]
    return [first, *await asyncio.gather(*others)]


@pytest.mark.campaign
def test_fifty_visitors_are_all_answered(port: int) -> None:
    sessions = asyncio.run(everyone(port))
    assert len(set(sessions)) == SESSIONS + 1


async def too_much(port: int) -> list[int]:
    async with Visitor(port) as visitor:
        await visitor.open("predict")
        url = f"/_stcore/upload_file/{visitor.session}/"
        put = asyncio.to_thread
        return [await put(visitor.put, f"{url}{n}", "x.png", bytes(24_000_000)) for n in range(2)]


def test_a_session_can_not_fill_the_memory(port: int) -> None:
    assert asyncio.run(too_much(port)) == [204, 413]
