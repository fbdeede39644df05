"""A server of our own with a home of its own, and a real chromium in front of it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from covidcore.config import Settings
from covidcore.jobs.store import RunStore
from tests.pages.conftest import send_no_probe
from tests.runs import LONG, SHORT, trained

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def is_healthy(port: int) -> bool:
    """Whether a server answers there."""
    try:
        address = f"http://127.0.0.1:{port}/_stcore/health"
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def serve(entry: str, port: int, env: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    """Start the app as a user does, and wait until it answers."""
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / entry)]
    options = {"address": "127.0.0.1", "port": port, "headless": "true"}
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*command, *(f"--server.{name}={value}" for name, value in options.items())],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + 180  # the machine may be busy with something else
    while not is_healthy(port):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
    return process


class Server:
    """The app as a user starts it, on a free port of this machine."""

    def __init__(self, folder: Path) -> None:
        self.home, self.log = folder / "home", folder / "server.log"
        self.store = RunStore(Settings(home=self.home))
        send_no_probe(self.home)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = {key: value for key, value in os.environ.items() if not key.startswith("COVIDCORE")}
        env["COVIDCORE_HOME"] = str(self.home)
        self.process = serve("streamlit_app.py", self.port, env, self.log)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()
    for run in server.store.list():
        if not run.state.ended:
            server.store.cancel(run.run)


def missing(what: str) -> None:
    """Skip, with the reason; where CI runs there has to be a browser, and it is a failure."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    """A browser for all tests of a file; closed with it, for playwright holds the event loop."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        missing(f"no chromium on this machine (looked for {', '.join(NAMES)})")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    sync_api.expect.set_options(timeout=60_000)
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def reading(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in front of two finished runs of one split, for all tests of a file."""
    server = Server(tmp_path_factory.mktemp("reading"))
    for recipe in (LONG, SHORT):
        one = trained(phantoms, recipe)
        shutil.copytree(one.settings.home, server.home, dirs_exist_ok=True)
    server.start()
    yield server
    server.stop()


def assert_sound(server: Server, console: list[str]) -> None:
    """Nobody has complained: neither the browser nor the server."""
    assert console == []
    log = server.log.read_text()
    for word in ("Traceback", "Warning", "deprecated", "Error"):
        assert word not in log, log


def settle(page) -> None:
    """Wait until the page is drawn: nothing runs, nothing is still to come."""
    page.get_by_test_id("stApp").wait_for()
    page.wait_for_function(
        """() => document.querySelector('[data-test-script-state="notRunning"]')
        && !document.querySelector('[data-testid="stSkeleton"], [data-testid="stSpinner"]')"""
    )


def download(page, label: str) -> tuple[str, bytes]:
    """Name and content of the file behind a button."""
    with page.expect_download() as waiting:
        page.get_by_test_id("stDownloadButton").get_by_role(
            "button", name=label, exact=True
        ).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


@pytest.fixture
def console() -> list[str]:
    """What pages opened by ``open_page`` complain about; empty in a sound app."""
    return []


@pytest.fixture
def open_page(chromium, console: list[str]):
    """Open an address in a fresh context, as a visitor who was never here; with its options."""
    contexts = []

    def complain(message) -> None:
        # On a deep link Streamlit asks below the page's path where its server is; that is a 404.
        if message.type == "error" and "/_stcore/" not in message.location.get("url", ""):
            console.append(message.text)

    def open_one(url: str, **options):
        options = {"viewport": {"width": 1280, "height": 900}, **options}
        contexts.append(chromium.new_context(**options))
        contexts[-1].set_default_timeout(60_000)  # the machine may be busy with something else
        page = contexts[-1].new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: console.append(str(error)))
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
