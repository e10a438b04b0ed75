"""Rows that are sound each by itself and make a comparison mean less than it seems: what is said of them before any training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from configs.schema import Data, ProblemFacts
from tasks.data.alignment import stands_alone
from tasks.data.answers import context_of
from tasks.data.normalise import key_text
from tasks.data.spans import spans_of

if TYPE_CHECKING:
    import pandas as pd

SHOWN_FROM = 0.05  # the share of rows, or of spans, from which it is said
LOOKED_AT = 5_000  # rows


def odd_rows(train: pd.DataFrame, test: pd.DataFrame, data: Data, facts: ProblemFacts) -> tuple[str, ...]:
    """A sentence on each oddity of prepared rows."""
    sentences = []
    if facts.has_spans:
        sentences.append(_cut_words(train))
    if facts.finds_answers and data.group is None:
        sentences.append(_shared_contexts(train, test, data))
    return tuple(filter(None, sentences))


def cut_spans(texts: Sequence[str], targets: Sequence[str]) -> tuple[int, int]:
    """How many spans begin or end in the midst of a word, and how many there are."""
    alone = [
        stands_alone(text, start, end) for text, target in zip(texts, targets, strict=True) for start, end, _ in spans_of(target)
    ]
    return alone.count(False), len(alone)


def _cut_words(rows: pd.DataFrame) -> str:
    looked_at = rows.head(LOOKED_AT)
    cut, spans = cut_spans(looked_at["text"].tolist(), looked_at["target"].tolist())
    if cut < SHOWN_FROM * max(1, spans):
        return ""
    return (
        f"{cut:,} of {spans:,} spans begin or end in the midst of a word, as where places count bytes, or the end is the last "
        "character's own: count characters from 0, the end behind the last; where words are meant to be cut, all is well"
    )


def _shared_contexts(train: pd.DataFrame, test: pd.DataFrame, data: Data) -> str:
    known = {key_text(context_of(text)) for text in train["text"]}
    shared = sum(key_text(context_of(text)) in known for text in test["text"])
    if shared < SHOWN_FROM * max(1, len(test)):
        return ""
    return (
        f"{shared:,} of {len(test):,} test questions are on a context that training reads too: how well questions on new contexts "
        f"are answered is not known, and questions on one count as many; set data.group to {data.context}"
    )
