"""Kills at random moments, again and again: ``python -m benchmarks.kills 50 [--only worker]``.

Half of them strike the worker of a tiny run, at moments of its life; half strike the app, its
worker or both, on the way from an archive through import, index, caches and queue to the result.
Prints how often what was struck where, and what came of it, as the Markdown tables of
docs/reliability.md. Ends with an error at the first byte that is not that of the run nobody
stopped. Needs no data: it draws phantoms, in a folder that it removes.
"""

import argparse
import collections
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from covidcore.config import Settings
from covidcore.data.index import scan
from covidcore.data.phantoms import PhantomSpec, write
from covidcore.jobs.store import RunStore
from tests.faults.app_campaign import AppCampaign
from tests.faults.campaign import Campaign
from tests.faults.wholeness import TINY
from tests.once import share_in
from tests.runs import Trained, trained


def main() -> None:
    """Run the campaigns that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("worker", "app"), help="one of the two campaigns")
    asked = parser.parse_args()
    share = asked.kills if asked.only else asked.kills // 2
    with tempfile.TemporaryDirectory() as folder:
        share_in(Path(folder))
        phantoms = write(PhantomSpec(images=36, size=96), Path(folder) / "phantoms")
        if asked.only != "app":
            _worker(trained(phantoms, TINY), phantoms, Path(folder) / "home", share, asked.seed)
        if asked.only != "worker":
            count = asked.kills - share if not asked.only else share
            _app(phantoms, Path(folder), count, asked.seed)


def _worker(whole: Trained, phantoms: Path, home: Path, count: int, seed: int) -> None:
    settings, began = Settings(home=home), time.monotonic()
    longest = (whole.store.info(whole.run).seconds or 0) + 1
    dataset = scan(phantoms, settings.home)
    campaign = Campaign(RunStore(settings), dataset, TINY, whole.run, whole.folder, longest)
    struck = _counted((where for where, _ in campaign.kills(count, seed)), began)
    campaign.finish()
    print("\n| the worker was | killed | went on to the same bytes | lost |\n|---|---|---|---|")
    for where, times in struck.most_common():
        print(f"| {where} | {times} | {times} | 0 |")
    _sum(count, "", campaign.finished, began)


def _app(phantoms: Path, scratch: Path, count: int, seed: int) -> None:
    began = time.monotonic()
    campaign = AppCampaign.of(phantoms, scratch, TINY)
    struck = _counted((f"{who} | {at}" for who, at in campaign.kills(count, seed)), began)
    print("\n| killed | while | times | went on to the same bytes | lost |\n|---|---|---|---|---|")
    for where, times in struck.most_common():
        print(f"| {where} | {times} | {times} | 0 |")
    _sum(count, " |", campaign.finished, began)


def _counted(struck: Iterable[str], began: float) -> "collections.Counter[str]":
    found: collections.Counter[str] = collections.Counter()
    for number, where in enumerate(struck, start=1):
        found[where] += 1
        print(f"{number:4d} {time.monotonic() - began:7.1f} s  {where}", flush=True)
    return found


def _sum(count: int, more: str, finished: int, began: float) -> None:
    print(f"| **all** |{more} **{count}** | **{count}** | **0** |")
    print(f"\n{finished} runs to the end in {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
