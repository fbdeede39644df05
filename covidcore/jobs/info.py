"""What is shown of a run: read from its folder, for lists and live views."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from covidcore.jobs.causes import of_a_vanished_worker
from covidcore.jobs.folder import IMPORTED, RunFolder, State, now


class RunInfo(NamedTuple):
    """A run as it stands; numbers are None until they are known.

    A tuple, because a list of ten thousand is made each time a page is drawn.
    """

    run: str
    name: str
    state: State
    preset: str
    dataset: str
    dataset_name: str
    epoch: int
    """Epochs begun (while running) or done."""
    epochs: int
    accuracy: float | None
    """On the test images."""
    created: str
    seconds: float | None
    """Working time of the last attempt, so far or in all."""
    message: str
    """Why it failed, in a sentence; else empty."""
    val_loss: float | None
    """Of the best epoch, once done."""
    # From here on: of a run that is running; the same for all that have ended.
    phase: str = ""
    """What the worker is doing, in words."""
    step: int = 0
    """Steps done in this phase or epoch, of ``steps``."""
    steps: int = 0
    images_per_second: float | None = None
    eta_seconds: float | None = None
    memory_mb: float | None = None
    processor_percent: float | None = None
    """Of the worker while it runs; 100 is one processor."""

    @property
    def imported(self) -> bool:
        """Whether it is a model that was brought in, with no test images or epochs of its own."""
        return self.preset == IMPORTED

    @property
    def tested(self) -> bool:
        """Whether it has figures on test images of its own."""
        return self.state is State.DONE and not self.imported


LASTING = len(RunInfo._fields) - len(RunInfo._field_defaults)
"""How many of its first fields say something of a run that has ended."""


def matching(
    infos: Iterable[RunInfo],
    states: Collection[str] = (),
    presets: Collection[str] = (),
    datasets: Collection[str] = (),
    text: str = "",
) -> list[RunInfo]:
    """Those that are of one of each; nothing given means all. ``text``: words of name or id."""
    words = text.casefold().split()
    return [
        info
        for info in infos
        if (not states or info.state in states)
        and (not presets or info.preset in presets)
        and (not datasets or info.dataset in datasets)
        and all(word in f"{info.name} {info.run}".casefold() for word in words)
    ]


def describe(folder: RunFolder, state: State) -> RunInfo:
    """Read a run's folder.

    Raises: RunError where it is damaged.
    """
    job, status = folder.read_job(), folder.status()
    # Until the worker has written that it runs, the log's end is of the attempt before.
    began = state is State.RUNNING and status.get("state") == State.RUNNING.value
    live = _last_event(folder) if began else {}
    message = str(status.get("message") or "")
    if state is State.INTERRUPTED and not message:
        message = of_a_vanished_worker(folder.tail())
    recipe = job["recipe"]
    imported = job.get("kind") == IMPORTED
    return RunInfo(
        run=folder.run,
        name=str(job.get("name", "")),
        state=state,
        preset=IMPORTED if imported else recipe["preset"],
        dataset=job["dataset"],
        dataset_name=str(job.get("dataset_name", "")),
        phase=live.get("phase", "starting" if state is State.RUNNING else ""),
        epoch=_epoch(folder, status, state, live),
        epochs=0 if imported else recipe["epochs"],
        step=int(live.get("step", 0)),
        steps=int(live.get("steps", 0)),
        images_per_second=live.get("images_per_second"),
        eta_seconds=live.get("eta_seconds"),
        accuracy=status.get("accuracy"),
        created=str(job.get("created", "")),
        seconds=_seconds(status, state),
        message=message,
        val_loss=status.get("val_loss"),
        memory_mb=live.get("memory_mb"),
        processor_percent=live.get("processor_percent"),
    )


def _epoch(folder: RunFolder, status: dict[str, Any], state: State, live: dict[str, Any]) -> int:
    """Epochs begun or done; a finished run has them in its status, whatever became of its files."""
    done = status.get("epoch") if state is State.DONE else None
    return int(live["epoch"] if "epoch" in live else done or folder.epochs_done())


def _last_event(folder: RunFolder) -> dict[str, Any]:
    """The newest progress line; those of an attempt before this one do not count."""
    for event in reversed(folder.events()):
        if event.get("event") == "progress":
            return dict(event)
        if event.get("event") == "start":
            break
    return {}


def _seconds(status: dict[str, Any], state: State) -> float | None:
    if "started" not in status:
        return None
    measured = status.get("seconds")
    if state.ended and isinstance(measured, int | float):
        return float(measured)  # by a clock that nobody sets
    end = status.get("finished") or (now() if state is State.RUNNING else None)
    if end is None:
        return None
    try:
        began = datetime.fromisoformat(status["started"])
        return max(0.0, (datetime.fromisoformat(end) - began).total_seconds())
    except (TypeError, ValueError):  # a damaged status; it must not hide the other runs
        return None


def runs_as_json(infos: list[RunInfo]) -> list[dict[str, Any]]:
    """The document of ``runs`` in the contract."""
    names = "run name state preset dataset epoch epochs eta_seconds accuracy created seconds"
    return [{name: getattr(info, name) for name in names.split()} for info in infos]
