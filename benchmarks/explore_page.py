"""How long the explore page takes to draw: ``python -m benchmarks.explore_page [images] [reruns]``.

Makes an index of so many images (21,165, as the fifth release of the Kaggle database) and their
pixel array in a temporary home, with few image files, and draws each view again and again. The time
is the script's, without the browser. On a machine that does other work, read the processor's time.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from PIL import Image
from streamlit.testing.v1 import AppTest

from covidcore import sealed, storage
from covidcore.data.duplicates import thumbnail
from covidcore.data.hashes import dhash
from covidcore.data.index import Dataset, dataset_folder, fingerprint, load
from covidcore.data.means import SIZE, pixel_statistics
from covidcore.data.pixels import array_file, header_of

ENTRY = Path(__file__).parents[1] / "streamlit_app.py"
CLASSES = {"COVID": 3616, "Lung_Opacity": 6012, "Normal": 10192, "Viral Pneumonia": 1345}
SOURCES = ("bimcv", "rsna", "kermany", "sirm", "eurorad", "")


def main(images: int = 21_165, reruns: int = 10) -> None:
    """Print one row a view: the first drawing, the median of the reruns, and the slowest."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        key = _make(home, images)
        dataset = load(key, home)
        began, worked = time.perf_counter(), time.process_time()
        pixel_statistics(dataset, home)
        began, worked = time.perf_counter() - began, time.process_time() - worked
        print(f"{images:,} images; pixel statistics once: {began:.1f} s, processor {worked:.1f} s")
        file = dataset.index["file"][images // 2]
        _write_files(dataset, images // 2, reruns + 1)
        views: dict[str, tuple[dict[str, str], Callable[[AppTest, int], object]]] = {
            "Overview": ({}, _nothing),
            "Images, another page": ({"view": "Images"}, _page),
            "Images, another class": ({"view": "Images"}, _class),
            "Images, copies": ({"view": "Images", "copies": "All copies"}, _class),
            "One image, the next": ({"view": "Images", "image": file}, _next),
            "Means, another class": ({"view": "Means"}, _mean),
        }
        print("| view | first | again, median | slowest | processor, median | slowest |")
        print("|---|---|---|---|---|---|")
        with mock.patch.dict("os.environ", COVIDCORE_HOME=str(home)):
            for name, (link, act) in views.items():
                times, work = _times({"dataset": key} | link, act, reruns)
                figures = (times[0], *_summary(times[1:]), *_summary(work[1:]))
                print(f"| {name} |", *(f"{one:.0f} ms |" for one in figures), flush=True)


def _times(
    link: dict[str, str], act: Callable[[AppTest, int], object], reruns: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of the first drawing and of each one after: by the clock, of the processor."""
    app = AppTest.from_file(str(ENTRY), default_timeout=300)
    app.switch_page("pages/explore.py")
    for name, value in link.items():
        app.query_params[name] = value
    times, work = [], []
    for number in range(reruns + 1):
        if number:
            act(app, number)
        began, worked = time.perf_counter(), time.process_time()
        app.run()
        times.append(1000 * (time.perf_counter() - began))
        work.append(1000 * (time.process_time() - worked))
        assert not app.exception, app.exception[0].value
        assert not app.error, app.error[0].value
    return times, work


def _summary(values: list[float]) -> tuple[float, float]:
    return statistics.median(values), max(values)


def _nothing(app: AppTest, number: int) -> None:
    """Draw the same again."""


def _page(app: AppTest, number: int) -> None:
    app.pagination(key="page").set_value(number + 1)


def _class(app: AppTest, number: int) -> None:
    app.selectbox(key="class").select_index(number % 5)


def _next(app: AppTest, number: int) -> None:
    app.button(key="next").click()


def _mean(app: AppTest, number: int) -> None:
    app.selectbox(key="mean_of").select_index(number % 4)


def _write_files(dataset: Dataset, first: int, count: int) -> None:
    """The images that are shown in full, and their masks."""
    pixels = np.random.default_rng(1).integers(0, 256, (299, 299), dtype=np.uint8)
    for column in ("file", "mask"):
        for file in dataset.index[column][first : first + count]:
            path = dataset.root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)


def _make(home: Path, images: int) -> str:
    """Write what a scan and the first reading of such a dataset leave; returns its fingerprint."""
    rng = np.random.default_rng(0)
    shares = np.array(list(CLASSES.values())) / sum(CLASSES.values())
    labels = np.sort(rng.choice(list(CLASSES), images, p=shares))
    files = [f"{label}/images/{label}-{number}.png" for number, label in enumerate(labels)]
    small = rng.integers(0, 256, (images, 12, 12), dtype=np.uint8)
    small[1::500] = small[0::500][: len(small[1::500])]  # some copies
    hashes = [storage.sha256_bytes(one.tobytes()) for one in small]
    index = pd.DataFrame(
        {
            "file": files,
            "label": labels,
            "source": rng.choice(SOURCES, images),
            "group": [f"P{number // 2}" for number in range(images)],
            "width": 299,
            "height": rng.choice([299, 320], images),
            "mode": rng.choice(["L", "RGB"], images),
            "bytes": rng.integers(20_000, 60_000, images),
            "sha256": hashes,
            "pixel_sha256": hashes,
            "dhash": [f"{dhash(one):016x}" for one in small],
            "thumbnail": [thumbnail(one) for one in small],
            "mask": [file.replace("/images/", "/masks/") for file in files],
        }
    )
    key = fingerprint(index)
    folder = dataset_folder(home, key)
    storage.write_table(folder / "index.parquet", index)
    masks = [(file, "a lung mask, not a radiograph") for file in index["mask"]]
    about = {
        "root": str(home / "set"),
        "name": "set",
        "layout": "v5",
        "synthetic": False,
        "classes": {name: int((labels == name).sum()) for name in CLASSES},
        "ignored": {"masks": images, "hidden": 0, "other": 0},
        "ignored_files": masks,
        "unreadable": [],
        "duplicates": {"exact": 0, "near": 0},
        "seconds": 0.0,
    }
    storage.write_json(folder / "dataset.json", about)
    header = header_of(images, SIZE)
    sums = sealed.Sums(header)
    with storage.replacing(array_file(folder, SIZE)) as file:
        file.write(header)
        for one in small:
            square = np.asarray(Image.fromarray(one).resize((SIZE, SIZE))).tobytes()
            file.write(square)
            sums.add(square)
        file.write(bytes(sums))
    return key


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
