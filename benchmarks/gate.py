"""What the gate of a run refuses and recognises: ``python -m benchmarks.gate RUN [--held FOLDER]``.

Held-back radiographs are the run's own test images, or those of a folder; what is none is drawn
here (``benchmarks.impostors``), and more of it may be given (``--others FOLDER``). Prints JSON on
standard output and a Markdown table on standard error.
"""

import argparse
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.impostors import CHESTS, impostors, png
from covidcore.config import Settings
from covidcore.data.decode import decode
from covidcore.data.index import load
from covidcore.inference.predictor import Predictor
from covidcore.jobs.store import RunStore
from covidcore.proportions import wilson

Answers = list[dict[str, Any]]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="the start of a run's id, or latest")
    parser.add_argument("--held", type=Path, help="a folder of radiographs the run has not seen")
    parser.add_argument("--others", type=Path, action="append", default=[], help="no radiographs")
    parser.add_argument("--model", type=Path, help="asked instead: a checkpoint made of the run")
    parser.add_argument("--images", type=int, default=200, help="of each set, at most")
    options = parser.parse_args()
    torch.set_num_threads(1)
    store = RunStore(Settings.from_environment())
    run = store.find(options.run)
    predictor = Predictor.open(options.model or store.path(run))
    root = load(store.job(run)["dataset"], store.settings.home).root
    split = store.split(run)
    chance = np.random.default_rng(0)

    def some(paths: Iterable[Path]) -> list[Path]:
        found = sorted(paths)
        kept = chance.permutation(len(found))[: options.images]
        return [found[place] for place in kept]

    test = [root / file for file in split["file"][split["split"] == "test"]]
    held = some(options.held.rglob("*.*") if options.held else test)
    training = some(root / file for file in split["file"][split["split"] == "train"])
    parts: dict[str, Callable[[], Any]] = {
        "held_back": lambda: refused(predictor.predict((str(path), path) for path in held)),
        "formats": lambda: formats(predictor, held[: options.images // 4]),
        "cost": lambda: cost(predictor, held[:50]),
        "no_radiographs": lambda: others(predictor, options.images // 5, options.others),
        "training_images": lambda: {
            name: known(predictor, root, training, change) for name, change in COPIES.items()
        },
    }
    document: dict[str, Any] = {"run": run}
    for name, measure in parts.items():
        document[name] = measure()
        print(f"{name}: {document[name]}", file=sys.stderr, flush=True)
    print(json.dumps(document, indent=1))
    print(markdown(document), file=sys.stderr)


def share(count: int, of: int) -> dict[str, Any]:
    """A share with its 95 % interval."""
    return {"n": of, "count": count, "share": count / max(of, 1), "ci": wilson(count, of)}


def refused(answers: Answers) -> dict[str, Any]:
    """How many were refused, by code, and how many taken for training images."""
    codes = Counter(one["refused"] for one in answers if one["refused"])
    found = sum(one["near_training_image"] is not None for one in answers)
    return {
        "refused": share(sum(codes.values()), len(answers)),
        "codes": dict(codes),
        "taken_for_training_images": share(found, len(answers)),
    }


def others(predictor: Predictor, each: int, folders: list[Path]) -> dict[str, Any]:
    """What is refused of pictures that are no radiographs, by kind; all, but for our own phantoms.

    Those are drawn to be like chest radiographs: whether they pass is a question of its own.
    """
    kinds: dict[str, Answers] = {}
    for kind, data in impostors(each, folders):
        kinds.setdefault(kind, []).extend(predictor.predict([(kind, data)]))
    everything = [one for kind, found in kinds.items() if kind != CHESTS for one in found]
    by_kind = {kind: refused(answers) for kind, answers in kinds.items()}
    return {"all": refused(everything), "kinds": by_kind}


def known(
    predictor: Predictor, root: Path, files: list[Path], change: Callable[[Path, int], bytes]
) -> dict[str, Any]:
    """How many copies of training images are recognised, and under their own name."""
    answers = predictor.predict(
        (str(path.relative_to(root)), change(path, number)) for number, path in enumerate(files)
    )
    found = sum(one["near_training_image"] is not None for one in answers)
    named = sum(one["near_training_image"] == one["file"] for one in answers)
    return {"recognised": share(found, len(answers)), "by_name": share(named, len(answers))}


def _as_it_is(path: Path, number: int) -> bytes:
    return path.read_bytes()


def _jpeg(path: Path, number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(decode(path).pixels).save(file, "JPEG", quality=(95, 75, 50, 30)[number % 4])
    return file.getvalue()


def _resized(path: Path, number: int) -> bytes:
    image = Image.fromarray(decode(path).pixels)
    scale = np.random.default_rng(number).uniform(0.15, 1.2, 2)
    size = [max(64, round(side * by)) for side, by in zip(image.size, scale, strict=True)]
    return png(image.resize((size[0], size[1]), Image.Resampling.BICUBIC))


def _cropped(path: Path, number: int) -> bytes:
    """Each border loses up to 5 % of the side, each another share."""
    image = Image.fromarray(decode(path).pixels)
    left, top, right, bottom = np.random.default_rng(number).uniform(0, 0.05, 4)
    (width, height) = image.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    return png(image.crop(tuple(map(round, box))))


COPIES = {"as they are": _as_it_is, "JPEG": _jpeg, "resized": _resized, "cropped": _cropped}


def formats(predictor: Predictor, files: list[Path]) -> dict[str, Any]:
    """Whether a file says the same as PNG, 16-bit PNG, JPEG 95, DICOM and the other formats."""
    from tests import dicoms, hostile

    largest, differ, answered = 0.0, 0, 0
    for path in files:
        grey = decode(path).pixels
        deep = grey.astype(np.uint16) * 257
        made = {
            "png": hostile.saved(grey),
            "16-bit png": hostile.saved(deep),
            "jpeg": hostile.saved(grey, "JPEG", quality=95),
            "dicom": dicoms.dicom(grey),
            "webp": hostile.saved(grey, "WEBP", quality=95),
            "bmp": hostile.saved(grey, "BMP"),
            "tiff": hostile.saved(deep, "TIFF", compression="tiff_lzw"),
        }
        first, *rest = predictor.predict(made.items(), anyway=True)
        answered += 1
        differ += any(one["answer"] != first["answer"] for one in rest)
        for one in rest:
            for name, chance in first["probabilities"].items():
                largest = max(largest, abs(one["probabilities"][name] - chance))
    return {"files": answered, "other_class": differ, "largest_difference": largest}


def cost(predictor: Predictor, files: list[Path]) -> dict[str, float]:
    """Milliseconds of processor an image, with and without the gate."""
    plain = Predictor(predictor.forward, predictor.contract)
    found = {}
    for name, one in (("with", predictor), ("without", plain)):
        one.predict([(str(files[0]), files[0])])
        began = time.process_time()
        one.predict((str(path), path) for path in files)
        found[f"milliseconds_{name}_gate"] = 1000 * (time.process_time() - began) / len(files)
    return found


def markdown(document: dict[str, Any]) -> str:
    """The table of docs/results.md."""

    def row(name: str, value: dict[str, Any]) -> str:
        low, high = (100 * bound for bound in value["ci"])
        share = f"{100 * value['share']:.1f} % ({low:.1f}-{high:.1f})"
        return f"| {name} | {share} | {value['count']} of {value['n']} |"

    held, none = document["held_back"], document["no_radiographs"]
    lines = ["| | share | images |", "|---|---|---|"]
    lines.append(row("held-back radiographs refused", held["refused"]))
    lines.append(row("the same, taken for training images", held["taken_for_training_images"]))
    lines.append(row(f"no radiographs refused (without {CHESTS})", none["all"]["refused"]))
    lines += [row(f"- {kind}", value["refused"]) for kind, value in none["kinds"].items()]
    for name, value in document["training_images"].items():
        lines.append(row(f"training images recognised, {name}", value["recognised"]))
    return "\n".join([*lines, "", str(document["formats"]), str(document["cost"])])


if __name__ == "__main__":
    main()
