"""Rows that are sound each by itself and make a comparison mean less than it seems: what is said of them before any training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from configs.schema import Data, ProblemFacts
from tasks.data.alignment import stands_alone
from tasks.data.answers import context_of
from tasks.data.label_sets import all_labels, labels_of
from tasks.data.normalise import key_text
from tasks.data.spans import spans_of
from tasks.data.text_parts import split_parts

if TYPE_CHECKING:
    import pandas as pd

SHOWN_FROM = 0.05  # the share of rows, or of spans, from which it is said
LOOKED_AT = 5_000  # rows
OTHERS_IN_TEST = "give others in test than in train"
SEPARATORS = (";", "|", ",", "/", "\t")  # that files have between labels


def odd_rows(train: pd.DataFrame, test: pd.DataFrame, data: Data, facts: ProblemFacts) -> tuple[str, ...]:
    """A sentence on each oddity of prepared rows."""
    sentences = []
    if facts.has_spans:
        sentences.append(_cut_words(train))
    elif facts.has_labels:
        sentences.append(_unparted_labels(train["target"].tolist(), sets=facts.has_label_sets))
    if facts.finds_answers:
        sentences.append(_shared_contexts(train, test, data))
    if facts.ranks:
        sentences.append(_parted_queries(train, test, data))
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


def _unparted_labels(targets: list[str], *, sets: bool) -> str:
    """Where no row has several labels: those that are several with another sign between, whose parts other labels have too."""
    if sets and any(len(labels_of(target)) > 1 for target in targets):
        return ""
    labels = all_labels(targets) if sets else sorted(set(targets))
    for sign in SEPARATORS:
        parted = {label: [part.strip() for part in label.split(sign)] for label in labels}
        known = Counter(part for parts in parted.values() for part in parts)
        several = [parts for parts in parted.values() if len(parts) > 1]
        if len(several) > 1 and sum(all(known[part] > 1 for part in parts) for parts in several) > len(several) / 2:
            remedy = "set" if sets else "name their column under data.labels, not data.label, and set"
            return (
                f"no row has more than one label, and {len(several):,} of {len(labels):,} labels have {sign!r} between parts that "
                f"others have too: where these are several labels, {remedy} data.label_separator to {sign!r}"
            )
    return ""


def _shared_contexts(train: pd.DataFrame, test: pd.DataFrame, data: Data) -> str:
    known = {key_text(context_of(text)) for text in train["text"]}
    shared = sum(key_text(context_of(text)) in known for text in test["text"])
    if shared < SHOWN_FROM * max(1, len(test)):
        return ""
    remedy = OTHERS_IN_TEST if data.split.by == "given" else f"set data.group to {data.context}"
    return (
        f"{shared:,} of {len(test):,} test questions are on a context that training reads too: how well questions on new contexts "
        f"are answered is not known, and questions on one count as many; {remedy}"
    )


def _parted_queries(train: pd.DataFrame, test: pd.DataFrame, data: Data) -> str:
    known, tested = ({key_text(split_parts(text)[0]) for text in rows["text"]} for rows in (train, test))
    if not (shared_count := len(known & tested)):
        return ""
    remedy = "keep the rows of a query in one group, or drop data.group, and each query is one"
    return (
        f"{shared_count:,} of {len(tested):,} test queries have rows that are trained on too, so their scores say little of new "
        f"ones: {OTHERS_IN_TEST if data.split.by == 'given' else remedy}"
    )
