"""Tango's score test and interval for the difference of two proportions of the same rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.stats.arrays import Floats


def tango_z(wins: ArrayLike, losses: ArrayLike, n: ArrayLike, at: ArrayLike) -> Floats:
    """Score statistic of the hypothesis that P(win) - P(loss) equals `at`: about standard normal where it does. Broadcasts.

    Tango (1998), 'Equivalence test and confidence interval for the difference in proportions for the paired-sample design'. The
    variance is the one under the hypothesis, so it holds up at margins and with few discordant rows, where Wald's does not. At 0
    it is McNemar's.
    """
    b, c, rows, delta = (np.asarray(value, dtype=np.float64) for value in (wins, losses, n, at))
    linear = -b - c + (2 * rows - b + c) * delta
    root = np.sqrt(np.maximum(linear**2 + 8 * rows * c * delta * (1 - delta), 0))
    loss_rate = (root - linear) / (4 * rows)
    variance = rows * (2 * loss_rate + delta * (1 - delta))
    distance = b - c - rows * delta
    safe = np.where(variance > 1e-12, variance, 1.0)
    return np.asarray(np.where(variance > 1e-12, distance / np.sqrt(safe), np.sign(np.round(distance, 9)) * 1e6), dtype=np.float64)


def tango_p(wins: ArrayLike, losses: ArrayLike, n: ArrayLike, at: ArrayLike, freedom: ArrayLike) -> Floats:
    """p-value of 'P(win) - P(loss) is `at` or less' by Tango's statistic; 1 where `freedom` is 0. Broadcasts.

    The statistic is referred to Student's t with `freedom` degrees of freedom: the number of independent rows, or the effective
    number of groups, less one. Where a few groups hold most rows, the variance between groups is known from those few alone.
    """
    freedom = np.asarray(freedom, dtype=np.float64)
    tail = special.stdtr(np.maximum(freedom, 1e-9), -tango_z(wins, losses, n, at))
    return np.asarray(np.where(freedom > 0, tail, 1.0), dtype=np.float64)


def tango_interval(
    wins: ArrayLike, losses: ArrayLike, n: ArrayLike, confidence: float, freedom: ArrayLike = np.inf
) -> tuple[Floats, Floats]:
    """The differences that Tango's test does not reject, two-sided at `confidence`, by bisection to 1e-11. Broadcasts.

    `freedom` is that of `tango_p`, above 0; infinite, as by default, it is the published interval.
    """
    b, c, rows, df = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in (wins, losses, n, freedom)))
    z = special.stdtrit(df, (1 + confidence) / 2)
    target = np.stack([z, -z])
    estimate = (b - c) / rows
    low, high = np.stack([np.full(b.shape, -1.0), estimate]), np.stack([estimate, np.full(b.shape, 1.0)])
    for _ in range(38):
        middle = (low + high) / 2
        above = tango_z(b, c, rows, middle) > target
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return low[0], high[1]
