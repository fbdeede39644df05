"""Time and memory of an audit as datasets grow: ``python -m benchmarks.audit FOLDER``.

Noisy copies of a folder's images (or of phantoms, where none is given) make datasets of 1,000,
3,000 and 9,000 images. Each step runs in a process of its own, at the caller's priority; times are
set beside that of decoding the same files with Pillow and doing nothing else, as machines differ.
"""

import json
import os
import resource
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


def main() -> None:
    """Print one row a size: seconds, ratio to decoding, peak memory."""
    if len(sys.argv) == 4:
        _step(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
        return
    print("| images | decoding | scan | first audit | ratio | again | peak MB of the first |")
    print("|---|---|---|---|---|---|---|")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as place:
            folder, home = Path(place) / "set", Path(place) / "home"
            _copy(_originals(Path(place)), folder, size)
            found = {
                name: _run(name, folder, home) for name in ("decode", "scan", "audit", "again")
            }
            decode, scan, first, again = (found[name]["seconds"] for name in found)
            print(
                f"| {size:,} | {decode:.1f} s | {scan:.1f} s | {first:.1f} s | "
                f"{first / decode:.1f} | {again:.2f} s | {found['audit']['megabytes']:.0f} |",
                flush=True,
            )


def _originals(place: Path) -> list[Path]:
    from covidcore.data.phantoms import PhantomSpec, write

    root = Path(sys.argv[1]) if len(sys.argv) > 1 else write(PhantomSpec(), place / "phantoms")
    files = [path for path in root.rglob("*") if path.suffix in (".png", ".jpg", ".jpeg")]
    return sorted(path for path in files if path.parent.name != "masks")


def _copy(files: list[Path], folder: Path, count: int) -> None:
    """Write ``count`` images, each an original with noise of three grey levels."""
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(files))
    for number in range(count):
        source = files[chosen[number % len(files)]]
        label = source.parent.parent.name if source.parent.name == "images" else source.parent.name
        pixels = np.asarray(Image.open(source).convert("L"), dtype=np.float32)
        noisy = np.clip(pixels + rng.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8)
        target = folder / label / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy).save(target)


def _run(name: str, folder: Path, home: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.audit", name, str(folder), str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def _step(name: str, folder: Path, home: Path) -> None:
    """One step in this process; what it needs that is not part of it is done before the clock."""
    from covidcore.data.audit import audit
    from covidcore.data.index import scan

    work: Callable[[], object] = partial(_decode, folder)
    if name == "scan":
        work = partial(scan, folder, home)
    elif name in ("audit", "again"):
        work = partial(audit, scan(folder, home), home)
    started = time.monotonic()
    work()
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "megabytes": peak}))


def _decode(folder: Path) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(lambda path: np.asarray(Image.open(path)).sum(), folder.glob("*/*.png")):
            pass


if __name__ == "__main__":
    main()
