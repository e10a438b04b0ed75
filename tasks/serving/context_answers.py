"""Answers that stand in a text as callers read them: a stretch of the context that they sent, its places, its probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.data.alignment import Alignment
from tasks.data.answers import NO_ANSWER, Place, context_of, places_of, write_places
from tasks.problems.types import NetworkAnswer
from tasks.serving.text_preparation import PreparedTexts

if TYPE_CHECKING:
    import pandas as pd

NOWHERE = Place(-1, -1)  # in tables, whose columns of whole numbers hold no nothing


class ContextAnswer(NamedTuple):
    """A stretch of a context, from character `start` to `end`, and its probability."""

    text: str
    start: int
    end: int
    score: float | None


def context_answer(raw_prediction: str, raw: str, score: float | None) -> ContextAnswer | None:
    """The answer to an input as it came, from a prediction of places in it; None for no answer."""
    context = context_of(raw)
    return next((ContextAnswer(place.text(context), *place, score) for place in places_of(raw_prediction)), None)


def place_for_caller(text: str, answer: NetworkAnswer) -> NetworkAnswer:
    """An answer to a prepared text, with its place in the context that its caller sent."""
    alignment = text.alignment if isinstance(text, PreparedTexts) else Alignment()
    offset = len(text) - len(context_of(text))
    behind_mark = alignment.back(offset - 1, offset)[1] if offset else 0
    moved = [alignment.back(start + offset, end + offset) for start, end in places_of(answer.prediction)]
    return answer._replace(raw=write_places((start - behind_mark, end - behind_mark) for start, end in moved))


def answer_frame(texts: Sequence[str], answers: Sequence[NetworkAnswer]) -> pd.DataFrame:
    """One line for each raw text: `answer`, `start`, `end`, `score`; an empty answer at -1 where there is none."""
    import pandas as pd

    rows = [
        context_answer(answer.raw or NO_ANSWER, text, answer.score) or ContextAnswer("", *NOWHERE, answer.score)
        for text, answer in zip(texts, answers, strict=True)
    ]
    return pd.DataFrame(rows, columns=["answer", *ContextAnswer._fields[1:]])
