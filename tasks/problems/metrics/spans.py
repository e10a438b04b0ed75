"""The numbers of span labelling, strict: a span is right where start, end and label are (as seqeval's strict mode counts).

Targets and predictions are a list a row of (start, end, label), none of which overlap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

Spans = Sequence[tuple[int, int, str]]


class SpanCounts(NamedTuple):
    """Spans of a label: in the targets, in the predictions, and in both."""

    wanted: int
    answered: int
    right: int

    @property
    def precision(self) -> float:
        return self.right / self.answered if self.answered else 0.0

    @property
    def recall(self) -> float:
        return self.right / self.wanted if self.wanted else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.answered + self.wanted) if self.answered + self.wanted else 1.0


def label_counts(targets: Sequence[Spans], predictions: Sequence[Spans]) -> dict[str, SpanCounts]:
    """The counts of each label that occurs, in order."""
    wanted, answered, right = Counter[str](), Counter[str](), Counter[str]()
    for own, answers in zip(targets, predictions, strict=True):
        wanted.update(label for *_, label in own)
        answered.update(label for *_, label in answers)
        right.update(label for *_, label in {*own} & {*answers})
    return {label: SpanCounts(wanted[label], answered[label], right[label]) for label in sorted({*wanted, *answered})}


def total_counts(counts: Iterable[SpanCounts]) -> SpanCounts:
    """The counts over all labels."""
    columns = list(counts)
    return SpanCounts(*(sum(each[place] for each in columns) for place in range(3)))


def span_scores(targets: Sequence[Spans], predictions: Sequence[Spans]) -> dict[str, float]:
    """f1_rows (mean of rows; 1 for a row that has none and is answered none), rows_right (all of a row right), precision_micro,
    recall_micro and f1_micro over all spans, and f1_macro (mean of the labels that occur)."""
    if len(targets) != len(predictions) or not targets:
        raise ValueError(f"targets ({len(targets)}) and predictions ({len(predictions)}) must be as many, at least one")
    rows = [total_counts(label_counts([own], [answers]).values()).f1 for own, answers in zip(targets, predictions, strict=True)]
    by_label = label_counts(targets, predictions)
    total = total_counts(by_label.values())
    return {
        "f1_rows": float(np.mean(rows)),
        "rows_right": float(np.mean([{*own} == {*answers} for own, answers in zip(targets, predictions, strict=True)])),
        "f1_micro": total.f1,
        "precision_micro": total.precision,
        "recall_micro": total.recall,
        "f1_macro": float(np.mean([each.f1 for each in by_label.values()])) if by_label else 1.0,
    }
