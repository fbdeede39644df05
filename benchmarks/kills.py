"""Kills a tiny run at random moments, again and again: ``python -m benchmarks.kills 200``.

Prints how often it was struck where, and what came of it, as the Markdown table of
docs/reliability.md. Ends with an error at the first byte that is not that of the run nobody
stopped. Needs no data: it draws phantoms, in a folder that it removes.
"""

import argparse
import collections
import tempfile
import time
from pathlib import Path

from covidcore.config import Settings
from covidcore.data.index import scan
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.jobs.store import RunStore
from tests.faults.campaign import Campaign
from tests.faults.wholeness import TINY
from tests.runs import trained


def main() -> None:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        phantoms = write(PhantomSpec(images=36, size=96), Path(folder) / "phantoms")
        whole = trained(phantoms, TINY)
        settings = Settings(home=Path(folder) / "home")
        longest = (whole.store.info(whole.run).seconds or 0) + 1
        campaign = Campaign(
            RunStore(settings),
            scan(phantoms, settings.home),
            TINY,
            whole.run,
            whole.folder,
            longest,
        )
        began = time.monotonic()
        struck: collections.Counter[str] = collections.Counter()
        for number, (where, _) in enumerate(campaign.kills(asked.kills, asked.seed), start=1):
            struck[where] += 1
            print(f"{number:4d} {time.monotonic() - began:7.1f} s  {where}", flush=True)
        campaign.finish()
    print("\n| the worker was | killed | went on to the same bytes | lost |")
    print("|---|---|---|---|")
    for where, count in struck.most_common():
        print(f"| {where} | {count} | {count} | 0 |")
    print(f"| **all** | **{asked.kills}** | **{asked.kills}** | **0** |")
    print(f"\n{campaign.finished} runs to the end in {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
