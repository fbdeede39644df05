"""What came of an import: found, ignored and unreadable a class, beside what was published."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from covidcore.data.class_checks import quoted
from covidcore.data.filenames import NOT_READ, is_table
from covidcore.data.index import Dataset
from covidcore.data.layout import MASK
from covidcore.data.releases import COUNTS, TITLES
from covidcore.data.spellings import Spelling, find_spellings, mending_command

if TYPE_CHECKING:
    import pandas as pd

ELSEWHERE = ""
"""The class of files that lie in no class folder."""
_REASONS = 6


@dataclass(frozen=True, eq=False)
class Report:
    """A table and what is to be said of it.

    ``table`` has one row a class, the last one (class "") for files that belong to none where there
    are such: class, found (files, masks aside), read, unreadable, ignored, masks (linked to an
    image), and published (images of the release that it looks like; NA where there is none).
    """

    table: "pd.DataFrame" = field(repr=False)
    sentences: tuple[str, ...]
    spellings: tuple[Spelling, ...] = ()
    command: str = ""
    """What joins the spellings."""

    def to_json(self) -> dict[str, Any]:
        """For ``scan`` and ``import``."""
        rows = self.table.astype(object).where(self.table.notna(), None).to_dict("records")
        return {
            "classes": rows,
            "sentences": list(self.sentences),
            "spellings": [list(one.names) for one in self.spellings],
            "command": self.command or None,
        }


def report(dataset: Dataset) -> Report:
    """Count what a scan has found, and say what it means. Pure: no file is looked at."""
    table = _table(dataset)
    counts = dict(zip(table["class"], table["read"], strict=True))
    counts.pop(ELSEWHERE, None)
    spellings = find_spellings(counts)
    sentences = [_total(dataset), *_reasons(dataset), *_masks(dataset), *_release(dataset, table)]
    sentences += [_spelling(one) for one in spellings]
    command = mending_command(dataset) if spellings else ""
    return Report(table, tuple(sentences), tuple(spellings), command)


def _table(dataset: Dataset) -> "pd.DataFrame":
    import pandas as pd

    index = dataset.index
    read = index["label"].value_counts()
    masks = index.loc[index["mask"] != "", "label"].value_counts()
    unreadable = Counter(_class_of(file, dataset) for file, _ in dataset.unreadable)
    ignored = Counter(_class_of(file, dataset) for file, _ in _left_out(dataset))
    known = _published(dataset)
    rows = [
        {
            "class": name,
            "found": int(read.get(name, 0)) + unreadable[name] + ignored[name],
            "read": int(read.get(name, 0)),
            "unreadable": unreadable[name],
            "ignored": ignored[name],
            "masks": int(masks.get(name, 0)),
            "published": known.get(name),
        }
        for name in (*dataset.classes, ELSEWHERE)
    ]
    if not rows[-1]["found"]:
        rows.pop()
    return pd.DataFrame(rows).astype({"published": "Int64"})


def _class_of(file: str, dataset: Dataset) -> str:
    """The class folder that a file lies in; with labels from a table there are none."""
    top, inside, _ = file.partition("/")
    here = inside and dataset.layout != "csv" and top in dataset.classes
    return top if here else ELSEWHERE


def _published(dataset: Dataset) -> dict[str, int]:
    """The counts of the release that the folder looks like."""
    counts = COUNTS.get(dataset.layout, {})
    return counts if set(dataset.classes) <= set(counts) else {}


def _total(dataset: Dataset) -> str:
    return (
        f"{len(dataset.index):,} images of {len(dataset.classes)} classes were read; unreadable "
        f"files: {len(dataset.unreadable):,}, ignored files: {len(_left_out(dataset)):,}."
    )


def _left_out(dataset: Dataset) -> list[tuple[str, str]]:
    """What was ignored, but for masks and for tables about the images, which are of use."""
    return [
        (file, reason)
        for file, reason in dataset.ignored_files
        if reason != MASK and not (reason == NOT_READ and is_table(file))
    ]


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _reasons(dataset: Dataset) -> list[str]:
    """Why files were ignored, the commonest reason first."""
    reasons = Counter(reason for _, reason in _left_out(dataset))
    lines = [f"Ignored: {_files(count)}: {reason}." for reason, count in reasons.most_common()]
    rest = sum(count for _, count in reasons.most_common()[_REASONS:])
    return lines[:_REASONS] + ([f"Ignored for other reasons: {_files(rest)}."] if rest else [])


def _masks(dataset: Dataset) -> list[str]:
    files = dataset.ignored.get("masks", 0)
    if not files:
        return []
    linked, images = int((dataset.index["mask"] != "").sum()), len(dataset.index)
    alone = files - dataset.index.loc[dataset.index["mask"] != "", "mask"].nunique()
    said = [f"{linked:,} of {images:,} images have a lung mask; no mask is counted as an image."]
    if alone > 0:
        said.append(f"In mask folders, {_files(alone)} fit no image that was read.")
    return said


def _release(dataset: Dataset, table: "pd.DataFrame") -> list[str]:
    """How it differs from the release that it looks like."""
    known = _published(dataset)
    if not known:
        return []
    title = TITLES[dataset.layout]
    here = table.set_index("class")[["read", "unreadable"]].sum(axis=1).to_dict()
    differing = [name for name in dataset.classes if here[name] != known[name]]
    absent = sorted(set(known) - set(dataset.classes))
    if not differing and not absent:
        return [f"The counts are those of {title}."]
    said = [
        f"{title[0].upper()}{title[1:]} has {known[name]:,} images of {quoted([name])}; here are "
        f"{here[name]:,}, {abs(here[name] - known[name]):,} "
        f"{'fewer' if here[name] < known[name] else 'more'}."
        for name in differing
    ]
    if absent:
        said.append(f"Of {title} {quoted(absent)} {'is' if len(absent) == 1 else 'are'} not here.")
    return said


def _spelling(one: Spelling) -> str:
    named = " and ".join(
        f"{quoted([name])} ({images:,} images)"
        for name, images in zip(one.names, one.images, strict=True)
    )
    return f"{named} look like spellings of one class: they can be joined."
