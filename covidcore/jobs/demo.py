"""What a visitor of a public demo may ask of the store, refused here and not only hidden on a page.

Everything is free where ``COVIDCORE_DEMO`` is not set. Knows no torch.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

from covidcore.config import Settings
from covidcore.errors import RecipeError, RunError
from covidcore.model.at_hand import at_hand
from covidcore.training.recipe import PRESETS, Recipe

DEMO_PRESETS = ("quick",)
"""Their features take half a megabyte; cached activations would take a hundred a run."""
DEMO_WEIGHTS = ("radiographs", "none")
"""Those that no network is asked for: a download would be a visitor's to start."""
DEMO_SIZES = (96, 128, 160, 192, 224)
"""Pixels a side. Each keeps features of its own on disk, so they are few."""
MOST_EPOCHS = 60
MOST_WAITING = 3
MOST_KEPT = 8
"""Visitors' runs that are kept; the oldest that has ended goes when another comes."""
LIMIT_SECONDS = 300
"""After which the watchdog ends a visitor's run."""
LIMIT = "limit_seconds"
"""In a job file: how long its worker may take. Only visitors' runs have it."""

_FREE = ("epochs", "image_size", "weights", "learning_rate", "weight_decay", "schedule")
_ALSO_FREE = ("batch_size", "class_weights", "label_smoothing", "seed", "patience", "split")
_NAMED = ("preset", "group_by", "exclude_sources")
FREE_FIELDS = (*_FREE, *_ALSO_FREE, *_NAMED)
"""Fields of a recipe that a visitor may change; the others are the preset's."""

ELSEWHERE = "This is a public demo: {what}. Install covidcore to do it."


def _nothing(what: str) -> None:
    """Nobody counts what is asked through the library."""


@dataclass
class Visitor:
    """Who asks: the runs that this session began, and what counts its requests."""

    runs: set[str] = field(default_factory=set)
    spend: Callable[[str], None] = _nothing
    """Takes the name of a limit; raises Busy where it is used up."""


class Rules:
    """What may be asked of a store under these settings. Each raises RunError or RecipeError."""

    def __init__(self, settings: Settings, visitor: Visitor | None = None) -> None:
        self._settings, self._visitor = settings, visitor or Visitor()

    @property
    def bounded(self) -> bool:
        """Whether there are any rules."""
        return self._settings.demo

    def offers(self, preset: str) -> bool:
        """Whether runs of a preset can be asked for."""
        return not self.bounded or preset in DEMO_PRESETS

    def start(self, recipe: Recipe) -> Recipe:
        """A preset's recipe as it is offered: in a demo with weights that are here."""
        if not self.bounded:
            return recipe
        found = at_hand("radiographs", recipe.arch, self._settings)
        return replace(recipe, weights="radiographs" if found else "none")

    def frees(self, field: str) -> bool:
        """Whether a field of a recipe can be changed."""
        return not self.bounded or field in FREE_FIELDS

    def owns(self, run: str) -> bool:
        """Whether who asks may cancel a run."""
        return not self.bounded or run in self._visitor.runs

    def check_recipe(self, recipe: Recipe, synthetic: bool) -> None:
        """Presets and values from a list, on phantoms only."""
        if not self._settings.demo:
            return
        if not self._settings.training:
            raise RunError(_refusal("nothing is trained here"))
        if not synthetic:
            raise RunError(_refusal("only phantoms are trained on here"))
        start = PRESETS[recipe.preset].recipe if recipe.preset in DEMO_PRESETS else None
        if start is None:
            names = ", ".join(DEMO_PRESETS)
            raise RecipeError(_refusal(f"of the presets only {names} can be trained here"))
        own, usual = recipe.to_json(), start.to_json()
        for name in set(own) - set(FREE_FIELDS):
            if own[name] != usual[name]:
                raise RecipeError(_refusal(f"{name} stays {usual[name]} here"))
        for name, allowed in (("weights", DEMO_WEIGHTS), ("image_size", DEMO_SIZES)):
            if own[name] not in allowed:
                words = ", ".join(map(str, allowed))
                raise RecipeError(_refusal(f"{name} can be {words} here"))
        if recipe.epochs > MOST_EPOCHS:
            raise RecipeError(_refusal(f"epochs can be {MOST_EPOCHS} at most here"))

    def check_room(self, waiting: int, going: Collection[str]) -> None:
        """A short queue, and one run a visitor; counts the request.

        ``going``: the runs that have not ended.
        """
        if not self._settings.demo:
            return
        if self._settings.runner != "local":
            raise RunError("This is a public demo, which trains on its own machine only.")
        if self._visitor.runs & set(going):
            raise RunError("A run of yours has not ended yet: wait for it, or cancel it.")
        if waiting >= MOST_WAITING:
            raise RunError(f"{MOST_WAITING} runs wait already: try again in a few minutes.")
        self._visitor.spend("training")

    def check_own(self, run: str, what: str) -> None:
        """Only who began a run may change it."""
        if not self.owns(run):
            raise RunError(f"This is a public demo: you can {what} a run that you began yourself.")

    def check_again(self, job: dict[str, Any]) -> None:
        """Only what was begun under these rules may be gone on with."""
        if self._settings.demo and (LIMIT not in job or not self._settings.training):
            raise RunError(_refusal("this run is not gone on with here"))

    def refuse(self, what: str) -> None:
        """Refuse in a demo what has no bounds there, such as ``"no sweeps are trained here"``."""
        if self._settings.demo:
            raise RunError(_refusal(what))

    def terms(self) -> dict[str, Any]:
        """What a new run's job file says of the rules that it was begun under."""
        return {LIMIT: LIMIT_SECONDS} if self._settings.demo else {}

    def note_begun(self, run: str) -> None:
        """The visitor began this run, and may cancel it."""
        if self._settings.demo:
            self._visitor.runs.add(run)

    def to_remove(self, ended: Collection[tuple[str, dict[str, Any]]]) -> list[str]:
        """Which runs make room for another, of ended ones and their job files."""
        if not self._settings.demo:
            return []
        theirs = [(str(job.get("created", "")), run) for run, job in ended if LIMIT in job]
        return [run for _, run in sorted(theirs)[: max(0, len(theirs) - MOST_KEPT + 1)]]


def _refusal(what: str) -> str:
    return ELSEWHERE.format(what=what)
