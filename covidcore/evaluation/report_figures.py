"""Facts about what a run gets right on its test images, in words."""

from collections.abc import Callable

from covidcore.evaluation.report_words import Document, Rule, Said, share
from covidcore.wording import percent

_METRICS = (
    "Accuracy; balanced accuracy (mean recall); recall, specificity, precision, F1 and area under "
    "the ROC curve of each class against the rest; expected calibration error. A figure of a class "
    "without images does not exist."
)
_INTERVALS = (
    "Intervals of 95 %: Wilson's for shares of images, and for F1 by way of one; means over "
    "classes are put together from these (MOVER, Zou and Donner); areas under curves have a score "
    "interval for normal scores, widened where scores spread wider. In all but shares of "
    "images, films of one patient (where patients are known) count for as many as they differ. No "
    "threshold was chosen on test images."
)


def _accuracy(d: Document) -> str:
    one = d["evaluation"]
    right = sum(row[at] for at, row in enumerate(one["confusion"]))
    ends = share(one["accuracy"], one["accuracy_ci"])
    return f"Accuracy {ends}: {right:,} of {one['n']:,} test images."


def _averages(d: Document) -> str:
    one, names = d["evaluation"], {"balanced_accuracy": "Balanced accuracy", "macro_f1": "macro F1"}
    parts = [f"{said} {share(one[name], one[f'{name}_ci'])}" for name, said in names.items()]
    auc = share(one["auc_macro"], one.get("auc_macro_ci"))
    return f"{', '.join(parts)}, macro AUC {auc}."


def _each(*figures: tuple[str, str]) -> Callable[[Document], str]:
    def say(d: Document) -> str:
        return " ".join(
            f"{name} ({of['n']:,}): "
            + ", ".join(f"{said} {share(of[key], of.get(f'{key}_ci'))}" for key, said in figures)
            + "."
            for name, of in d["evaluation"]["per_class"].items()
        )

    return say


def _calibration(d: Document) -> str:
    one = d["evaluation"]
    return (
        f"Expected calibration error, 15 bins: {percent(one['ece'])}, "
        f"{percent(one['ece_uncalibrated'])} before the temperature {one['temperature']:.3f}, "
        "which was fitted on the validation images."
    )


def _failures(d: Document) -> str:
    matrix, classes = d["evaluation"]["confusion"], d["evaluation"]["classes"]
    wrong = [
        (matrix[row][column], f"{truth} answered {answer}")
        for row, truth in enumerate(classes)
        for column, answer in enumerate(classes)
        if row != column and matrix[row][column]
    ]
    total = sum(count for count, _ in wrong)
    listed = ", ".join(f"{said} {count:,}" for count, said in sorted(wrong, reverse=True)[:6])
    return f"{total:,} test images are answered wrong" + (f": {listed}." if listed else ".")


def _operating(d: Document) -> str:
    point = d["operating"]
    if not point:
        return ""
    limits = ", ".join(f"{name} from {percent(at)} on" for name, at in point["thresholds"].items())
    said = f"Saved with the run: {limits or 'no thresholds'}."
    for name, one in point["effect"].items():
        said += (
            f" {name}: sensitivity {share(one['sensitivity'], one['sensitivity_ci'])}, specificity "
            f"{share(one['specificity'], one['specificity_ci'])}; at a prevalence of "
            f"{percent(one['prevalence'])} PPV {share(one['ppv'], one['ppv_ci'])}, NPV "
            f"{share(one['npv'], one['npv_ci'])}."
        )
    return said


def _answering(d: Document) -> str:
    rule = "the most probable class is the answer"
    if d["operating"] and d["operating"]["thresholds"]:
        rule = "of the classes that reach their thresholds, the one that exceeds it most"
    return (
        "A probability for each class: the softmax of the outputs divided by the temperature "
        f"{d['evaluation']['temperature']:.3f}; {rule}."
    )


def _by(*ways: str) -> Callable[[Document], list[Said]]:
    """Accuracy by each of these ways to part the test images; by all without any."""

    def say(d: Document) -> list[Said]:
        said = []
        for way, parts in (d["subgroups"] or {}).items():
            if not ways or way in ways:
                each = (
                    f"{part['value']} {share(part['accuracy'], part['accuracy_ci'])} of "
                    f"{part['n']:,}"
                    for part in parts
                )
                said.append(Said(f"By {way}: {'; '.join(each)}.", f"by {way}"))
        return said

    return say


_SHARES = (("recall", "recall"), ("specificity", "specificity"), ("precision", "precision"))

RULES: dict[str, Rule] = {
    "accuracy": ("evaluate", _accuracy),
    "averages": ("evaluate", _averages),
    "per_class": ("evaluate", _each(*_SHARES, ("f1", "F1"))),
    "aucs": ("evaluate", _each(("auc", "AUC"))),
    "calibration": ("evaluate", _calibration),
    "failures": ("evaluate", _failures),
    "metrics": ("evaluate", lambda d: _METRICS),
    "intervals": ("evaluate", lambda d: _INTERVALS),
    "answering": ("operate", _answering),
    "operating": ("operate", _operating),
    "by_source": ("", _by("source")),
    "fairness": ("", _by("sex", "age")),
    "subgroups": ("", _by()),
}
"""By name."""
