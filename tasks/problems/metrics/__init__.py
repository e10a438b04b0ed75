"""Columns in, a flat dict of metrics out: the metrics as the stages call them, by the `evaluate.Metric` modules of `modules.py` and
`text_modules.py`.

Light to import (numpy alone); `evaluate` and `datasets` come with the first call.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.problems.metrics.classification import checked_codes
from tasks.problems.metrics.generation import GENERATED, TextMetrics
from tasks.problems.metrics.lazily import lighten_evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from tasks.problems.metrics.modules import InMemory


@dataclass(frozen=True)
class ClassScore:
    """One class: its precision, recall and F1 (0 where undefined), and its number of test rows."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


def modules_of_evaluate() -> ModuleType:
    """The metric modules, with as little of `evaluate` behind them as they need."""
    lighten_evaluate()
    from tasks.problems.metrics import modules

    return modules


def text_modules_of_evaluate() -> ModuleType:
    """Those of written texts."""
    lighten_evaluate()
    from tasks.problems.metrics import text_modules

    return text_modules


def classification_metrics(
    targets: NDArray[np.integer],
    predictions: NDArray[np.integer],
    probabilities: NDArray[np.floating] | None,
    labels: Sequence[str],
) -> dict[str, float]:
    """Accuracy, precision, recall, F1, Matthews correlation; with probabilities log loss, calibration error, Brier, top-3 accuracy.

    Codes are (n,) indices into `labels`, probabilities (n, c) or None. ValueError where shapes or values do not fit one another.
    """
    columns = _label_codes(targets, predictions, labels)
    modules = modules_of_evaluate()
    if probabilities is None:
        return _compute_modules(modules.FROM_CODES, columns)
    scores = np.asarray(probabilities, dtype=np.float64)
    if scores.shape != (len(columns["references"]), len(labels)):
        raise ValueError(f"probabilities {scores.shape} must be ({len(columns['references'])} rows, {len(labels)} labels)")
    return _compute_modules(modules.FROM_CODES + modules.FROM_PROBABILITIES, {**columns, "probabilities": scores})


def per_class(targets: NDArray[np.integer], predictions: NDArray[np.integer], labels: Sequence[str]) -> tuple[ClassScore, ...]:
    """One `ClassScore` per label, in the order of `labels`, those without a test row included (support 0)."""
    columns = _label_codes(targets, predictions, labels)
    scores = modules_of_evaluate().PerClass().compute(**columns, classes=len(labels))
    rows = zip(labels, scores["precision"], scores["recall"], scores["f1"], scores["support"], strict=True)
    return tuple(ClassScore(label, float(p), float(r), float(f), int(n)) for label, p, r, f, n in rows)


def generation_metrics(
    log_likelihoods: NDArray[np.floating],
    tokens: NDArray[np.integer],
    predictions: Sequence[str | None] = (),
    references: Sequence[str] = (),
    text: TextMetrics = GENERATED,
) -> dict[str, float]:
    """nll_per_token (nats) and perplexity over all rows; what `text` names over those decoded (not None), if any.

    `log_likelihoods` (n,) are sums over the completion's tokens, `tokens` (n,) their number. ValueError where columns do not fit.
    """
    modules = modules_of_evaluate()
    scores = _compute_modules((modules.Perplexity,), {"log_likelihoods": np.asarray(log_likelihoods), "tokens": np.asarray(tokens)})
    decoded = [(p, r) for p, r in zip(predictions, references, strict=True) if p is not None]
    return scores | text_metrics([p for p, _ in decoded], [r for _, r in decoded], text)


def text_metrics(predictions: Sequence[str], references: Sequence[str], text: TextMetrics) -> dict[str, float]:
    """What `text` names, over texts and one reference each; nothing where there are none."""
    if not predictions:
        return {}
    modules = text_modules_of_evaluate()
    columns = {"predictions": list(predictions), "references": list(references), "bleu_tokenizer": text.bleu_tokenizer}
    return _compute_modules([modules.FROM_TEXTS[name] for name in text.names], columns)


def regression_metrics(targets: NDArray[np.floating], predictions: NDArray[np.floating]) -> dict[str, float]:
    """mae, rmse (in the unit of the targets), r2 and rank_correlation of two columns (n,); ValueError where they do not fit."""
    lighten_evaluate()
    from tasks.problems.metrics.number_modules import FROM_NUMBERS

    columns = {"references": np.asarray(targets, dtype=np.float64), "predictions": np.asarray(predictions, dtype=np.float64)}
    return _compute_modules(FROM_NUMBERS, columns)


def label_set_metrics(targets: NDArray[np.bool_], predictions: NDArray[np.bool_]) -> dict[str, float]:
    """f1_rows, subset_accuracy, f1_micro, f1_macro, precision_micro and recall_micro of two tables (n, labels)."""
    lighten_evaluate()
    from tasks.problems.metrics.label_set_modules import LabelSets

    columns = {"references": np.asarray(targets, dtype=np.int64), "predictions": np.asarray(predictions, dtype=np.int64)}
    return _compute_modules((LabelSets,), columns)


def answer_metrics(predictions: Sequence[str], accepted: Sequence[Sequence[str]]) -> dict[str, float]:
    """SQuAD's f1 and exact_match, has_answer_f1, has_answer_exact and no_answer_accuracy of answers, empty for none."""
    lighten_evaluate()
    from tasks.problems.metrics.answer_modules import Answers

    references = [json.dumps(list(texts), ensure_ascii=False) for texts in accepted]
    return _compute_modules((Answers,), {"references": references, "predictions": list(predictions)})


def span_metrics(targets: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
    """f1_rows, rows_right, f1_micro, precision_micro, recall_micro and f1_macro of spans, each row's as canonical JSON."""
    lighten_evaluate()
    from tasks.problems.metrics.span_modules import LabelledSpans

    return _compute_modules((LabelledSpans,), {"references": list(targets), "predictions": list(predictions)})


def _label_codes(targets: ArrayLike, predictions: ArrayLike, labels: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Both columns as codes, checked here, as Arrow would silently cut 0.5 to class 0; every code must name a label."""
    references, codes = checked_codes(targets, predictions)
    if (largest := max(references.max(), codes.max())) >= len(labels):
        raise ValueError(f"code {largest} names no label: there are only {len(labels)} labels")
    return {"references": references, "predictions": codes}


def preference_metrics(margins: NDArray[np.floating]) -> dict[str, float]:
    """preference_accuracy and preference_margin of (n,) margins: log-likelihood per token of chosen less rejected answers, nats."""
    return _compute_modules((modules_of_evaluate().PreferenceAccuracy,), {"margins": np.asarray(margins, dtype=np.float64)})


def _compute_modules(modules: Sequence[type[InMemory]], columns: Mapping[str, object]) -> dict[str, float]:
    """What `evaluate.combine(...).compute(...)` does, without the imports that its constructor triggers."""
    scores: dict[str, float] = {}
    for module in modules:
        accepted_names = {*module.columns, *module.options}
        scores |= module().compute(**{name: column for name, column in columns.items() if name in accepted_names})
    return scores
