"""The verbs that take a model away and bring one in: export, import-model."""

import argparse

from covidcore.config import Settings
from covidcore.show import Answer
from covidcore.wording import visible

_CHECKED = (
    "ONNX Runtime says to its {golden} golden inputs what torch says (largest difference of a "
    "logit {difference:.1g}). What has to be known beside it is in {name}.json."
)
_PICTURES = (
    " Its familiar.safetensors holds a picture of 32 x 32 pixels, and the file name, of each "
    "training image; --share leaves the pictures out."
)


def export(options: argparse.Namespace, settings: Settings) -> Answer:
    """Write the model of a run as ONNX, or as a checkpoint that can be brought in elsewhere."""
    from covidcore.jobs.exports import export_checkpoint, export_onnx
    from covidcore.jobs.store import RunStore

    store = RunStore(settings)
    run = store.find(options.run_id)
    path = options.onnx or options.checkpoint
    if options.onnx:
        made = export_onnx(store, run, path)
        said = _CHECKED.format(**made, name=visible(path.name))
    else:
        made = {"files": export_checkpoint(store, run, path, options.share)}
        said = f"To bring it in elsewhere: import-model {visible(path)}."
        pictures = "familiar.safetensors" in made["files"] and not options.share
        said += _PICTURES if pictures else ""
    return {"run": run, "file": str(path), **made}, f"Run {run} is in {visible(path)}. {said}", 0


def import_model(options: argparse.Namespace, settings: Settings) -> Answer:
    """Bring in a checkpoint, a folder or a zip, after everything in it was checked."""
    from covidcore.jobs.imports import import_model as bring_in
    from covidcore.jobs.store import RunStore

    made = bring_in(RunStore(settings), options.source)
    document = {
        "run": made.run,
        "name": made.name,
        "arch": made.arch,
        "classes": list(made.classes),
        "cached": made.cached,
    }
    how = "was here already" if made.cached else "is checked and here"
    text = (
        f"The model {made.run} {how}: {visible(made.name)}, {made.arch}, answering "
        f"{', '.join(map(visible, made.classes))}. It has no test figures of its own: score it "
        f"with evaluate {made.run} --on DATASET."
    )
    return document, text, 0
