"""Which weights move."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configs.schema.section import Frozen


class Full(Frozen):
    kind: Literal["full"] = "full"


class Lora(Frozen):
    kind: Literal["lora"] = "lora"
    r: Annotated[int, Field(ge=1)] = 16
    alpha: Annotated[float, Field(gt=0)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"


Adapter = Annotated[Full | Lora, Field(discriminator="kind")]
