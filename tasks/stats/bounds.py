"""Evidence about a mean that holds whatever the distribution, as long as no value can lie below a known limit.

Sign flips are exact for symmetric differences alone. Where 2 % of rows lose 4.9 and the others gain 0.1, the mean is zero, and 100
rows show no loss at all with probability 0.13: no test that looks at the spread of these rows can know. The bound here asks how
likely such a gain would be if the losses that are possible had merely not been drawn.

Method: Waudby-Smith and Ramdas (2024), 'Estimating means of bounded random variables by betting'. A gambler bets a share f of the
wealth that a value is positive; as no value lies below -limit, the wealth is multiplied by 1 + f value / limit >= 0. Where the
true mean is zero or less, the expected final wealth is at most the initial one, so that its inverse is a p-value, by Markov's
inequality. Here the number of values is fixed and their order does not matter: the wealth is averaged over a fixed set of shares.
Values may differ in distribution if they are independent and the mean over all of them is zero or less (by the inequality of the
arithmetic and geometric means); so groups enter as their sums, and the largest group sets the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, exp, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
RATIO = 1.5  # between one bet and the next smaller: the wealth of a bet a quarter off the best one grows 6 % more slowly
STEPS = 34  # bisections: the range to 1e-10 of itself


def betting_p(values: Floats, limits: Floats) -> float:
    """p-value of 'the mean of `values` is zero or less': shape (g,) each, independent, none below minus its own limit > 0."""
    shares, log_weights = betting_shares(limits, len(limits))
    return exp(-max(0.0, _log_mean(log_weights, _log_growth(values, limits, shares).sum(axis=1))))


def betting_shares(limits: Floats, count: float) -> tuple[Floats, Floats]:
    """Shares of the largest safe bet, and the logarithms of their weights, for `count` values whose limits are like `limits`.

    From all of it down to what suits values that all lie at their limits, the most they can spread: there the best bet is, for a
    p-value of 0.01, 3 over the standard deviation of the sum. Weights fall with the place: limits are seldom reached.
    """
    spread = sqrt(count * float(np.mean(limits**2)))
    number = 1 + max(0, ceil(log(max(1.0, spread / (3 * float(limits.max())))) / log(RATIO)))
    weights = 1 / np.arange(1, number + 1)
    return RATIO ** -np.arange(number, dtype=np.float64), np.log(weights / weights.sum())


def _log_growth(values: Floats, limits: Floats, shares: Floats) -> Floats:
    """What each value adds to the logarithm of the wealth under each bet, shape (bets, g)."""
    scaled = np.maximum(values / limits.max(), -1.0)
    with np.errstate(divide="ignore"):  # all of the wealth can be lost: minus infinity
        return np.asarray(np.log1p(shares[:, None] * scaled), dtype=np.float64)


def betting_bound(sums: Floats, sizes: Floats, limit: float, level: float) -> float:
    """The least mean of rows that `betting_p` does not reject at `level`: of groups with these sums, no row below minus `limit`."""

    def stands(mean: float) -> bool:
        return mean > -limit and betting_p(sums - mean * sizes, (limit + mean) * sizes) > level

    return _bisect(stands, float(sums.sum() / sizes.sum()), -limit)


def _bisect(holds: Callable[[float], bool], inside: float, outside: float) -> float:
    """The end of the stretch from `inside` towards `outside` on which `holds`."""
    for _ in range(STEPS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return outside


def power_of_bound(values: Floats, limits: Floats, count: float, alpha: float) -> float:
    """Chance that `betting_p` is at most alpha for `count` values distributed as `values` are; `limits` as there.

    Under each bet the logarithm of the wealth is a sum, so nearly normal; one quantile at a time is taken for all bets together.
    """
    shares, log_weights = betting_shares(limits, count)
    growth = np.log1p(shares[:, None] * np.maximum(values / limits.max(), -1 + 1e-9))
    mean, deviation = count * growth.mean(axis=1), sqrt(count) * growth.std(axis=1)

    def falls_short(z: float) -> bool:
        return _log_mean(log_weights, mean + z * deviation) < -log(alpha)

    return float(special.ndtr(-_bisect(falls_short, -40.0, 40.0)))


def _log_mean(log_weights: Floats, log_values: Floats) -> float:
    return float(np.logaddexp.reduce(log_weights + log_values))
