"""The pictures of the documents, from the running app: ``python -m benchmarks.screenshots [TO]``.

Draws phantoms, trains a run, audits, answers the shortcut lab, starts the app and photographs it
with the system's chromium. Phantoms only, some minutes; TO is ``docs/images`` unless told.
"""

import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from covidcore.config import Settings
from covidcore.data.audit import audit
from covidcore.data.sources import resolve
from covidcore.jobs.awaited import wait_for_run
from covidcore.jobs.lab import Lab, lab_study
from covidcore.jobs.store import RunStore
from covidcore.training.recipe import preset

ROOT = Path(__file__).parents[1]
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH, HEIGHT = 1280, 860
FEW_COLOURS = {"colors": 256, "method": Image.Quantize.MAXCOVERAGE, "dither": Image.Dither.NONE}
"""At half of the bytes no pixel is further than 4 of 255 from what it was; median cut made small
things of a colour brown."""
PICTURES = {
    "home": ("", "light"),
    "explore": ("explore?view=Images", "light"),
    "evaluate": ("evaluate?run={marked}", "light"),
    "predict": ("predict?sample={sample}&run={run}", "dark"),
    "lab": ("train?lab=true", "light"),
}
"""Name -> page and scheme; README shows them all."""


def main(to: Path) -> None:
    """Make the home, then the pictures."""
    to.mkdir(parents=True, exist_ok=True)
    # A probe that the train page began may still write when all is done.
    with tempfile.TemporaryDirectory(prefix="covidcore-", ignore_cleanup_errors=True) as place:
        settings = Settings(home=Path(place) / "home")
        links = prepare(settings)
        with served(settings.home) as url:
            photograph(url, links, to)
    for file in sorted(to.glob("*.png")):
        print(f"{file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}: "
              f"{file.stat().st_size / 1000:.0f} KB")  # fmt: skip


def prepare(settings: Settings) -> dict[str, str]:
    """A dataset, its audit, a finished run and the lab; returns what the links are about."""

    def said(doing: str, done: int, total: int) -> None:
        print(f"\r{doing} {done}/{total}".ljust(70), end="", file=sys.stderr)

    store = RunStore(settings)
    lab = lab_study(store, Lab().share).follow(said)
    dataset = resolve("phantoms:240", settings)
    recipe = preset("quick").with_overrides({"weights": "radiographs"})
    run = store.submit(recipe, dataset, "my first run").run
    audit(dataset, settings.home)
    wait_for_run(store, run, said)
    print(file=sys.stderr)
    table = store.predictions(run)
    right = table[(table["split"] == "test") & (table["label"] == table["predicted"])]
    marked = lab["arms"]["marked"]["run"]
    return {"run": run[:12], "marked": marked[:12], "sample": str(right["file"].iloc[0])}


@contextlib.contextmanager
def served(home: Path) -> Iterator[str]:
    """The app before this home, on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    options = {"address": "127.0.0.1", "port": port, "headless": "true"}
    process = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(ROOT / "streamlit_app.py"),
         *(f"--server.{name}={value}" for name, value in options.items())],
        cwd=ROOT, env={**os.environ, "COVIDCORE_HOME": str(home)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5)
                break
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def photograph(url: str, links: dict[str, str], to: Path) -> None:
    """One picture a page, once nothing moves there any more."""
    from playwright.sync_api import sync_playwright

    chromium = next(path for name in NAMES if (path := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        for name, (page, scheme) in PICTURES.items():
            window: Any = browser.new_page(
                viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme
            )
            window.goto(f"{url}/{page.format(**links)}")
            window.wait_for_selector('[data-testid="stHeading"]', timeout=120_000)
            window.wait_for_timeout(1500)
            window.wait_for_function(
                "() => document.querySelector('[data-test-script-state=\"notRunning\"]')",
                timeout=120_000,
            )
            if name == "lab":
                window.get_by_text("Shortcut lab", exact=True).scroll_into_view_if_needed()
                window.mouse.wheel(0, 5000)
                second = window.get_by_test_id("stImage").locator("img").nth(1)
                second.wait_for(timeout=120_000)  # both arms are drawn
            window.wait_for_timeout(1500)
            picture = Image.open(io.BytesIO(window.screenshot())).convert("RGB")
            picture.quantize(**FEW_COLOURS).save(to / f"{name}.png", optimize=True)
            window.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
