"""Answers that stand in a text as callers read them: a stretch of the context that they sent, its places, its probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.data.answers import Place, context_of, places_of, write_places
from tasks.problems.types import NetworkAnswer
from tasks.serving.text_preparation import AlignedText

if TYPE_CHECKING:
    import pandas as pd

NOWHERE = Place(-1, -1)  # in tables, whose columns of whole numbers hold no nothing


class FoundAnswer(NamedTuple):
    """A stretch of a context, from character `start` to `end`, and its probability."""

    text: str
    start: int
    end: int
    score: float | None


def found_answer(raw_prediction: str, raw: str, score: float | None) -> FoundAnswer | None:
    """The answer to an input as it came, from a prediction of places in it; None for no answer."""
    context = context_of(raw)
    return next((FoundAnswer(place.text(context), *place, score) for place in places_of(raw_prediction)), None)


def found_frame(texts: Sequence[str], answers: Sequence[NetworkAnswer]) -> pd.DataFrame:
    """One line for each prepared text: `answer`, `start`, `end`, `score`; an empty answer at -1 where there is none."""
    import pandas as pd

    rows = []
    for text, (prediction, score) in zip(texts, answers, strict=True):
        raw, own = (text.raw, text.raw_answer(prediction)) if isinstance(text, AlignedText) else (text, prediction)
        rows.append(found_answer(own, raw, score) or FoundAnswer("", *NOWHERE, score))
    return pd.DataFrame(rows, columns=["answer", *FoundAnswer._fields[1:]])


def predictions_of(frame: pd.DataFrame) -> list[str]:
    """The predictions in a table of answers to prepared texts, as they are kept: its first column, or those of its places."""
    if "start" not in frame:
        predictions: list[str] = frame.iloc[:, 0].tolist()
        return predictions
    return [write_places([(start, end)] if start >= 0 else []) for start, end in zip(frame["start"], frame["end"], strict=True)]
