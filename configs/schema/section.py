"""What every section of a config is: frozen, strict, and without credentials."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, ClassVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from configs.credentials import credential_in, refused_pattern, remedy_for

Moment = Annotated[str, BeforeValidator(lambda value: value.isoformat() if isinstance(value, date) else value)]  # YAML reads dates
Plain = Annotated[str, Field(json_schema_extra={"pattern": refused_pattern()})]  # a flow's text: its server refuses a credential
Fraction = Annotated[float, Field(gt=0, lt=1)]
DAYS = 36_525  # the longest duration of any setting, a hundred years: what is longer no date and no clock can hold
SECONDS = DAYS * 86_400
LooksPerYear = Annotated[int, Field(ge=1, le=1_000_000)]


def meant_name(value: object, known: Sequence[str], cutoff: float = 0.6) -> str:
    """`did you mean X? ` for the known name nearest to a value; empty where none is as alike as `cutoff` (0 to 1)."""
    near = difflib.get_close_matches(str(value)[:100].casefold(), known, n=1, cutoff=cutoff)
    return f"did you mean {near[0]}? " if near else ""


def written_as(pattern: str, words: str) -> BeforeValidator:
    """Let the error for a text that is not of a pattern say in words how it is written."""

    def check(value: object) -> object:
        if isinstance(value, str) and re.fullmatch(pattern, value) is None:
            raise ValueError(words)
        return value

    return BeforeValidator(check)


_POOL = r"^[A-Za-z0-9_]([A-Za-z0-9 _.-]{0,98}[A-Za-z0-9_.-])?$"
_POOL_WORDS = "is no name of a Prefect work pool: write letters, digits and _ . - with no space at either end, 100 at most"
WorkPool = Annotated[str, Field(pattern=_POOL), written_as(_POOL, _POOL_WORDS)]


def _refuse_credentials(schema: dict[str, Any]) -> None:
    """Let servers that check parameters against the JSON schema refuse a text with a credential before they keep it."""
    waiting = list(schema.get("properties", {}).values())
    while waiting:
        each = waiting.pop()
        if each.get("type") == "string" and not {"pattern", "enum", "const"} & each.keys():
            each["pattern"] = refused_pattern()
        waiting += [*each.get("anyOf", ()), *([each["items"]] if isinstance(each.get("items"), dict) else [])]


def _takes_numbers(annotation: object) -> bool:
    """Whether an annotation takes numbers and no booleans."""
    kinds = [annotation]
    for kind in kinds:  # grows: the parts of a union, and what is annotated
        kinds += get_args(kind)
    return (int in kinds or float in kinds) and bool not in kinds


class Frozen(BaseModel):
    """A section of a config. No text in it holds a credential: it is kept with every run, by MLflow, Prefect and the ledger."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False, json_schema_extra=_refuse_credentials
    )
    DEFAULTS: ClassVar[int] = 0  # raise it with every change of a default: keys leave out settings at their default

    @model_validator(mode="before")
    @classmethod
    def _a_truth_is_no_number(cls, values: object) -> object:
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, bool) and name in cls.model_fields and _takes_numbers(cls.model_fields[name].annotation):
                raise ValueError(
                    f"{name} is {str(value).lower()}, which would be read as {int(value)}: write the number that is meant"
                )
        return values

    @field_validator("*")
    @classmethod
    def _no_credential_is_kept(cls, value: object) -> object:
        for text in value if isinstance(value, list | tuple) else (value,):
            if isinstance(text, str) and (credential := credential_in(text)) is not None:
                raise ValueError(
                    f"holds {credential}, which would be kept with every run: leave it out of the config; {remedy_for(text)}"
                )
        return value
