"""The metrics of answers that stand in a text as a local `evaluate.Metric` module; see `modules.py`."""

from __future__ import annotations

import json

from datasets import Value

from tasks.problems.metrics import answers
from tasks.problems.metrics.modules import InMemory

TEXTS = {"references": Value("string"), "predictions": Value("string")}


class Answers(InMemory):
    """SQuAD's exact match and F1, of all rows, of those with an answer and of those without; `references` are lists as JSON."""

    columns = TEXTS

    def score(self, *, references: list[str], predictions: list[str]) -> dict[str, float]:
        return answers.answer_metrics(predictions, [json.loads(texts) for texts in references])
