"""The metrics of text-regression as local `evaluate.Metric` modules; see `modules.py`."""

from __future__ import annotations

from datasets import Value

from tasks.problems.metrics import regression as r
from tasks.problems.metrics.modules import InMemory

NUMBERS = {"references": Value("float64"), "predictions": Value("float64")}


class MeanAbsoluteError(InMemory):
    """Mean of the absolute errors, in the unit of the target."""

    columns = NUMBERS

    def score(self, *, references: r.Floats, predictions: r.Floats) -> dict[str, float]:
        return {"mae": r.mean_absolute_error(*r.checked_numbers(references, predictions))}


class RootMeanSquaredError(InMemory):
    """Root of the mean squared error, in the unit of the target."""

    columns = NUMBERS

    def score(self, *, references: r.Floats, predictions: r.Floats) -> dict[str, float]:
        return {"rmse": r.root_mean_squared_error(*r.checked_numbers(references, predictions))}


class RSquared(InMemory):
    """Share of the targets' variance that the predictions explain."""

    columns = NUMBERS

    def score(self, *, references: r.Floats, predictions: r.Floats) -> dict[str, float]:
        return {"r2": r.r_squared(*r.checked_numbers(references, predictions))}


class RankCorrelation(InMemory):
    """Spearman's correlation of targets and predictions."""

    columns = NUMBERS

    def score(self, *, references: r.Floats, predictions: r.Floats) -> dict[str, float]:
        return {"rank_correlation": r.rank_correlation(*r.checked_numbers(references, predictions))}


FROM_NUMBERS: tuple[type[InMemory], ...] = (MeanAbsoluteError, RootMeanSquaredError, RSquared, RankCorrelation)
