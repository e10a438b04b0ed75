"""Pages' data to JSON and back: what is stored beside a page, so that any later version can draw it again."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from configs.errors import InputError

T = TypeVar("T")


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def dumped(value: Any) -> str:
    """A frozen dataclass as JSON; a number that is not finite becomes null, which pages show as absent."""
    return _adapter(type(value)).dump_json(value, indent=1).decode()


def loaded(kind: type[T], text: str | bytes, what: str, remedy: str) -> T:
    """The value stored, less the fields that this version does not know. Raises InputError, naming the place, on anything else."""
    try:
        found: T = _adapter(kind).validate_json(text)
    except ValidationError as fault:
        first = fault.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"this is no stored {what}: {place}: {first['msg']}; {remedy}") from fault
    return found
