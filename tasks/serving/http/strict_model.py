"""The base of what is read of a request: no key that is not known, and not many of them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, model_validator
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
