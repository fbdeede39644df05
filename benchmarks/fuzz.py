"""Tries a door with bytes made up as it goes: ``python -m benchmarks.fuzz TARGET MINUTES``.

TARGET is image, dicom, archive, contract or recipe (``tests/fuzz/targets.py``). With atheris
(``pip install atheris``) it is guided by which lines of covidcore are reached; without, seeds are
changed at random. A finding is written to ``--findings``, and ends the run with an error; so do an
input that takes over ten seconds and, with atheris, 2 GB of memory. Prints how many inputs were
tried in which time, which is what docs/security.md says of it.
"""

import argparse
import importlib.util
import random
import subprocess
import sys
import time
import traceback
from pathlib import Path

NAMES = ("image", "dicom", "archive", "contract", "recipe")
SECONDS = 10
"""One input may take no longer."""
_MEGABYTES = 2048
_LARGEST = 1 << 18
_DICTIONARY = (
    *("IHDR", "IDAT", "IEND", "eXIf", "tRNS", "RIFF", "WEBPVP8 ", "Exif", "DICM"),
    *("PK\\x01\\x02", "PK\\x03\\x04", "PK\\x05\\x06", "PK\\x06\\x06", "PK\\x06\\x07"),
    *("\\xff\\xda", "\\xff\\xc2", "\\xff\\x4f\\xff\\x51", "\\xfe\\xff\\x00\\xe0"),
    *('\\"classes\\":', '\\"golden\\":', '\\"recipe\\":', "1e999", "NaN", "\\\\ud800"),
)


def main() -> None:
    """Run the fuzzer that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, help="a folder that keeps what reached new lines")
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        _changed_at_random(asked)
    elif asked.inside:
        _guided(asked)
    else:
        _watched(asked)


def _watched(asked: argparse.Namespace) -> None:
    """Atheris ends its process when its time is up: count from outside of it."""
    began = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.fuzz", *sys.argv[1:], "--inside"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert child.stderr
    last = ""
    for line in child.stderr:
        print(line, end="", flush=True)
        if line.startswith("Done "):  # libFuzzer's last line: Done N runs in S second(s)
            last = line.split()[1]
    status = child.wait()
    minutes = (time.monotonic() - began) / 60
    print(f"{asked.target}: {last or 'not all'} inputs in {minutes:.1f} min, guided by coverage")
    sys.exit(status)


def _guided(asked: argparse.Namespace) -> None:
    import atheris

    with atheris.instrument_imports(include=["covidcore"]):
        from covidcore.data import archives, decode  # noqa: F401  and all that they import
        from covidcore.jobs import import_checks, imports  # noqa: F401
        from covidcore.training import recipe  # noqa: F401

        if asked.target == "contract":
            from covidcore.model import checkpoint  # noqa: F401
    from tests.fuzz.mutations import mutated
    from tests.fuzz.targets import TARGETS, kept

    target = TARGETS[asked.target]
    asked.findings.mkdir(parents=True, exist_ok=True)
    corpus = asked.corpus or asked.findings / f"corpus-{asked.target}"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate([*target.seeds(), *kept(asked.target)]):
        (corpus / f"seed-{number:03d}").write_bytes(data)
    words = asked.findings / "dictionary.txt"
    words.write_text("".join(f'"{word}"\n' for word in _DICTIONARY))
    options = [
        *(f"-max_total_time={round(60 * asked.minutes)}", f"-timeout={SECONDS}"),
        *(f"-rss_limit_mb={_MEGABYTES}", f"-max_len={_LARGEST}", f"-seed={asked.seed + 1}"),
        *(f"-artifact_prefix={asked.findings}/{asked.target}-", f"-dict={words}"),
        *("-print_final_stats=1", "-verbosity=1", str(corpus)),
    ]

    def changed(data: bytes, most: int, seed: int) -> bytes:
        """Half of the time a value for a value: single bytes seldom leave JSON that can be read."""
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return mutated([data or b"{}"], chance, "text")[:most]

    mutator = {"custom_mutator": changed} if target.kind == "text" else {}
    atheris.Setup([sys.argv[0], *options], target.run, **mutator)
    atheris.Fuzz()


def _changed_at_random(asked: argparse.Namespace) -> None:
    from tests.fuzz.mutations import mutated
    from tests.fuzz.targets import TARGETS, kept

    target, chance = TARGETS[asked.target], random.Random(asked.seed)
    seeds = [*target.seeds(), *kept(asked.target)]
    began, tried, taken = time.monotonic(), 0, 0
    while time.monotonic() - began < 60 * asked.minutes:
        data = mutated(seeds, chance, target.kind)
        at = time.monotonic()
        try:
            taken += target.run(data)
            assert time.monotonic() - at < SECONDS, "too slow"
        except Exception:
            asked.findings.mkdir(parents=True, exist_ok=True)
            (asked.findings / f"{asked.target}-{tried}").write_bytes(data)
            traceback.print_exc()
            sys.exit(f"{asked.target}: a finding at input {tried}")
        tried += 1
    minutes = (time.monotonic() - began) / 60
    print(f"{asked.target}: {tried:,} inputs in {minutes:.1f} min, {taken:,} taken, at random")


if __name__ == "__main__":
    main()
