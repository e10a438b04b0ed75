"""How test rows are scored."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from configs.schema.section import Fraction, Frozen


class Evaluation(Frozen):
    batch_size: Annotated[int, Field(ge=1)] = 64
    bootstrap: Annotated[int, Field(ge=100, le=100_000)] = 1000
    confidence: Fraction = 0.95
    max_new_tokens: Annotated[int, Field(ge=1)] = Field(64, description="tokens of the longest answer that is written")
    decode_rows: Annotated[int, Field(ge=0)] = Field(
        200, description="test rows for which an answer is written, where answers are texts; all are scored by likelihood"
    )
