"""Pages' data to JSON and back: what is stored beside a page, so that any later version can draw it again."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from configs.credentials import without_credentials
from configs.errors import InputError

T = TypeVar("T")


@cache
def _type_adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def dump_page(value: object) -> str:
    """A frozen dataclass as JSON; a number that is not finite becomes null, which pages show as absent."""
    kind: Any = type(value)
    return without_credentials(_type_adapter(kind).dump_json(value, indent=1).decode())


def load_page(kind: type[T], text: str | bytes, name: str, remedy: str) -> T:
    """The value stored, less the fields that this version does not know. Raises InputError, naming the place, on anything else."""
    hashable_kind: Any = kind  # a class is hashable, whatever its own instances are
    try:
        value: T = _type_adapter(hashable_kind).validate_json(text)
    except ValidationError as fault:
        first = fault.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"this is no stored {name}: {place}: {first['msg']}; {remedy}") from fault
    return value
