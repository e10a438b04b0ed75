"""The numbers of text-regression in numpy alone: targets and predictions are columns (n,) in the unit of the target."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def checked_numbers(references: ArrayLike, predictions: ArrayLike) -> tuple[Floats, Floats]:
    """Both columns (n,), n > 0; ValueError where they differ in length or a value is not finite."""
    targets, answers = np.asarray(references, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    if targets.ndim != 1 or targets.shape != answers.shape or targets.size == 0:
        raise ValueError(
            f"targets {targets.shape} and predictions {answers.shape} must be two columns of the same length, at least one row"
        )
    if not (np.isfinite(targets).all() and np.isfinite(answers).all()):
        raise ValueError("a target or a prediction is no finite number")
    return targets, answers


def mean_absolute_error(targets: Floats, predictions: Floats) -> float:
    """In the unit of the target."""
    return float(np.abs(predictions - targets).mean())


def root_mean_squared_error(targets: Floats, predictions: Floats) -> float:
    """In the unit of the target; large errors count for more than in the mean absolute error."""
    return float(np.sqrt(np.mean((predictions - targets) ** 2)))


def r_squared(targets: Floats, predictions: Floats) -> float:
    """The share of the targets' variance that is explained: 1 is perfect, 0 as good as their mean. 0 where they do not vary."""
    spread = float(np.sum((targets - targets.mean()) ** 2))
    return 1 - float(np.sum((predictions - targets) ** 2)) / spread if spread > 0 else 0.0


def rank_correlation(targets: Floats, predictions: Floats) -> float:
    """Spearman's: the correlation of ranks, ties at their mean rank; 0 where either column does not vary."""
    from scipy.stats import rankdata

    ranks = rankdata(targets), rankdata(predictions)
    if any(float(np.ptp(each)) == 0 for each in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])
