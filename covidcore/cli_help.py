"""What is typed for what: an example or two of every verb, in its help and beside its errors."""

PROGRAM = "python -m covidcore"

EXAMPLES: dict[str, tuple[str, ...]] = {
    "scan": ("scan phantoms", "scan radiographs.zip --json"),
    "import": ("import kaggle", 'import ONE OTHER --map "Normal=NORMAL" --to JOINED'),
    "audit": ("audit phantoms", "audit FOLDER --split 60/20/20 --group-by both"),
    "train": (
        "train phantoms --preset quick",
        "train FOLDER --set epochs=12 --set seed=1 --name twelve",
        "train FOLDER --grid learning_rate=1e-4,1e-3 --detach",
    ),
    "runs": ("runs", "runs --json"),
    "sweeps": ("sweeps",),
    "cancel": ("cancel RUN",),
    "resume": ("resume RUN",),
    "remove": ("remove RUN", "remove SWEEP --runs"),
    "move": ("move RUN -1",),
    "evaluate": ("evaluate latest", "evaluate latest --on OTHER_FOLDER --map Normal=NORMAL"),
    "compare": ("compare RUN OTHER_RUN",),
    "operate": ("operate latest --positive COVID-19 --miss-cost 10 --cheapest --save",),
    "crossvalidate": ("crossvalidate latest --folds 5 --repeats 3",),
    "report": ("report latest --out report.html",),
    "export": ("export latest --checkpoint model.zip", "export latest --onnx model.onnx"),
    "import-model": ("import-model model.zip",),
    "stress": ("stress latest",),
    "predict": ("predict latest IMAGE.png", "predict shipped FOLDER --csv answers.csv"),
    "lab": ("lab", "lab --share 0.5"),
    "doctor": ("doctor",),
}
"""Of each verb, the simplest first; words in capitals stand for what a person has."""


def epilog(verb: str) -> str:
    """The examples of a verb, as its help ends."""
    return "\n".join(["examples:", *(f"  {PROGRAM} {line}" for line in EXAMPLES[verb])])


def hint(verb: str) -> str:
    """What a verb looks like when it is right, for who is told that it was not."""
    return f"For example: {PROGRAM} {EXAMPLES[verb][0]}   (more: {PROGRAM} {verb} --help)"
