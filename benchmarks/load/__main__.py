"""Measure what is named, or everything: ``python -m benchmarks.load [--minutes 30] [PART...]``.

Parts: sessions, untuned, training, memory, churn, uploads, crowd, browser, soak. A home is prepared
first (240 phantoms and a run, about a minute), and kept where ``--home`` says. With ``--few`` each
part does a small share of its work, to see that it works at all: its figures say nothing. With
``--pictures`` the project's own model answers about radiographs, and there is no demo to crowd. All
rows are printed as Markdown tables, and written to ``--json`` with what they say in numbers.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.load import parts
from benchmarks.load.pictures import pictures
from benchmarks.load.place import Place, prepare, quiet
from benchmarks.load.report import Row, plain, table
from benchmarks.load.work import Work


def main() -> None:
    """Run the parts one after the other, and print their rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts.ALL))
    parser.add_argument("--minutes", type=float, default=30, help="of the soak (default 30)")
    parser.add_argument("--few", action="store_true", help="a small share of everything")
    parser.add_argument("--home", type=Path, help="a folder for the prepared home")
    parser.add_argument("--json", type=Path, help="a file for the rows")
    parser.add_argument(
        "--pictures", type=Path, help="radiographs to send to the project's own model, no phantoms"
    )
    asked = parser.parse_args()
    for name in asked.parts:
        if name not in parts.ALL:
            parser.error(f"{name} is none of {', '.join(parts.ALL)}")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        home = (asked.home or scratch / "home").absolute()
        if not asked.pictures:
            prepare(home)
        files = pictures(scratch, asked.pictures)
        work = Work(Place(home, scratch), files, 0.1 if asked.few else 1.0, asked.minutes)
        machine = f"{os.cpu_count()} processors, {platform.platform()}"
        print(f"{machine}, load {os.getloadavg()[0]:.1f}")
        rows: list[Row] = []
        document: dict[str, Any] = {"benchmark": "load", "machine": machine, "few": asked.few}
        document |= {"parts": [], "rows": []}
        usual = [name for name in parts.ALL if name != "crowd" or not asked.pictures]
        for name in asked.parts or usual:
            busy, began = quiet(), time.monotonic()
            found = parts.ALL[name](work)
            rows += found
            took = time.monotonic() - began
            print(f"\n{name}: {took:.0f} s{busy}\n\n{table(found)}", flush=True)
            document["parts"].append({"part": name, "seconds": round(took), "note": busy})
            document["rows"] += plain(name, found)
            if asked.json:  # after each part: the last takes half an hour
                asked.json.write_text(json.dumps(document, indent=1, allow_nan=False))
    print(f"\nAll of it:\n\n{table(rows)}")


if __name__ == "__main__":
    main()
