"""Bodies that hold what is described and nothing else."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, create_model, model_validator
from pydantic_core import PydanticCustomError

MOST_KEYS = 20  # of a body: each that is not read is a fault, and listing 100,000 of them holds all callers up for a second


class StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def refuse_many_keys(cls, body: object) -> object:
        if isinstance(body, dict) and len(body) > MOST_KEYS:
            raise PydanticCustomError("too_many_keys", "An object of more than {most} keys is not read", {"most": MOST_KEYS})
        return body


def make_model(name: str, description: str, fields: dict[str, tuple[Any, Any]]) -> type[BaseModel]:
    """A type of bodies from its fields."""
    model: type[BaseModel] = create_model(name, __base__=StrictModel, __doc__=description, **fields)  # type: ignore[call-overload]
    return model
