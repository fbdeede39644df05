"""Settings, read once from the environment and passed on as a value."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from covidcore.errors import CovidcoreError, DataError

_ABOVE = Path(__file__).resolve().parents[1]
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # of two letters or more: C:/ is a folder

DISCLAIMER = "For learning and research; not a medical device."
PRIVACY = (
    "A public demo: what you send stays in this server's memory, and is dropped when you leave or "
    "after ten minutes. Send no picture by which a person could be known."
)
DEMO_DATA = "In the demo only phantoms can be used: install covidcore to look at data of your own."
DEMO_WORK = (
    "In the demo this is not worked out for a visitor: install covidcore to do it. What was "
    "prepared can be looked at."
)
DEMO_PHANTOMS = 240
"""Phantoms at most, where a demo makes any."""


@dataclass(frozen=True)
class Settings:
    """Where things live and what is allowed; every field comes from one environment variable."""

    home: Path
    """``COVIDCORE_HOME``: datasets, caches and runs (default ``./.covidcore``)."""
    data: Path | None = None
    """``COVIDCORE_DATA``: the dataset folder that the pages open first."""
    demo: bool = False
    """``COVIDCORE_DEMO=1``: a public demo, where nothing of the visitor's is kept."""
    runner: str = "local"
    """``COVIDCORE_RUNNER``: where jobs run; ``local``, or ``ray:http://host:8265``."""
    slots: int = 1
    """``COVIDCORE_SLOTS``: how many jobs this machine runs at once; the rest wait."""
    weights: Path | None = None
    """``COVIDCORE_WEIGHTS``: a folder or file searched for weights before any download."""
    training: bool = True
    """``COVIDCORE_TRAINING=off``: visitors of a demo train nothing."""
    backend: str = "torch"
    """``COVIDCORE_BACKEND``: what computes answers; ``torch``, or ``onnx`` for ONNX Runtime."""
    compiler: str = ""
    """``COVIDCORE_COMPILE``: a backend of ``torch.compile`` to train with, such as ``inductor``."""

    def refuse_in_demo(self) -> None:
        """Raises: DataError in a public demo, where a visitor brings in no data."""
        if self.demo:
            raise DataError(DEMO_DATA)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the variables above; unset or empty ones take their defaults.

        Raises: CovidcoreError for the home of nobody, and for an address instead of a folder.
        """
        env = os.environ if environ is None else environ

        def path(name: str) -> Path | None:
            given = env.get(name, "")
            value = given.strip()
            if _ADDRESS.match(value):
                raise CovidcoreError(
                    f"{name} is {value}: it must be a folder, not an address. Mount the storage, "
                    "and give the folder under which it is seen."
                )
            try:
                if value and given != value and Path(given).is_dir():
                    value = given  # spaces that do belong to its name
                return Path(value).expanduser().absolute() if value else None
            except RuntimeError as error:  # ~somebody
                raise CovidcoreError(f"{name} is {value}: there is no such user.") from error

        return cls(
            home=path("COVIDCORE_HOME") or Path(".covidcore").absolute(),
            data=path("COVIDCORE_DATA"),
            demo=env.get("COVIDCORE_DEMO", "").strip() == "1",
            runner=env.get("COVIDCORE_RUNNER", "").strip() or "local",
            slots=_slots(env.get("COVIDCORE_SLOTS", "").strip() or "1"),
            weights=path("COVIDCORE_WEIGHTS"),
            training=_training(env.get("COVIDCORE_TRAINING", "").strip().lower() or "on"),
            backend=_backend(env.get("COVIDCORE_BACKEND", "").strip().lower() or "torch"),
            compiler=env.get("COVIDCORE_COMPILE", "").strip(),
        )


def _slots(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise CovidcoreError(f"COVIDCORE_SLOTS is “{text}”; it must be a number from 1 to 64.")
    return int(text)


def _training(text: str) -> bool:
    if text not in ("on", "off"):
        raise CovidcoreError(f"COVIDCORE_TRAINING is “{text}”; it must be on or off.")
    return text == "on"


def _backend(text: str) -> str:
    if text not in ("torch", "onnx"):
        raise CovidcoreError(f"COVIDCORE_BACKEND is “{text}”; it must be torch or onnx.")
    return text


def child_environment() -> dict[str, str]:
    """The environment for a child process: ours, and it finds this package wherever it starts."""
    inherited = os.environ.get("PYTHONPATH")
    search = f"{_ABOVE}{os.pathsep}{inherited}" if inherited else str(_ABOVE)
    return {**os.environ, "PYTHONPATH": search}
