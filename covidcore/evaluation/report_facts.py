"""Facts about a run's data and training, in words.

A fact that is not stored is not said: every function gives an empty text then.
"""

from collections.abc import Callable

from covidcore.data import known
from covidcore.evaluation.report_words import Document, Rule, counts

_TRAINED = {
    "head": "only the last layer was trained",
    "last_stage": "the last stage and the last layer were trained",
    "all": "all layers were trained",
}
_GROUPED = {
    "none": "Images were dealt one by one: a patient may be in several sets.",
    "patient": "Patients: all images of a patient, as far as patients are known, are in one set.",
    "near_duplicates": "Pictures: copies and near copies of a picture are in one set.",
    "both": "Patients and pictures: all images of a patient, as far as known, and all copies and "
    "near copies of a picture are in one set.",
}


def _goal(d: Document) -> str:
    return (
        "A classifier that gives a chest radiograph one of the classes "
        f"{', '.join(d['job']['classes'])} was trained, and tested on images of the same dataset."
    )


def _classes(d: Document) -> str:
    return f"The class of an image, as the dataset tells it: {', '.join(d['job']['classes'])}."


def _predictors(d: Document) -> str:
    return "The grey levels of the picture, nothing else: no facts of the file, no patient data."


def _dataset(d: Document) -> str:
    data = d["data"]
    text = f"{d['job']['dataset_name']}, fingerprint {d['job']['dataset']}"
    if data is None:
        return f"{text}; its index is not on this machine any more."
    kind = "synthetic phantoms, no patients" if data["synthetic"] else "images"
    return f"{text}: {data['images']:,} {kind} ({counts(data['classes'])})."


def _sources(d: Document) -> str:
    if not d["data"] or not d["data"]["sources_known"]:
        return ""
    parts = [
        f"{source or 'unknown'}: {counts({n: c for n, c in by_class.items() if c})}"
        for source, by_class in d["data"]["sources"].items()
    ]
    return f"By source: {'; '.join(parts)}."


def _left_out(d: Document) -> str:
    data = d["data"]
    if data is None:
        return ""
    ignored = ", ".join(f"{count:,} {kind}" for kind, count in data["ignored"].items() if count)
    return (
        f"Read: {data['images']:,} images. Unreadable: {data['unreadable']:,}. Ignored files: "
        f"{ignored or 'none'}. Left out by the recipe: {data['images'] - _dealt(d):,}."
    )


def _dealt(d: Document) -> int:
    return sum(sum(one.values()) for one in d["sets"].values())


def _subset(d: Document) -> str:
    left = d["job"]["recipe"]["exclude_sources"]
    return (
        f"Without images of the sources {', '.join(left)}."
        if left
        else "All images that could be read were used."
    )


def _unknown(d: Document) -> str:
    data = d["data"]
    if data is None:
        return ""
    return (
        f"The patient is known for {data['patients_known']:,} of {data['images']:,} images, the "
        f"source for {data['sources_known']:,}; an image of an unknown patient counts as a patient "
        f"of its own. Nothing is imputed. Unreadable files ({data['unreadable']:,}) are left out."
    )


def _person(*columns: str) -> Callable[[Document], str]:
    def say(d: Document) -> str:
        known = (d["data"] or {}).get("people", {})
        return " ".join(
            f"{column.capitalize()} in {name}: {counts(values)}."
            for column in columns
            for name, values in known.get(column, {}).items()
        )

    return say


def _split(d: Document) -> str:
    recipe = d["job"]["recipe"]
    return (
        f"Training, validation and test in the shares {recipe['split']}, dealt class by class with "
        f"seed {recipe['seed']}; SHA-256 of the split begins with {d['job']['split']}."
    )


def _set_counts(d: Document) -> str:
    names = {"train": "Training", "val": "validation", "test": "test"}
    return (
        "; ".join(
            f"{names[name]}: {sum(one.values()):,} ({counts(one)})"
            for name, one in d["sets"].items()
        )
        + "."
    )


def _test_size(d: Document) -> str:
    test = sum(d["sets"]["test"].values())
    return (
        f"{test:,} test images of {d['test_groups']:,} patients or single images: the share that "
        f"the recipe asks for ({d['job']['recipe']['split']})."
    )


def _preprocessing(d: Document) -> str:
    spec = d["contract"].get("preprocessing") if d["contract"] else None
    if not spec:
        return ""
    size = spec["image_size"]
    mean, deviation = (" / ".join(f"{x:g}" for x in spec[name]) for name in ("mean", "std"))
    return (
        f"Grey levels; scaled to {size} x {size} pixels ({spec['resize']}), channels "
        f"{spec['channels']}, mean {mean}, deviation {deviation}. The same for training, testing "
        "and use."
    )


def _model(d: Document) -> str:
    recipe = d["job"]["recipe"]
    return (
        f"Deep learning: the convolutional network {recipe['arch']}, {len(d['job']['classes'])} "
        f"outputs; {_TRAINED[recipe['trainable']]}."
    )


def _weights(d: Document) -> str:
    weights = d["job"]["weights"]
    digest = f", SHA-256 {weights['id']}" if weights.get("path") and weights.get("id") else ""
    said = f"Training began with the weights “{weights['name']}”{digest}."
    seen = known.in_words(d["job"].get("known"))
    return " ".join(filter(None, (said, weights.get("note"), seen)))


def _training(d: Document) -> str:
    recipe = d["job"]["recipe"]
    return (
        f"Preset {recipe['preset']}: {recipe['epochs']} epochs, {recipe['batch_size']} images a "
        f"step, AdamW, highest learning rate {recipe['learning_rate']:g} ({recipe['schedule']}), "
        f"weight decay {recipe['weight_decay']:g}, label smoothing "
        f"{recipe['label_smoothing']:g}, augmentation {recipe['augment']}, seed {recipe['seed']}."
    )


def _imbalance(d: Document) -> str:
    balanced = d["job"]["recipe"]["class_weights"] == "balanced"
    how = "weighted by the inverse of the class's share" if balanced else "not weighted by class"
    return f"The loss was {how}; nothing was resampled. In training: {counts(d['sets']['train'])}."


def _selection(d: Document) -> str:
    status = d["status"]
    if status.get("best_epoch") is None or status.get("val_loss") is None:
        return ""
    return (
        f"The epoch of least validation loss: {status['best_epoch']} of {status['epoch']} "
        f"(loss {status['val_loss']:.4f}). Test images played no part."
    )


def _ensemble(d: Document) -> str:
    decay = d["job"]["recipe"].get("ema_decay") or 0
    average = f" Its weights are a running average over steps ({decay:g})." if decay else ""
    return f"None: a run is one network.{average}"


def _software(d: Document) -> str:
    with_ = (d["contract"] or {}).get("trained_with") or {}
    known = ", ".join(f"{name} {value}" for name, value in with_.items())
    return f"covidcore {d['software']} (MIT licence) made this report." + (
        f" Trained with {known}." if known else ""
    )


def _checkpoint(d: Document) -> str:
    digest = (d["contract"] or {}).get("sha256")
    return f"best.safetensors with contract.json; SHA-256 {digest}." if digest else ""


RULES: dict[str, Rule] = {
    "goal": ("train", _goal),
    "classes": ("scan", _classes),
    "predictors": ("train", _predictors),
    "dataset": ("scan", _dataset),
    "sources": ("audit", _sources),
    "left_out": ("scan", _left_out),
    "subset": ("train", _subset),
    "unknown": ("scan", _unknown),
    "people": ("scan", _person("sex", "age")),
    "views": ("scan", _person("view")),
    "split": ("train", _split),
    "set_counts": ("train", _set_counts),
    "grouping": ("train", lambda d: _GROUPED[d["job"]["recipe"]["group_by"]]),
    "test_size": ("train", _test_size),
    "preprocessing": ("train", _preprocessing),
    "model": ("train", _model),
    "weights": ("train", _weights),
    "training": ("train", _training),
    "imbalance": ("train", _imbalance),
    "selection": ("train", _selection),
    "ensemble": ("train", _ensemble),
    "software": ("train", _software),
    "checkpoint": ("train", _checkpoint),
}
"""By name; in the order in which a reader wants them."""
