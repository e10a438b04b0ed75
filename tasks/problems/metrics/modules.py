"""The metrics as local `evaluate.Metric` modules: for `add_batch`, `evaluate.combine`, and other code with that interface.

No hub, no network, no disk: each instance keeps its rows in memory under its own experiment id, so any number live side by side.
Options meant for another module are ignored, because `evaluate.combine` hands every keyword to every module.
Import through `tasks.problems.metrics.modules_of_evaluate()`, which spares the 3 s of evaluate's pipelines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Features, List, Value
from evaluate.info import MetricInfo
from evaluate.module import Metric

from tasks.problems.metrics import classification as c
from tasks.problems.metrics import generation as g

if TYPE_CHECKING:
    from collections.abc import Mapping

CODES = {"references": Value("int64"), "predictions": Value("int64")}
PROBABILITIES = {"references": Value("int64"), "probabilities": List(Value("float64"))}
LIKELIHOODS = {"log_likelihoods": Value("float64"), "tokens": Value("int64")}
ALL = CODES | PROBABILITIES
MARGINS = {"margins": Value("float64")}


class InMemory(Metric):  # type: ignore[misc]  # evaluate is untyped
    """The base of the modules; a subclass names its `columns` and computes its `score` from them: arrays or lists of texts."""

    columns: dict[str, Value | List]
    options: tuple[str, ...] = ()
    score: Callable[..., Mapping[str, object]]

    def __init__(self, **options: object) -> None:
        super().__init__(**{"keep_in_memory": True, "experiment_id": uuid4().hex, "seed": 0, **options})

    def _build_data_dir(self) -> str:
        """None is needed in memory, and making one would fail on a read-only home."""
        return "" if self.keep_in_memory else str(super()._build_data_dir())

    def _info(self) -> MetricInfo:
        """Columns come back as Arrow: evaluate's "numpy" format would round every float64 to float32."""
        description = f"Columns: {', '.join(self.columns)}."
        info = MetricInfo(
            description=type(self).__doc__ or "", citation="", features=Features(self.columns), inputs_description=description
        )
        info.format = "arrow"  # set here, since the constructor refuses any format for columns of lists
        return info

    def _compute(self, **values: object) -> Mapping[str, object]:
        columns = {name: _column_values(values[name]) for name in self.columns}
        return self.score(**columns, **{name: values[name] for name in self.options if name in values})


def _column_values(column: pa.ChunkedArray) -> Any:
    """An Arrow column as texts, numbers (n,) or rows of numbers (n, c), bit for bit."""
    if pa.types.is_string(column.type):
        return column.to_pylist()
    if not pa.types.is_list(column.type):
        return column.to_numpy()
    flat = pc.list_flatten(column).to_numpy()
    if len(flat) != len(column) * pc.list_value_length(column)[0].as_py():
        raise ValueError("the rows of probabilities differ in length: each must hold one number per class")
    return flat.reshape(len(column), -1)


class Accuracy(InMemory):
    """Share of rows predicted right."""

    columns = CODES

    def score(self, *, references: c.Codes, predictions: c.Codes) -> dict[str, float]:
        return {"accuracy": c.accuracy(*c.checked_codes(references, predictions))}


class Precision(InMemory):
    """Of the rows predicted to be of a class, the share that is: mean over classes, plain and weighted by rows."""

    columns = CODES

    def score(self, *, references: c.Codes, predictions: c.Codes) -> dict[str, float]:
        k = c.class_counts(*c.checked_codes(references, predictions))
        return {"precision_macro": c.macro_mean(c.precision_of(k), k), "precision_weighted": c.weighted_mean(c.precision_of(k), k)}


class Recall(InMemory):
    """Of the rows of a class, the share found: mean over classes, plain and weighted by rows."""

    columns = CODES

    def score(self, *, references: c.Codes, predictions: c.Codes) -> dict[str, float]:
        k = c.class_counts(*c.checked_codes(references, predictions))
        return {"recall_macro": c.macro_mean(c.recall_of(k), k), "recall_weighted": c.weighted_mean(c.recall_of(k), k)}


class F1(InMemory):
    """Harmonic mean of precision and recall of a class: mean over classes, plain and weighted by rows."""

    columns = CODES

    def score(self, *, references: c.Codes, predictions: c.Codes) -> dict[str, float]:
        k = c.class_counts(*c.checked_codes(references, predictions))
        return {"f1_macro": c.macro_mean(c.f1_of(k), k), "f1_weighted": c.weighted_mean(c.f1_of(k), k)}


class PerClass(InMemory):
    """Precision, recall, F1 and rows of each of `classes` classes, as arrays (c,)."""

    columns = CODES
    options = ("classes",)

    def score(self, *, references: c.Codes, predictions: c.Codes, classes: int | None = None) -> dict[str, c.Codes | c.Floats]:
        k = c.class_counts(*c.checked_codes(references, predictions), classes)
        return {"precision": c.precision_of(k), "recall": c.recall_of(k), "f1": c.f1_of(k), "support": k.actual}


class MatthewsCorrelation(InMemory):
    """Correlation of targets and predictions, -1 to 1, fair to unbalanced classes (Gorodkin's R_K)."""

    columns = CODES

    def score(self, *, references: c.Codes, predictions: c.Codes) -> dict[str, float]:
        return {"matthews_correlation": c.matthews_correlation(*c.checked_codes(references, predictions))}


class LogLoss(InMemory):
    """Mean negative log-likelihood of the true class, in nats."""

    columns = PROBABILITIES

    def score(self, *, references: c.Codes, probabilities: c.Floats) -> dict[str, float]:
        return {"log_loss": c.log_loss(*c.checked_probabilities(references, probabilities))}


class Brier(InMemory):
    """Mean squared distance of the probabilities from the truth: 0..2, for two classes 0..1."""

    columns = PROBABILITIES

    def score(self, *, references: c.Codes, probabilities: c.Floats) -> dict[str, float]:
        return {"brier": c.brier(*c.checked_probabilities(references, probabilities))}


class Top3Accuracy(InMemory):
    """Share of rows whose class is among the three most probable."""

    columns = PROBABILITIES

    def score(self, *, references: c.Codes, probabilities: c.Floats) -> dict[str, float]:
        return {"top_3_accuracy": c.top_k_accuracy(*c.checked_probabilities(references, probabilities))}


class ExpectedCalibrationError(InMemory):
    """Mean gap between confidence and accuracy over 15 bins of equal width (lo, hi]."""

    columns = ALL

    def score(self, *, references: c.Codes, predictions: c.Codes, probabilities: c.Floats) -> dict[str, float]:
        _, codes = c.checked_codes(references, predictions)
        targets, columns = c.checked_probabilities(references, probabilities)
        if codes.max() >= columns.shape[1]:
            raise ValueError(f"predicted code {codes.max()} has no column among {columns.shape[1]} classes")
        return {"expected_calibration_error": c.expected_calibration_error(targets, codes, columns)}


class Perplexity(InMemory):
    """Negative log-likelihood per token of the whole corpus in nats, and its exponential."""

    columns = LIKELIHOODS

    def score(self, *, log_likelihoods: g.Floats, tokens: c.Codes) -> dict[str, float]:
        sums, lengths = g.checked_likelihoods(log_likelihoods, tokens)
        return {"nll_per_token": g.nll_per_token(sums, lengths), "perplexity": g.perplexity(sums, lengths)}


class PreferenceAccuracy(InMemory):
    """Share of pairs whose preferred answer is likelier, token for token, than the rejected one, and by how much on average."""

    columns = MARGINS

    def score(self, *, margins: c.Floats) -> dict[str, float]:
        return {"preference_accuracy": float(np.mean(margins > 0)), "preference_margin": float(np.mean(margins))}


FROM_CODES: tuple[type[InMemory], ...] = (Accuracy, Precision, Recall, F1, MatthewsCorrelation)
FROM_PROBABILITIES: tuple[type[InMemory], ...] = (LogLoss, ExpectedCalibrationError, Brier, Top3Accuracy)
