"""Tests of two samples against a minimum effect: shares, means, and the permutation test of whether anything differs at all.

Each is a test of 'the true change is at most the minimum', not of 'there is no change', and counts the sampling error of both
samples: without the reference's own, a champion whose reference was drawn unluckily would cause alarms for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.drift.distinct_texts import SMALL, DistinctTexts
from tasks.stats.arrays import Floats

LEAST_P = 1e-30  # where a p-value is no longer told apart from 0
OUTER = 0.01  # the share of the reference on either side of its inner 98 %
PLAIN_HITS = 10  # permutations beyond the observed value that make their share a fair p-value


@dataclass(frozen=True)
class JudgedChange:
    """A change, its band at the level of the test, and the p-value of 'it is at most the minimum'."""

    effect: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, eq=False)
class Contrast:
    """A difference of the window from the reference that is a sum over texts, as every mean is.

    `by_text` (texts,): what each text contributes to its error; `row_variance`: the variance of `value` were all rows independent.
    """

    value: float
    by_text: Floats
    row_variance: float


# --- shares ----------------------------------------------------------------------------------------------------------


def exact_limits(count: ArrayLike, n: ArrayLike, alpha: ArrayLike) -> tuple[Floats, Floats]:
    """Clopper and Pearson's (1934) limits of a share, each wrong with at most `alpha`; broadcasts, takes fractional counts."""
    k, rows, a = (np.asarray(value, dtype=np.float64) for value in (count, n, alpha))
    low = np.where(k > 0, special.betaincinv(np.maximum(k, 1e-9), rows - k + 1, a), 0.0)
    high = np.where(k < rows, 1 - special.betaincinv(np.maximum(rows - k, 1e-9), k + 1, a), 1.0)
    return low, high


def share_change(
    window: ArrayLike, n_window: ArrayLike, reference: ArrayLike, n_reference: ArrayLike, alpha: ArrayLike
) -> tuple[Floats, Floats]:
    """Limits of share(window) - share(reference), each wrong with about `alpha`; from counts, which may be fractional; broadcasts.

    The square-and-add of Newcombe (1998), 'Interval estimation for the difference between independent proportions', method 10, here
    from exact limits, not Wilson's, because it is used at alphas of 1e-5: there Wilson's let many times too much through.
    """
    counts = [np.asarray(value, dtype=np.float64) for value in (window, n_window, reference, n_reference)]
    now, was = counts[0] / counts[1], counts[2] / counts[3]
    now_low, now_high = exact_limits(counts[0], counts[1], alpha)
    was_low, was_high = exact_limits(counts[2], counts[3], alpha)
    low = now - was - np.hypot(now - now_low, was_high - was)
    high = now - was + np.hypot(now_high - now, was - was_low)
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)


def judge_share(
    contrast: Contrast, shares: tuple[float, float], texts: DistinctTexts, minimum: float, alpha: float, sides: int
) -> JudgedChange:
    """Whether a share changed by more than `minimum`; `shares`: the reference's, the window's. Repeated texts count less."""
    was, now = shares
    observed = float(np.sum(contrast.by_text**2)) / contrast.row_variance if contrast.row_variance > 0 else 1.0
    design = max(texts.design, observed)
    n_reference, n_window = (1 / (noise * design) for noise in texts.noise)
    counts = (now * n_window, n_window, was * n_reference, n_reference)
    up = now >= was

    def bound(level: float) -> float:
        low, high = share_change(*counts, level)
        return float(low) if up or sides == 1 else -float(high)

    low, high = (float(limit) for limit in share_change(*counts, alpha / sides))
    return JudgedChange(now - was, low, high, min(1.0, sides * _p_value_of_bound(bound, minimum)))


def _p_value_of_bound(bound: Callable[[float], float], minimum: float) -> float:
    """The level at which a lower bound just reaches `minimum`, by bisection of its logarithm; LEAST_P where it is always above."""
    if bound(0.5) <= minimum:
        return 1.0
    few, many = log(LEAST_P), log(0.5)
    if bound(LEAST_P) > minimum:
        return LEAST_P
    for _ in range(24):
        middle = (few + many) / 2
        few, many = (few, middle) if bound(float(np.exp(middle))) > minimum else (middle, many)
    return float(np.exp(many))


# --- means -----------------------------------------------------------------------------------------------------------


def mean_contrast(texts: DistinctTexts, reference: Floats, window: Floats) -> Contrast:
    """mean(window) - mean(reference) of row values, with the weights of `texts`.

    Both samples are given the larger of their variances. A sample whose mean is low because it missed the rare large values has
    missed them in its variance too: lognormal lengths then gave 23 times the false alarms asked for at 1e-5, and with this 0.3.
    """
    was, now = float(texts.row_reference @ reference), float(texts.row_window @ window)
    by_text = texts.summed(texts.of_window, texts.row_window * (window - now))
    by_text -= texts.summed(texts.of_reference, texts.row_reference * (reference - was))
    spreads = float(texts.row_reference @ (reference - was) ** 2), float(texts.row_window @ (window - now) ** 2)
    return Contrast(now - was, by_text, max(spreads) * sum(texts.noise))


def clip_outliers(reference: Floats, window: Floats) -> tuple[Floats, Floats]:
    """Both samples, each number cut off at a width of the reference's inner 98 % beyond it: one huge number is no drift."""
    low, high = np.quantile(reference, [OUTER, 1 - OUTER])
    reach = high - low
    if reach == 0:
        return reference, window
    return np.clip(reference, low - reach, high + reach), np.clip(window, low - reach, high + reach)


def standardised_difference(texts: DistinctTexts, reference: Floats, window: Floats) -> Contrast:
    """The standardised mean difference by the reference's deviation (Glass 1976), whose own error is part of it."""
    plain, deviation = mean_contrast(texts, reference, window), float(reference.std())
    value = plain.value / deviation
    of_deviation = value / 2 * (((reference - reference.mean()) / deviation) ** 2 - 1)
    by_text = plain.by_text / deviation - texts.summed(texts.of_reference, texts.row_reference * of_deviation)
    added = float(texts.row_reference @ of_deviation**2) * texts.noise[0]
    return Contrast(value, by_text, plain.row_variance / deviation**2 + added)


def standard_error(contrast: Contrast, texts: DistinctTexts) -> float:
    """Robust to repeated texts: the larger of the error between texts and that of rows, inflated by their repetition alone."""
    return float(np.sqrt(max(float(np.sum(contrast.by_text**2)), contrast.row_variance * texts.design)))


def judge_mean(
    contrast: Contrast, texts: DistinctTexts, minimum: float, alpha: float, sides: int, extra: float = 0.0
) -> JudgedChange:
    """Whether a mean changed by more than `minimum`, up (sides=1) or either way (2); `extra` variance is added.

    Student's t with as many degrees of freedom as there are equally heavy texts, less one: a few texts that are most of the window
    show nothing, however often they are repeated.
    """
    error, freedom = float(np.hypot(standard_error(contrast, texts), np.sqrt(extra))), max(1.0, texts.effective - 1)
    distance = (contrast.value if sides == 1 else abs(contrast.value)) - minimum
    if error == 0:
        return JudgedChange(contrast.value, contrast.value, contrast.value, LEAST_P if distance > 0 else 1.0)
    half = error * -float(special.stdtrit(freedom, alpha / sides))
    p = sides * float(special.stdtr(freedom, -distance / error))
    return JudgedChange(contrast.value, contrast.value - half, contrast.value + half, min(1.0, max(p, LEAST_P)))


# --- whether anything differs ----------------------------------------------------------------------------------------


def permutation_p(observed: float, draws: Floats) -> float:
    """p-value of a squared distance among those of rearranged texts, shape (permutations,).

    Their share where enough lie beyond it. Beyond the last of them, the tail of the gamma law with their mean, variance and skew
    (Pearson's type III: Mielke and Berry 1976; for the maximum mean discrepancy Gretton et al. 2009, 'A fast, consistent kernel
    two-sample test'), the skew taken three standard errors higher, but never above that of a single direction, which is the most
    that a sum of squares can have: 500 permutations cannot tell 1e-5 from 1e-3, and this errs to the side of silence.
    """
    hits = int(np.sum(draws >= observed * (1 - 1e-6)))
    plain = (hits + 1) / (len(draws) + 1)
    spread = float(draws.std())
    if hits >= PLAIN_HITS or spread == 0:
        return plain
    centred = (draws - draws.mean()) / spread
    skew = min(np.sqrt(8.0), max(0.0, float(np.mean(centred**3))) + 3 * np.sqrt(6 / len(draws)))
    shape = 4 / skew**2
    tail = float(special.gammaincc(shape, max(0.0, shape + np.sqrt(shape) * (observed - draws.mean()) / spread)))
    return max(LEAST_P, min(plain, tail))


def scalar_permutation_p(texts: DistinctTexts, by_text: Floats, seed: int) -> float:
    """The same for a number per text, shape (texts,): whether its mean differs between window and reference, either way.

    Here the spread of all rearrangements is known without drawing them (Pitman 1937), and the tail is Student's t.
    """
    values = by_text - by_text.mean()
    spread = float(np.sqrt(np.sum(values**2) * np.sum(texts.excess**2) / (texts.n - 1)))
    if spread == 0:
        return 1.0
    observed = abs(float(texts.excess @ values))
    draws = np.concatenate([part @ values.astype(np.float32) for part in texts.permuted(seed)])
    hits = int(np.sum(np.abs(draws) >= observed * (1 - 1e-6)))
    plain = (hits + 1) / (len(draws) + 1)
    tail = 2 * float(special.stdtr(max(1.0, texts.effective - 1), -observed / spread))
    return plain if hits >= PLAIN_HITS else max(LEAST_P, min(plain, tail))


def difference_p(contrast: Contrast, texts: DistinctTexts) -> float:
    """Two-sided p-value of 'no difference at all' from the normal law, for many texts."""
    error = standard_error(contrast, texts)
    return max(LEAST_P, 2 * float(special.ndtr(-abs(contrast.value) / error))) if error > 0 else float(contrast.value == 0)


def any_difference_p(texts: DistinctTexts, contrast: Contrast, reference: Floats, window: Floats, seed: int) -> float:
    """p-value of 'no difference at all': by permutation of the texts where they are few, by the normal law where they are many."""
    if texts.n > SMALL:
        return difference_p(contrast, texts)
    return scalar_permutation_p(texts, texts.mean(reference, window), seed)
