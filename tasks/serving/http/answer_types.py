"""The answers over HTTP, one type for each kind of target, and those that wait for a label."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel


class LabelAnswer(BaseModel):
    """The class of a text and its probability; `id` is what feedback refers to."""

    id: str
    label: str
    score: float
    version: str


class LabelsAnswer(BaseModel):
    """The labels of a text, none or many, and the probability of just that set; `id` is what feedback refers to."""

    id: str
    labels: list[str]
    score: float
    version: str


class Entity(BaseModel):
    """A span of the text as it was sent: characters (code points) `start` up to, without it, `end`; `score` is a probability."""

    label: str
    start: int
    end: int
    score: float


class EntitiesAnswer(BaseModel):
    """The labelled spans of a text, none or many, by place; `id` is what feedback refers to."""

    id: str
    entities: list[Entity]
    version: str


class NumberAnswer(BaseModel):
    """The number of a text, in the unit of the training data; `id` is what feedback refers to."""

    id: str
    number: float
    version: str


class AnswerInContext(BaseModel):
    """A stretch of the context as it was sent: characters `start` to `end`, and its probability."""

    text: str
    start: int
    end: int
    score: float | None


class QuestionAnswer(BaseModel):
    """The stretch of the context that answers the question, or null where there is none; `id` is what feedback refers to."""

    id: str
    answer: AnswerInContext | None
    version: str


class TextAnswer(BaseModel):
    """What the model wrote; `id` is what feedback refers to."""

    id: str
    text: str
    version: str


class DrawnAnswer(BaseModel):
    """An answer that was drawn to be labelled, its text, or the last turn of its `messages`, as the model saw it."""

    id: str
    time: datetime
    version: str
    text: str
    text_pair: str | None = None
    messages: list[dict[str, str]] | None = None
    prediction: str
    score: float | None


class DrawnAnswers(BaseModel):
    answers: list[DrawnAnswer]


ANSWERS: dict[str, type[BaseModel]] = {  # by kind of target
    "label": LabelAnswer,
    "labels": LabelsAnswer,
    "spans": EntitiesAnswer,
    "number": NumberAnswer,
    "answer": QuestionAnswer,
    "text": TextAnswer,
}
