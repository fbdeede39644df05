"""Harms each stored file in every way, and asks every reader: ``python -m benchmarks.damage``.

A home with a dataset, a finished run and all that is kept of them is made in a folder that is
removed. Each file, one at a time, is removed, emptied, cut, replaced by junk, text and other JSON,
and gets flipped bits (``--flips``, so many a file); after each harm every reader of the library is
asked, and with ``--pages`` every page is drawn. Prints a table, and each wrong number or traceback.
"""

import argparse
import collections
import os
import random
import tempfile
import time
from pathlib import Path

from filelock import FileLock

from covidcore.data.phantoms import PhantomSpec
from covidcore.jobs.estimate import probe_lock
from tests.conftest import ROOT
from tests.faults import damage, readers
from tests.faults.readers import Home
from tests.once import drawn, share_in
from tests.runs import SHORT, trained


def main() -> None:
    """Harm everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=20, help="bits a file (default 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pages", action="store_true", help="draw the pages, too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        share_in(Path(folder))
        phantoms = drawn(PhantomSpec(images=36, size=96), "small")
        readers.make(trained(phantoms, SHORT).settings.home, Path(folder), phantoms)
        whole = Home.at(Path(folder) / "home", phantoms)
        home, began = whole.copied(Path(folder) / "copy"), time.monotonic()
        kinds: collections.Counter[str] = collections.Counter()
        wrong = 0
        for name in damage.files(whole.path):
            chance = random.Random(f"{asked.seed} {name}")
            data = (whole.path / name).read_bytes()
            tried = len(list(damage.harms(name, data, chance, asked.flips, True)))
            faults = list(damage.harm_all(whole, home, [name], chance, asked.flips, True))
            if asked.pages:
                faults += pages(whole, home, name, data)
            kinds[kind(name, whole)] += tried
            wrong += len(faults)
            print(f"{time.monotonic() - began:7.0f} s  {name}: {tried}", *faults, sep="\n    ",
                  flush=True)  # fmt: skip
    print("\n| stored | harmed | wrong numbers and tracebacks |\n|---|---|---|")
    for what, tried in sorted(kinds.items()):
        print(f"| {what} | {tried:,} | 0 |" if not wrong else f"| {what} | {tried:,} | |")
    print(f"| **all** | **{kinds.total():,}** | **{wrong}** |")


def kind(name: str, home: Home) -> str:
    """The file's place without what is of this home alone."""
    text = name.replace(home.run, "RUN").replace(home.fingerprint, "FINGERPRINT")
    return "/".join("ID" + Path(part).suffix if len(Path(part).stem) == 16 else part
                    for part in text.split("/"))  # fmt: skip


def pages(whole: Home, home: Home, name: str, data: bytes) -> list[str]:
    """Each page over the file removed, and cut; no exception is shown."""
    from streamlit.testing.v1 import AppTest

    os.environ["COVIDCORE_HOME"] = str(home.path)
    found = []
    for harm, left in (("removed", None), ("truncated", data[: len(data) // 2])):
        damage.put(home.path / name, left)
        # The train page shall send no probe: it would write to the home beside us.
        with FileLock(probe_lock(home.path)):
            for page in ("home", "explore", "train", "evaluate", "predict"):
                app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120)
                app.switch_page(f"pages/{page}.py").run()
                found += [f"{name}, {harm}, {page}: {one.message}" for one in app.exception]
        damage.restore(whole.path, home.path)
    return found


if __name__ == "__main__":
    main()
