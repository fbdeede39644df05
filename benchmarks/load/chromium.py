"""A real browser that chooses files on the predict page, one after the other."""

import threading
import time
from collections.abc import Iterator

from benchmarks.load import people
from benchmarks.load.report import Spread
from tests.browser.conftest import FLAGS, NAMES


def seen_in_a_browser(port: int, files: Iterator[bytes], times: int, others: int) -> Spread:
    """Times from choosing a file to its answer in view, while ``others`` ask over websockets."""
    import shutil

    from playwright.sync_api import sync_playwright

    path = next(path for name in NAMES if (path := shutil.which(name)))
    ended = threading.Event()
    crowd = threading.Thread(
        target=lambda: people.run(
            people.all_at_once(port, others, _taking_turns(files), lambda _: not ended.is_set())
        )
    )
    if others:
        crowd.start()
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
            try:
                return Spread.of(_asked(chromium.new_page(), port, files, times))
            finally:
                chromium.close()
    finally:
        ended.set()
        if others:
            crowd.join()


_lock = threading.Lock()


def _taking_turns(files: Iterator[bytes]) -> Iterator[bytes]:
    """For the browser's thread takes from the same pictures."""
    while True:
        with _lock:
            data = next(files)
        yield data


def _asked(page, port: int, files: Iterator[bytes], times: int) -> list[float]:  # type: ignore[no-untyped-def]
    page.goto(f"http://127.0.0.1:{port}/predict")
    field = page.get_by_test_id("stFileUploaderDropzoneInput").first
    field.wait_for(state="attached", timeout=60_000)
    found, mine = [], _taking_turns(files)
    for number in range(times):
        name = f"radiograph {number}.png"
        if number:
            page.get_by_test_id("stFileChipDeleteBtn").first.click()
            page.get_by_test_id("stText").get_by_text(f"radiograph {number - 1}.png").wait_for(
                state="detached", timeout=60_000
            )
        data = next(mine)
        began = time.monotonic()
        field.set_input_files([{"name": name, "mimeType": "image/png", "buffer": data}])
        page.get_by_test_id("stText").get_by_text(name, exact=True).wait_for(timeout=60_000)
        found.append(time.monotonic() - began)
    return found
