"""What was found out about uploads in one session, by content: no file is opened or asked twice.

Two uploads of the same bytes are one; what is no longer there is forgotten. Holds small pictures
and features, never an upload itself. Knows no pages and no torch.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covidcore.evaluation.operating import OperatingPoint
from covidcore.inference import pictures


class Upload(NamedTuple):
    """A file that was sent."""

    name: str
    content: str
    """SHA-256."""
    inverted: bool = False
    """Whether a person said that it is a negative."""

    @property
    def key(self) -> str:
        """What it is known by."""
        return f"{self.content}-inverted" if self.inverted else self.content


class Way(NamedTuple):
    """By what an upload is answered."""

    run: str
    point: OperatingPoint | None
    anyway: bool

    @property
    def key(self) -> str:
        """Ways of the same key give the same answers."""
        return f"{self.run} {self.anyway} {self.point.to_json() if self.point else ''}"


@dataclass(frozen=True, eq=False)
class Look:
    """What is kept of an upload that could be opened."""

    preview: bytes
    """A JPEG file, its longer side at most ``pictures.PREVIEW``."""
    thumbnail: str
    """A data URI."""


Ask = Callable[[list[tuple[str, bytes]], bool], list[dict[str, Any]]]
"""Answers ``(name, bytes)`` items; the second tells whether they are negatives."""


@dataclass
class Kept:
    """Of one session; used by one thread at a time."""

    _run: str = ""
    """Who is asked now."""
    _contents: dict[str, str] = field(default_factory=dict)
    _looks: dict[str, Look] = field(default_factory=dict)
    _features: dict[tuple[str, str], NDArray[np.float32]] = field(default_factory=dict)
    _answers: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    _others: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def content(self, file: str, read: Callable[[], bytes]) -> str:
        """SHA-256 of an upload that a browser calls ``file``; read once."""
        if file not in self._contents:
            self._contents[file] = hashlib.sha256(read()).hexdigest()
        return self._contents[file]

    def answers(
        self,
        uploads: list[Upload],
        way: Way,
        read: Callable[[Upload], bytes],
        ask: Ask,
        part: int = 0,
    ) -> list[dict[str, Any]]:
        """The contract's ``predict`` for each upload, in order; asks about what is new alone.

        So many at a time as ``part`` says, 0: all at once. What was answered before ``ask`` raised
        something stays.
        """
        self._run = way.run
        missing = {one.key: one for one in uploads if (one.key, way.key) not in self._answers}
        for inverted in (False, True):
            new = [one for one in missing.values() if one.inverted == inverted]
            size = part or max(len(new), 1)
            for start in range(0, len(new), size):
                some = new[start : start + size]
                said = ask([(one.key, read(one)) for one in some], inverted)
                for one, answer in zip(some, said, strict=True):
                    self._answers[one.key, way.key] = answer
        return [self._answers[one.key, way.key] | {"file": one.name} for one in uploads]

    def once(self, what: str, upload: Upload, way: str, make: Callable[[], Any]) -> Any:
        """Something else about an upload, made when it is first asked for."""
        key = (what, upload.key, way)
        if key not in self._others:
            self._others[key] = make()
        return self._others[key]

    def look(self, upload: Upload) -> Look | None:
        """How it looks; None where it could not be opened."""
        return self._looks.get(upload.key)

    def features(self, upload: Upload, run: str) -> NDArray[np.float32] | None:
        """What a run's network makes of it, ``(F,)``; None where the gate let nobody ask."""
        return self._features.get((upload.key, run))

    def forget_others(self, files: Iterable[str], uploads: Iterable[Upload]) -> None:
        """Keep these alone: what a person took off the list is gone."""
        files, contents = set(files), {one.content for one in uploads}
        self._contents = {file: sha for file, sha in self._contents.items() if file in files}

        def there(key: str) -> bool:
            return key.removesuffix("-inverted") in contents

        self._looks = {key: look for key, look in self._looks.items() if there(key)}
        self._features = {key: made for key, made in self._features.items() if there(key[0])}
        self._answers = {key: said for key, said in self._answers.items() if there(key[0])}
        self._others = {key: made for key, made in self._others.items() if there(key[1])}

    # A ``predictor.Watcher``: names are keys of uploads.

    def saw(self, name: str, pixels: NDArray[np.uint8]) -> None:
        """Keep how an upload looks."""
        if name not in self._looks:
            small = pictures.reduced(pixels)
            self._looks[name] = Look(pictures.as_jpeg(small), pictures.data_uri(small))

    def felt(self, name: str, features: NDArray[np.float32]) -> None:
        """Keep what the network makes of it."""
        self._features[name, self._run] = features
