"""The answers over HTTP, one type for each kind of target."""

from __future__ import annotations

from pydantic import BaseModel


class LabelAnswer(BaseModel):
    """The class of a text and its probability; `id` is what feedback refers to."""

    id: str
    label: str
    score: float
    version: str


class NumberAnswer(BaseModel):
    """The number of a text, in the unit of the training data; `id` is what feedback refers to."""

    id: str
    number: float
    version: str


class TextAnswer(BaseModel):
    """What the model wrote; `id` is what feedback refers to."""

    id: str
    text: str
    version: str


ANSWERS: dict[str, type[BaseModel]] = {"label": LabelAnswer, "number": NumberAnswer, "text": TextAnswer}  # by kind of target
