"""How fast the work is done here and elsewhere: ``python -m benchmarks.speed FOLDER [ROW...]``.

FOLDER holds class folders of PNG files; rows are those of ``ROWS``, all unless told. Each is asked
in turns, ours, theirs, ours, theirs, in one run (``--rounds``, 2 unless told), and medians are
compared. ``--peers PYTHON`` is an interpreter that has fastai and lightning as well. Where a peer
would take an hour, its images a second are measured and the hour is worked out; the table says so.
Prints one JSON document to standard output and a Markdown table to standard error.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.speed_single import single

EPOCHS = 20
"""Of the notebook."""
_SHARES = (0.7, 0.1, 0.2)
_TRAINING = 320
"""Images after which a rate of training is known."""
_PREDICTIONS = 1000

Rates = Mapping[str, float]
"""Images a second, or seconds, by who does it."""


class Bench:
    """Runs programs and remembers nothing."""

    def __init__(self, folder: Path, peers: str, rounds: int) -> None:
        self.folder, self._peers, self._rounds = folder, peers, rounds
        self.images = sum(1 for _ in folder.rglob("*.png"))
        self._scratch = tempfile.TemporaryDirectory()

    def home(self, name: str) -> Path:
        """A home of that name."""
        return Path(self._scratch.name) / name

    def rate(self, peer: str, work: str, images: int) -> Callable[[], float]:
        """Images a second of ``benchmarks.peers.PEER``."""

        def run() -> float:
            command = [self._peers, "-m", f"benchmarks.peers.{peer}", self.folder, work, images]
            told = json.loads(self._output([str(part) for part in command], self.home("rates")))
            return float(told["images"]) / float(told["seconds"])

        return run

    def seconds(self, home: Path, *arguments: str) -> float:
        """Of a command of covidcore, from its start to its end."""
        started = time.perf_counter()
        self._output([sys.executable, "-m", "covidcore", *arguments], home)
        return time.perf_counter() - started

    def in_turns(self, **works: Callable[[], float]) -> dict[str, float]:
        """Medians of each, A B A B."""
        found: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(self._rounds):
            for name, work in works.items():
                found[name].append(work())
                print(f"{name}: {found[name][-1]:.2f}", file=sys.stderr, flush=True)
        return {name: statistics.median(values) for name, values in found.items()}

    @staticmethod
    def _output(command: Sequence[str], home: Path) -> str:
        env = {**os.environ, "COVIDCORE_HOME": str(home)}
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.splitlines()[-1] if done.stdout else ""

    def notebook_seconds(self, training: float, forward: float) -> float:
        """Of the notebook's whole job at so many images a second in training, and without it."""
        train, val, test = (share * self.images for share in _SHARES)
        return EPOCHS * (train / training + val / forward) + test / forward


def whole_job(bench: Bench) -> Rates:
    """The write-up's job from folder to matrix, the same with another rate, and its rivals."""
    homes: list[Path] = []

    def cold() -> float:
        homes.append(bench.home(f"job-{len(homes)}"))
        return _trained(bench, homes[-1], "writeup")

    def warm() -> float:
        return _trained(bench, homes[-1], "writeup", "--set", "learning_rate=1e-4")

    found = bench.in_turns(
        ours=cold,
        warm=warm,
        training=bench.rate("notebook", "frozen", _TRAINING),
        forward=bench.rate("notebook", "predict", 200),
        ceiling=bench.rate("ours", "forward-ceiling", 640),
    )
    notebook = bench.notebook_seconds(found.pop("training"), found.pop("forward"))
    return {**found, "one pass": bench.images / found.pop("ceiling"), "notebook": notebook}


def _trained(bench: Bench, home: Path, preset: str, *changes: str) -> float:
    command = ("train", str(bench.folder), "--preset", preset, "--set", "weights=radiographs")
    return bench.seconds(home, *command, *changes)


def _preset(name: str) -> Callable[[Bench], Rates]:
    def row(bench: Bench) -> Rates:
        """From folder to matrix once, beside the notebook's 20 epochs of everything."""
        ours = _trained(bench, bench.home(f"preset-{name}"), name)
        found = bench.in_turns(
            training=bench.rate("notebook", "all", 128),
            forward=bench.rate("notebook", "predict", 200),
        )
        notebook = bench.notebook_seconds(found["training"], found["forward"])
        return {"ours": ours, "notebook": notebook}

    return row


def training(bench: Bench) -> Rates:
    """Images a second of training everything at 224 px."""
    rates = {name: bench.rate(name, "all", _TRAINING) for name in ("notebook", "reference")}
    rates |= {
        name: bench.rate(peer, "all", _TRAINING)
        for name, peer in (("fastai", "fastai_learner"), ("lightning", "lightning_module"))
    }
    rates |= _ceilings(bench, "training-ceiling", _TRAINING)
    return bench.in_turns(ours=bench.rate("ours", "all", _TRAINING), **rates)


def _ceilings(bench: Bench, work: str, images: int) -> dict[str, Callable[[], float]]:
    """Of torch as it comes, and of a process that keeps the memory it frees."""
    return {
        "ceiling": bench.rate("ours", work, images),
        "ceiling, memory kept": bench.rate("ours", f"{work} kept", images),
    }


def predictions(bench: Bench) -> Rates:
    """Images a second of 1,000 predictions from PNG files."""
    return bench.in_turns(
        ours=bench.rate("ours", "predict", _PREDICTIONS),
        notebook=bench.rate("notebook", "predict", 200),
        **_ceilings(bench, "forward-ceiling", 640),
    )


def one_prediction(bench: Bench) -> Rates:
    """Milliseconds of one prediction with the model loaded, and of a bare pass and decoding."""
    return single(bench.folder, bench.home("rates"))


def folds(bench: Bench) -> Rates:
    """Seconds of 5 x 5-fold cross-validation of the head, with features on disk."""
    home = bench.home("folds")
    _trained(bench, home, "quick")
    return {
        "ours": bench.seconds(home, "crossvalidate", "latest", "--folds", "5", "--repeats", "5")
    }


def epochs(bench: Bench) -> Rates:
    """How the write-up's job grows with epochs, features on disk; and training of everything."""
    home = bench.home("epochs")
    _trained(bench, home, "writeup")

    def again(count: int, *changes: str) -> float:
        """Patience and learning rate make it another run, and none ends early."""
        more = [word for one in (f"epochs={count}", *changes) for word in ("--set", one)]
        return _trained(bench, home, "writeup", "--set", "learning_rate=1e-4", *more)

    head = {5: again(5), 20: again(20), 80: again(80)}
    everything = {count: again(count, "trainable=all") for count in (1, 2)}
    found = {f"head, {count} epochs": seconds for count, seconds in head.items() if count != 20}
    found |= {f"everything, {count} epochs": seconds for count, seconds in everything.items()}
    return {"ours": head[20], **found}


ROWS: Mapping[str, Callable[[Bench], Rates]] = {
    "job": whole_job,
    "training": training,
    "predictions": predictions,
    "one": one_prediction,
    "folds": folds,
    "epochs": epochs,
    "standard": _preset("standard"),
    "full": _preset("full"),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    asked = parser.parse_args()
    bench = Bench(asked.folder, asked.peers, asked.rounds)
    found = {name: dict(ROWS[name](bench)) for name in asked.rows or ROWS}
    print(json.dumps({"benchmark": "speed", "images": bench.images, "rows": found}))
    print("| row | who | measured | over ours |\n|---|---|---|---|", file=sys.stderr)
    for row, values in found.items():
        for who, value in values.items():
            over = value / values["ours"]
            print(f"| {row} | {who} | {value:.2f} | {over:.2f} |", file=sys.stderr)


if __name__ == "__main__":
    main()
