"""What is shown of a sweep: how its runs stand, its settings, and the best of them."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from covidcore.jobs.folder import State
from covidcore.jobs.grid import Sweep
from covidcore.jobs.info import RunInfo
from covidcore.jobs.plan import DEALERS

_DEALERS = tuple(name for name in DEALERS if name != "seed")


@dataclass(frozen=True)
class Setting:
    """A combination of all fields but the seed, and its runs: one a seed."""

    values: dict[str, Any]
    """The grid's fields but the seed."""
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    """Of each run."""
    missing: tuple[str, ...]
    """Runs that were removed meanwhile."""
    done: int
    """How many runs are done; the figures below are of these."""
    val_loss: float | None
    """Mean validation loss of the runs' best epochs; None where any of them has none."""
    val_loss_std: float | None
    """Standard deviation (of a sample) over the seeds; None for fewer than two."""

    @property
    def complete(self) -> bool:
        """Whether every run is done, so that the mean can be compared."""
        return self.done == len(self.runs)


@dataclass(frozen=True)
class Best:
    """The setting of least mean validation loss, and its run of least validation loss."""

    setting: Setting
    run: str
    val_loss: float
    """Of the run."""


@dataclass(frozen=True)
class SweepInfo:
    """A sweep as it stands."""

    sweep: Sweep
    state: State
    progress: float
    """Share of the work that is done, 0 to 1."""
    counts: dict[State, int]
    """Runs in each state that occurs."""
    missing: tuple[str, ...]
    """Runs that were removed meanwhile."""
    settings: tuple[Setting, ...]
    best: Best | None
    note: str
    """Why there is no best setting although runs are done, in a sentence; else empty."""


def summarise(sweep: Sweep, infos: Sequence[RunInfo]) -> SweepInfo:
    """How a sweep stands, from the list of runs (those of others are passed over).

    The best setting is that of least validation loss. A seed deals other images into the
    validation set, so that single runs of different seeds can not be compared; means over the
    same seeds can, and only settings whose every run is done have one. For the same reason
    nothing is called the best where the grid itself varies who validates. Test figures play no
    part: chosen by them, the best would look better than it is.
    """
    by_run = {info.run: info for info in infos}
    runs = list(dict.fromkeys(sweep.runs))
    known = [by_run[run] for run in runs if run in by_run]
    missing = tuple(run for run in runs if run not in by_run)
    settings = _settings(sweep, by_run)
    dealt = [field for field in _DEALERS if len(sweep.grid.get(field, ())) > 1]
    note = ""
    if dealt and any(setting.done for setting in settings):
        note = (
            f"No setting is called the best: with {' and '.join(dealt)} varied, their losses "
            "are of different validation images."
        )
    return SweepInfo(
        sweep=sweep,
        state=overall([info.state for info in known], len(missing)),
        progress=sum(map(_share, known)) / len(runs),
        counts=dict(Counter(info.state for info in known)),
        missing=missing,
        settings=settings,
        best=None if dealt else _best(settings, by_run),
        note=note,
    )


def overall(states: Sequence[State], missing: int = 0) -> State:
    """The state of a group: what still goes on first, then what needs to be looked at.

    Running or queued where any is; done where all are; else failed, interrupted or cancelled,
    the first of these that any is. A group that lacks runs, and has no other fault, counts as
    interrupted: it can be resumed.
    """
    order = [State.RUNNING, State.QUEUED, State.FAILED, State.INTERRUPTED, State.CANCELLED]
    found = next((state for state in order if state in states), None)
    return found or (State.INTERRUPTED if missing else State.DONE)


def _settings(sweep: Sweep, by_run: dict[str, RunInfo]) -> tuple[Setting, ...]:
    """Runs gathered by everything but the seed, in the order of the grid."""
    fields = [field for field in sweep.grid if field != "seed"]
    gathered: dict[tuple[Any, ...], list[tuple[str, int]]] = {}
    for recipe, run in zip(sweep.recipes, sweep.runs, strict=True):
        values = tuple(getattr(recipe, field) for field in fields)
        gathered.setdefault(values, []).append((run, recipe.seed))
    settings = []
    for values, members in gathered.items():
        runs, seeds = zip(*members, strict=True)
        done = [by_run[run] for run in runs if run in by_run and by_run[run].state is State.DONE]
        losses = [info.val_loss for info in done if info.val_loss is not None]
        whole = losses and len(losses) == len(done)  # a run that diverged has no loss
        settings.append(
            Setting(
                values=dict(zip(fields, values, strict=True)),
                runs=runs,
                seeds=seeds,
                missing=tuple(run for run in runs if run not in by_run),
                done=len(done),
                val_loss=statistics.fmean(losses) if whole else None,
                val_loss_std=statistics.stdev(losses) if whole and len(losses) > 1 else None,
            )
        )
    return tuple(settings)


def _best(settings: Sequence[Setting], by_run: dict[str, RunInfo]) -> Best | None:
    ranked = [(one.val_loss, one) for one in settings if one.complete and one.val_loss is not None]
    if not ranked:
        return None
    _, setting = min(ranked, key=lambda pair: pair[0])
    losses = {run: by_run[run].val_loss for run in setting.runs}
    loss, run = min((loss, run) for run, loss in losses.items() if loss is not None)
    return Best(setting, run, loss)


def _share(info: RunInfo) -> float:
    """How much of a run's training is done, 0 to 1."""
    if info.state is State.DONE:
        return 1.0
    done = float(info.epoch)
    if info.state is State.RUNNING and info.phase == "training":
        done += info.step / max(info.steps, 1) - 1
    return min(max(done / max(info.epochs, 1), 0.0), 1.0)
