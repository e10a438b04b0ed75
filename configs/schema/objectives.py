"""What a training minimises."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configs.schema.section import Frozen


class Supervised(Frozen):
    kind: Literal["supervised"] = "supervised"
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


OBJECTIVES = (Supervised,)
Objective = Supervised
