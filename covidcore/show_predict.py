"""How the command line shows answers about files; which files a person means."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from covidcore.config import DISCLAIMER
from covidcore.errors import DataError
from covidcore.wording import visible


def answers(found: Sequence[dict[str, Any]]) -> str:
    """Answers and refusals, a line a file."""
    lines = []
    for one in found:
        file = visible(one["file"])
        refused = f"refused ({one['refused']}): {one['reason']}" if one["refused"] else ""
        if one["answer"] is None:
            lines.append(f"{file}: {refused}")
        else:
            chance = one["probabilities"][one["answer"]]
            lines.append(f"{file}: {visible(one['answer'])} ({100 * chance:.1f} %)")
            lines.extend([f"  Answered anyway, though {refused}"] if refused else [])
            lines.extend(f"  {visible(warning)}" for warning in one["warnings"])
        if one["near_training_image"]:
            lines.append(f"  {memory(visible(one['near_training_image']))}")
    return "\n".join([*lines, DISCLAIMER])


def memory(file: str) -> str:
    """The sentence about an image that is a training image, or like one."""
    return (
        f"This image, or a near copy, is in the training set ({file}): this is memory, not "
        "prediction."
    )


def walk(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and every file below a folder that is not hidden, sorted.

    Raises: DataError where a folder holds no file.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        below = [
            one
            for one in sorted(path.rglob("*"))
            if one.is_file() and not any(p.startswith(".") for p in one.relative_to(path).parts)
        ]
        if not below:
            raise DataError(f"There is no file in {path}.")
        found.extend(below)
    return found
