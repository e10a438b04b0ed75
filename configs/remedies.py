"""What to write instead, for the mistakes that beginners make: a setting in the wrong place, a value of the wrong type."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from configs.schema.section import meant_name

_TYPED = {
    "int": "must be a whole number, such as 3",
    "float": "must be a number, such as 0.1",
    "bool": "must be true or false",
}


def remedy_for_type(fault: Mapping[str, Any]) -> str | None:
    """The remedy for a value of the wrong type; None where a fault is of another kind."""
    kind, value = str(fault["type"]), fault["input"]
    if kind == "literal_error":
        known = str(fault["ctx"]["expected"])
        return f"{meant_name(value, known.replace(' or ', ', ').replace(chr(39), '').split(', '))}write one of {known}"
    name, _, way = kind.partition("_")
    if name not in _TYPED or way not in ("type", "parsing", "from_float"):
        return None
    is_comma = name == "float" and isinstance(value, str) and value.replace(",", "", 1).isdigit()
    return f"{_TYPED[name]}{f': write {value.replace(chr(44), chr(46))}' if is_comma else ''}"


def remedy_for_key(key: str, beside: Sequence[type[BaseModel]], sections: Mapping[str, Sequence[type[BaseModel]]]) -> str:
    """What to write in place of a key that is unknown where it stands; `sections` are the others, by name."""
    near = difflib.get_close_matches(key, [name for model in beside for name in model.model_fields], n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    places = [name for name, models in sections.items() if any(key in model.model_fields for model in models)]
    if len(places) == 1:
        return f"it is a setting of {places[0]}: write `{places[0]}: {{{key}: ...}}`"
    return "drop it"
