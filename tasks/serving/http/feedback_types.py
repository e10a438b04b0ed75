"""What people may say of an answer over HTTP, by the kind of what it answers with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from configs.schema import ProblemName, facts_of
from tasks.data.numbers import LARGEST
from tasks.serving.http.span_messages import MOST_LABELS, corrected_spans
from tasks.serving.http.strict_model import make_model


def feedback_type(problem: ProblemName, max_characters: int) -> Any:
    """Labels and numbers are given anew, texts are corrected, all get thumbs."""
    facts = facts_of(problem)
    common: dict[str, Any] = {
        "answer_id": (Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")], Field(description="the `id` of an answer")),
        "source": (Literal["user", "audit"], Field("user", description="audit: a label that /audit asked for")),
    }
    thumb = make_model("Thumb", "Good or not.", {**common, "kind": (Literal["thumb"], ...), "value": (Literal["up", "down"], ...)})
    label: Any = Annotated[str, StringConstraints(min_length=1, max_length=200)]
    values: dict[str, tuple[str, Any]] = {
        "label": ("The right label.", label),
        "labels": ("The right labels, none or many.", Annotated[list[label], Field(max_length=MOST_LABELS)]),
        "spans": ("The right spans, in the text that was answered.", corrected_spans(max_characters)),
        "number": ("The right number.", Annotated[float, Field(strict=True, ge=max(-LARGEST, facts.least_number), le=LARGEST)]),
        "text": ("The better text.", Annotated[str, StringConstraints(min_length=1, max_length=max_characters)]),
        "answer": (
            "The right answer as it stands in the context, with the character where it starts if it stands there more than once; "
            "null: there is none.",
            _right_answer(max_characters),
        ),
    }
    kind, (description, value) = facts.feedback, values[facts.target]
    better = make_model(kind.capitalize(), description, {**common, "kind": (Literal[kind], ...), "value": (value, ...)})
    return Annotated[thumb | better, Field(discriminator="kind")]


def _right_answer(max_characters: int) -> Any:
    text: Any = Annotated[str, StringConstraints(min_length=1, max_length=max_characters)]
    start: Any = Annotated[int, Field(ge=0, le=max_characters)] | None
    placed: Any = make_model(
        "RightAnswer", "A stretch of the context.", {"text": (text, Field()), "start": (start, Field(default=None))}
    )
    return Annotated[Annotated[text, Tag("text")] | Annotated[placed, Tag("object")], Discriminator(_form_of_answer)] | None


def _form_of_answer(value: object) -> str:
    return "text" if isinstance(value, str) else "object"
