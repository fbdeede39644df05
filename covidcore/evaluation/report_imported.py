"""Facts about a model that was imported: its files, what its contract says, what was measured here.

Of its training and its own test images nothing was seen here. What its contract says of them is
said as that; what it does not say is not reported.
"""

from covidcore.evaluation import report_checks, report_facts
from covidcore.evaluation.report_words import Document, Rule

_SAID = "Its contract says, and it was not seen here: "


def _classes(d: Document) -> str:
    return f"The classes that it answers: {', '.join(d['job']['classes'])}."


def _dataset(d: Document) -> str:
    name, fingerprint = d["job"]["dataset_name"], d["job"]["dataset"]
    known = ", ".join(filter(None, (name, f"fingerprint {fingerprint}" if fingerprint else "")))
    return f"{_SAID}trained on {known}." if known else ""


def _model(d: Document) -> str:
    return (
        f"Deep learning: the convolutional network {d['contract']['arch']}, "
        f"{len(d['job']['classes'])} outputs. Imported from {d['job']['from']} on "
        f"{d['job']['created'][:10]}."
    )


def _weights(d: Document) -> str:
    weights = d["job"]["weights"]
    return f"{_SAID}training began with the weights “{weights['name']}”." if weights else ""


def _training(d: Document) -> str:
    if d["job"]["recipe"] is None:
        return ""
    _, say = report_facts.RULES["training"]
    return f"{_SAID}{say(d)}"


def _software(d: Document) -> str:
    return f"covidcore {d['software']} (MIT licence) made this report."


def _answering(d: Document) -> str:
    return (
        "A probability for each class: the softmax of the outputs divided by the temperature "
        f"{d['contract']['temperature']:.3f}; the most probable class is the answer."
    )


RULES: dict[str, Rule] = {
    "classes": ("", _classes),
    "predictors": ("", report_facts.RULES["predictors"][1]),
    "dataset": ("", _dataset),
    "preprocessing": ("", report_facts.RULES["preprocessing"][1]),
    "model": ("", _model),
    "weights": ("", _weights),
    "training": ("", _training),
    "answering": ("", _answering),
    "software": ("", _software),
    "checkpoint": ("", report_facts.RULES["checkpoint"][1]),
    "outside": report_checks.RULES["outside"],
}
"""By name; all other names stay unsaid."""
