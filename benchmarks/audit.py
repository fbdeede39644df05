"""Time and memory as datasets grow: ``python -m benchmarks.audit FOLDER [N]... [--side PIXELS]``

Noisy copies of a folder's images (of phantoms, where it is ``-``) make datasets of N images: 1,000,
3,000 and 9,000 where none is said; N of 0 is the folder as it is. ``--side`` makes them squares of
so many pixels, as the releases of today are (299). Each step runs in a process of
its own. Decoding the same files with Pillow, and doing nothing else, runs before and after the
first scan and audit, in a plain loop and on all cores: machines differ, and one machine differs
from minute to minute. Processor seconds change less than those of the clock where others work too,
so both are given.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = (1_000, 3_000, 9_000)
SUFFIXES = (".png", ".jpg", ".jpeg")
COLUMNS = (
    *("images", "decoding", "first scan and audit", "ratio"),
    *("by the clock: a loop of Pillow, on all cores, first", "images/s", "ratio to the loop"),
    *("second time", "one file changed", "peak MB"),
)


def main() -> None:
    """Print one row a size."""
    if sys.argv[1:2] == ["step"]:
        _step(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("source", nargs="?", default="-")
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--side", type=int)
    asked = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for size in asked.sizes:
        with tempfile.TemporaryDirectory() as place:
            print(_row(asked.source, Path(place), size, asked.side), flush=True)


def _row(source: str, place: Path, size: int, side: int | None) -> str:
    """Measure one size: decoding, the first time, decoding, the second time, one changed file."""
    folder, home = place / "set", place / "home"
    if size:
        _copy(_originals(source, place), folder, size, side)
    else:
        shutil.copytree(source, folder)
    count = len(_images(folder))
    steps = ("loop", "cores", "first", "cores", "loop")
    loop, cores, first, again_cores, again_loop = (_run(step, folder, home) for step in steps)
    again = _run("again", folder, home)
    _change(_images(folder)[count // 2])
    changed = _run("again", folder, home)
    work = (loop["processor"] + again_loop["processor"]) / 2
    alone = (loop["seconds"] + again_loop["seconds"]) / 2
    on_all = (cores["seconds"] + again_cores["seconds"]) / 2
    cells = (
        f"{count:,}",
        f"{work:.1f} s",
        f"{first['processor']:.1f} s",
        f"{first['processor'] / work:.2f}",
        f"{alone:.1f} s, {on_all:.1f} s, {first['seconds']:.1f} s",
        f"{count / alone:.0f}, {count / on_all:.0f}, {count / first['seconds']:.0f}",
        f"{first['seconds'] / alone:.2f}",
        f"{again['processor']:.2f} s ({again['seconds']:.2f} s)",
        f"{changed['scan']:.2f} s, {changed['decoded']:.0f} decoded; "
        f"with audit {changed['processor']:.1f} s",
        f"{first['megabytes']:.0f}",
    )
    return f"| {' | '.join(cells)} |"


def _images(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    return [path for path in files if path.parent.name != "masks"]


def _originals(source: str, place: Path) -> list[Path]:
    from covidcore.data.phantoms import PhantomSpec, write

    return _images(write(PhantomSpec(), place / "phantoms") if source == "-" else Path(source))


def _copy(files: list[Path], folder: Path, count: int, side: int | None) -> None:
    """Write ``count`` images, each an original with noise of three grey levels."""
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(files))
    for number in range(count):
        source = files[chosen[number % len(files)]]
        label = source.parent.parent.name if source.parent.name == "images" else source.parent.name
        image = Image.open(source).convert("L")
        pixels = np.asarray(image.resize((side, side)) if side else image, dtype=np.float32)
        noisy = np.clip(pixels + rng.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8)
        target = folder / label / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy).save(target, compress_level=1)  # noise is not compressed anyway


def _change(file: Path) -> None:
    image = Image.open(file).convert("L")
    image.putpixel((0, 0), 255 - int(image.getpixel((0, 0)) or 0))  # type: ignore[arg-type]
    image.save(file)


def _run(name: str, folder: Path, home: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.audit", "step", name, str(folder), str(home)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def _step(name: str, folder: Path, home: Path) -> None:
    """One step in this process."""
    work: Callable[[dict[str, float]], None] = partial(_decode, folder, name == "cores")
    if name not in ("loop", "cores"):
        work = partial(_audit, folder, home)
    if name == "first":  # libraries are loaded once, however many images there are
        import pandas  # noqa: F401
        import pyarrow.parquet  # noqa: F401
        import scipy.sparse.csgraph  # noqa: F401
        import sklearn.tree  # noqa: F401

        import covidcore.data.audit  # noqa: F401
    found: dict[str, float] = {}
    began, worked = time.monotonic(), time.process_time()
    work(found)
    found["seconds"] = time.monotonic() - began
    found["processor"] = time.process_time() - worked
    found["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


def _audit(folder: Path, home: Path, found: dict[str, float]) -> None:
    from covidcore.data.audit import audit
    from covidcore.data.index import scan

    read = 0

    def count(done: int, total: int) -> None:
        nonlocal read
        read = done

    worked = time.process_time()
    dataset = scan(folder, home, count)
    found |= {"scan": time.process_time() - worked, "decoded": read}
    audit(dataset, home)


def _decode(folder: Path, on_all_cores: bool, found: dict[str, float]) -> None:
    with ThreadPoolExecutor(os.cpu_count() if on_all_cores else 1) as pool:
        found["sum"] = sum(
            pool.map(lambda path: int(np.asarray(Image.open(path)).sum()), _images(folder))
        )


if __name__ == "__main__":
    main()
