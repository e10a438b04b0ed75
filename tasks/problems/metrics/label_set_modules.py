"""The metrics of multi-label classification as a local `evaluate.Metric` module; see `modules.py`."""

from __future__ import annotations

from datasets import List, Value

from tasks.problems.metrics import multi_label as m
from tasks.problems.metrics.modules import InMemory

FLAGS = {"references": List(Value("int64")), "predictions": List(Value("int64"))}


class LabelSets(InMemory):
    """How well sets of labels are answered: F1 of rows, whole sets, and F1 over decisions and over labels."""

    columns = FLAGS

    def score(self, *, references: m.Flags, predictions: m.Flags) -> dict[str, float]:
        return m.set_scores(*m.checked_flags(references, predictions))
