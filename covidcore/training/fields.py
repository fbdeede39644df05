"""One value of a recipe: as a person types it, and as it is stored. Knows types, not meanings."""

from typing import Any, get_args, get_origin

from covidcore.errors import RecipeError
from covidcore.wording import brief

_NOUNS = {int: "a whole number", float: "a number", bool: "true or false"}
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def parsed(name: str, kind: Any, text: str) -> Any:
    """The value of a field of type ``kind`` that somebody typed. Raises: RecipeError."""
    text = text.strip()
    try:
        if kind is bool:
            return _TRUTH[text.lower()]
        if get_origin(kind) is tuple and get_args(kind)[0] is str:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return kind(text)
    except (ValueError, KeyError) as error:
        raise RecipeError(f"{name} must be {_NOUNS[kind]}, not “{brief(text)}”.") from error


def is_a(value: Any, kind: Any) -> bool:
    """Whether a stored value is of a field's type; JSON writes a float without a fraction as 1."""
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind
