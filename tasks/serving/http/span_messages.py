"""What a person sends who sets the spans of a text right."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints, create_model

from tasks.serving.http.strict_model import StrictModel

MOST_SPANS = 5_000  # of a text that a person sends


class CorrectedSpan(StrictModel):
    """A labelled span, as /predict gives it; its `score` is not read."""

    label: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    start: Annotated[int, Field(ge=0, description="of its characters (code points) in `text` the first, counted from 0")]
    end: Annotated[int, Field(ge=1, description="behind its last character")]
    score: float | None = None


def corrected_spans(max_characters: int) -> type[BaseModel]:
    """The type of corrected spans, of a text of at most so many characters."""
    text: Any = Annotated[str, StringConstraints(max_length=max_characters)]
    about = "the text that was sent to /predict, or that /audit gave: what the places count in"
    spans: Any = (
        Annotated[list[CorrectedSpan], Field(max_length=MOST_SPANS)],
        Field(description="all that there are, none or many"),
    )
    return create_model(
        "CorrectedSpans", __base__=StrictModel, __doc__="The right spans.", text=(text, Field(description=about)), entities=spans
    )
