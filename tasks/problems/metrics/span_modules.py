"""The metrics of span labelling as a local `evaluate.Metric` module; see `modules.py`."""

from __future__ import annotations

from collections.abc import Sequence

from datasets import Value

from tasks.data.spans import spans_of
from tasks.problems.metrics import spans as m
from tasks.problems.metrics.modules import InMemory

TEXTS = {"references": Value("string"), "predictions": Value("string")}


class LabelledSpans(InMemory):
    """How well labelled spans are found, each a row's canonical JSON: strict F1 of rows, over all spans, and by label."""

    columns = TEXTS

    def score(self, *, references: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
        return m.span_scores([spans_of(each) for each in references], [spans_of(each) for each in predictions])
