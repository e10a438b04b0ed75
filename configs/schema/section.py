"""What every section of a config is: frozen, strict, and without credentials."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from configs.credentials import credential_in, refused_pattern, remedy_for

Moment = Annotated[str, BeforeValidator(lambda value: value.isoformat() if isinstance(value, date) else value)]  # YAML reads dates
Plain = Annotated[str, Field(json_schema_extra={"pattern": refused_pattern()})]  # a flow's text: its server refuses a credential
Fraction = Annotated[float, Field(gt=0, lt=1)]


def _refuse_credentials(schema: dict[str, Any]) -> None:
    """Let servers that check parameters against the JSON schema refuse a text with a credential before they keep it."""
    waiting = list(schema.get("properties", {}).values())
    while waiting:
        each = waiting.pop()
        if each.get("type") == "string" and not {"pattern", "enum", "const"} & each.keys():
            each["pattern"] = refused_pattern()
        waiting += [*each.get("anyOf", ()), *([each["items"]] if isinstance(each.get("items"), dict) else [])]


class Frozen(BaseModel):
    """A section of a config. No text in it holds a credential: it is kept with every run, by MLflow, Prefect and the ledger."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, json_schema_extra=_refuse_credentials)
    DEFAULTS: ClassVar[int] = 0  # raised by whoever changes a default: keys leave out what stands at its default

    @field_validator("*")
    @classmethod
    def _no_credential_is_kept(cls, value: object) -> object:
        for each in value if isinstance(value, list | tuple) else (value,):
            if isinstance(each, str) and (what := credential_in(each)) is not None:
                raise ValueError(
                    f"holds {what}, which would be kept with every run: leave it out of the config; {remedy_for(each)}"
                )
        return value
