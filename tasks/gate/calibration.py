"""Whether a model is right as often as it says: the reliability curve and the expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tasks.stats.arrays import Codes, Floats
from tasks.stats.intervals import wilson


@dataclass(frozen=True, eq=False)
class Reliability:
    """One entry per bin that holds rows, shape (bins,): mean confidence, share right with its interval, rows; and their summary."""

    confidence: Floats
    accuracy: Floats
    low: Floats
    high: Floats
    count: Codes
    lower_edge: Floats
    upper_edge: Floats
    error: float
    largest_error: float


def reliability_bins(
    confidence: ArrayLike,
    correct: ArrayLike,
    bins: int = 15,
    binning: Literal["width", "mass"] = "width",
    level: float = 0.95,
) -> Reliability:
    """Bin rows by confidence in [0, 1], by equal width or equal mass, and hold the share right (0/1) against it; needs a row.

    `error` is the expected calibration error of Naeini et al. (2015), 'Obtaining well calibrated probabilities using Bayesian
    binning': the mean over rows of the gap in their bin; `largest_error` the largest gap. Bins are (lower, upper], the first with
    its lower edge.
    """
    stated, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    edges = np.linspace(0, 1, bins + 1)
    if binning == "mass":
        edges = np.unique(np.quantile(stated, edges))
    bin_of_row = np.clip(np.searchsorted(edges, stated, side="left") - 1, 0, max(0, len(edges) - 2))
    count = np.bincount(bin_of_row, minlength=max(1, len(edges) - 1))
    occupied = np.flatnonzero(count)
    mean = np.bincount(bin_of_row, weights=stated)[occupied] / count[occupied]
    share = np.bincount(bin_of_row, weights=right)[occupied] / count[occupied]
    low, high = wilson(share * count[occupied], count[occupied], level)
    gap = np.abs(share - mean)
    return Reliability(
        confidence=mean,
        accuracy=share,
        low=low,
        high=high,
        count=count[occupied].astype(np.int64),
        lower_edge=edges[occupied],
        upper_edge=edges[np.minimum(occupied + 1, len(edges) - 1)],
        error=float(np.sum(gap * count[occupied]) / len(stated)),
        largest_error=float(gap.max()),
    )


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """The mean gap between confidence and share right, over `bins` bins of equal width."""
    return reliability_bins(confidence, correct, bins).error
