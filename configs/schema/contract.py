"""What the data must meet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configs.schema.section import Frozen


class Contract(Frozen):
    suite: str | None = Field(None, description="the pipeline's own suite (JSON), beside the common one and the problem's")
    max_quarantined: Annotated[float, Field(ge=0, le=1)] = Field(0.05, description="share of rows; more stops the run")
    vocabulary: Literal["frozen", "may_grow", "free"] = Field(
        "may_grow",
        description="labels: may_grow stops where one is misspelt or gone, frozen also where one is new, free never",
    )
