"""What a person sends who sets the spans of a text right."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, create_model
from pydantic_core import PydanticCustomError

from tasks.serving.http.strict_model import StrictModel

MOST_SPANS = 5_000  # of a text that a person sends
MOST_LABELS = 200  # different ones of a text: each is searched for personal data, all of them in up to a second


class CorrectedSpan(StrictModel):
    """A labelled span, as /predict gives it; its `score` is not read."""

    label: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    start: Annotated[int, Field(ge=0, description="of its characters (code points) in `text` the first, counted from 0")]
    end: Annotated[int, Field(ge=1, description="behind its last character")]
    score: float | None = None


def _check_labels(spans: list[CorrectedSpan]) -> list[CorrectedSpan]:
    if (count := len({span.label for span in spans})) > MOST_LABELS:
        sizes = {"count": f"{count:,}", "most": MOST_LABELS}
        raise PydanticCustomError("too_many_labels", "The spans have {count} different labels, and at most {most} are read", sizes)
    return spans


def corrected_spans(max_characters: int) -> type[BaseModel]:
    """The type of corrected spans, of a text of at most so many characters."""
    text: Any = Annotated[str, StringConstraints(max_length=max_characters)]
    about = "the text that was sent to /predict, or that /audit gave: what the places count in"
    spans: Any = (
        Annotated[list[CorrectedSpan], Field(max_length=MOST_SPANS), AfterValidator(_check_labels)],
        Field(description="all that there are, none or many"),
    )
    return create_model(
        "CorrectedSpans", __base__=StrictModel, __doc__="The right spans.", text=(text, Field(description=about)), entities=spans
    )
