"""The shortcut lab: phantoms with a mark in the corner of most of one class, beside the same
without, each trained and questioned alike.

What comes of it is kept in the home as ``lab/<share>.json``; the datasets, the runs and their
audits are like any others, and open on the pages. Knows no torch; the work is in `lab_process`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from covidcore.data.phantom_spec import PhantomSpec
from covidcore.errors import DataError
from covidcore.jobs.studies import Study
from covidcore.training.recipe import Recipe
from covidcore.wording import percent

if TYPE_CHECKING:
    from covidcore.jobs.store import RunStore

Arm = Literal["plain", "marked"]
ARMS: tuple[Arm, ...] = ("plain", "marked")

SHARES = (0.5, 0.7, 0.9, 1.0)
"""Of the marked class's images, how many carry the mark: what pages offer."""
NAME = "Shortcut lab"
"""With it begin the names of its runs."""
_VERSION = 2
"""Of what is drawn, trained and asked; a change answers anew."""

RECIPE = Recipe(
    weights="radiographs",
    trainable="all",
    image_size=64,
    epochs=8,
    batch_size=16,
    learning_rate=1e-3,
    augment="none",
    split="50/10/40",
    precision="fp32",
)
"""Everything is trained, on small images, so that a network can learn both the lungs and the mark
in seconds. Weights that come with the project, so that it works offline and gives everybody the
same; many test images, as they are what the intervals are made of."""


@dataclass(frozen=True)
class Lab:
    """What is drawn and trained."""

    share: float = 0.9
    """Of the first class's images that carry the mark."""
    images: int = 300
    """In each of the two datasets."""
    elsewhere: int = 150
    """In a third, which nobody marked and nobody trained on."""
    size: int = 128
    """Pixels a side."""
    signal: float = 0.5
    """How much of the disease can be seen: little, so that a mark is the easier way."""
    recipe: Recipe = RECIPE

    def __post_init__(self) -> None:
        """Refuse what is no share. Raises: DataError."""
        if not 0 < self.share <= 1:
            raise DataError(f"The share of marked images is {self.share:g}; give 0.01 to 1.")

    def spec(self, arm: Arm) -> PhantomSpec:
        """The phantoms of one arm: the same patients and exposures, marked or not."""
        cue: Literal["none", "corner"] = "corner" if arm == "marked" else "none"
        share = self.share if arm == "marked" else 0.0
        return PhantomSpec(
            self.images, self.size, cue=cue, cue_share=share, signal=self.signal, seed=1
        )

    def spec_elsewhere(self) -> PhantomSpec:
        """Other patients, without any mark."""
        return PhantomSpec(self.elsewhere, self.size, signal=self.signal, seed=2)

    def name(self, arm: Arm) -> str:
        """Of the arm's dataset and run."""
        marked = self.spec(arm).classes[0]
        return f"{100 * self.share:g} % of {marked} marked" if arm == "marked" else "nothing marked"


def lab_study(store: "RunStore", share: float) -> Study:
    """The lab with this share of marked images: answered before, under way, or to be started.

    Raises: DataError where it is no share.
    """
    thousandths = round(1000 * Lab(share).share)
    return Study(
        None,
        store.settings.home / "lab" / f"{thousandths}.json",
        {"version": _VERSION, "share": thousandths},
        "covidcore.jobs.lab_process",
        str(store.settings.home),
        str(thousandths),
    )


def conclusions(document: dict[str, Any]) -> list[str]:
    """What the lab showed, read off its figures: plain sentences, one a question."""
    plain, marked = (document["arms"][arm] for arm in ARMS)
    name, share = document["marked_class"], f"{100 * document['share']:g} %"
    rose = marked["accuracy"] - plain["accuracy"]
    told = f"from {percent(plain['accuracy'])} to {percent(marked['accuracy'])}"
    return [
        f"With a mark on {share} of {name}, accuracy {'rose' if rose > 0 else 'went'} {told}; what "
        "can be seen in the lungs is the same.",
        _judged(
            plain["border"]["red"],
            marked["border"]["red"],
            "a rule that sees only the border of the picture",
        ),
        _judged(
            plain["lungs_out"]["red"], marked["lungs_out"]["red"], "the run with the lungs blacked"
        ),
        f"On new images that nobody marked, the run that learnt with marks is right on "
        f"{percent(marked['elsewhere']['accuracy'])}, the other on "
        f"{percent(plain['elsewhere']['accuracy'])}: no test image of its own dataset told that.",
    ]


def _judged(before: bool, after: bool, who: str) -> str:
    """Whether something that sees no lungs is right more often than chance."""
    words: Sequence[str] = [
        "beats chance" if red else "can not be told from chance" for red in (before, after)
    ]
    return f"Without marks, {who} {words[0]}; with them it {words[1]}."
