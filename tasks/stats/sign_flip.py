"""Sign flips: whether the wins outweigh the losses by more than chance gives, exactly or by Monte Carlo. McNemar's test is one."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from tasks.stats.arrays import Floats

EXCEEDANCES = 50  # sign_flip stops after so many flips at least as large as the observed sum: a relative error of 14 % in p


def mcnemar_exact(wins: ArrayLike, losses: ArrayLike) -> Floats:
    """P(B >= wins) for B ~ Binomial(wins + losses, 1/2): the exact one-sided McNemar test. Broadcasts; 1 where nothing differs."""
    wins, losses = np.asarray(wins, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    return np.asarray(np.where(wins > 0, binomial_tail(np.maximum(wins, 1), wins + losses, 0.5), 1.0), dtype=np.float64)


def binomial_tail(least: ArrayLike, n: ArrayLike, share: float) -> Floats:
    """P(B >= least) for B ~ Binomial(n, share) and 1 <= least <= n, as an incomplete beta integral: exact far into the tail."""
    k, rows = np.asarray(least, dtype=np.float64), np.asarray(n, dtype=np.float64)
    return np.asarray(special.betainc(k, np.maximum(rows - k + 1, 1), share), dtype=np.float64)


def sign_flip_exact(sums: Floats) -> float:
    """P(sum of +-sums >= observed) over all sign flips of whole-number group sums, by convolution: no sampling, no seed.

    With one row per group this *is* the exact McNemar test; with more, a group that repeats one row is one flip of a larger sum.
    """
    sizes, counts = np.unique(np.abs(sums[sums != 0]).astype(np.int64), return_counts=True)
    positive = int(sums[sums > 0].sum())
    if len(sizes) == 0:
        return 1.0
    if len(sizes) == 1:
        return float(mcnemar_exact(positive // sizes[0], counts[0] - positive // sizes[0]))
    mass = np.ones(1)
    for size, count in zip(sizes, counts, strict=True):
        spread = np.zeros(size * count + 1)
        spread[::size] = _half_binomial(int(count))
        mass = np.convolve(mass, spread)
    return min(1.0, float(mass[positive:].sum()))


def _half_binomial(n: int) -> Floats:
    k = np.arange(n + 1)
    log_mass = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1) - n * np.log(2.0)
    return np.asarray(np.exp(log_mass), dtype=np.float64)


def sign_flip(sums: Floats, alpha: float, seed: int = 0) -> float:
    """Monte Carlo version for real-valued sums, precise where it matters (near and below `alpha`) and quick where it does not.

    Sequential, after Besag and Clifford (1991), 'Sequential Monte Carlo p-values', which keeps the p-value valid.
    """
    spoken = sums[sums != 0]
    if len(spoken) == 0:
        return 1.0
    observed = spoken.sum() - 1e-12 * np.abs(spoken).sum()
    limit, drawn, hits = ceil(EXCEEDANCES / alpha), 0, 0
    rng = np.random.default_rng(seed)
    while drawn < limit:
        batch = min(limit - drawn, max(64, min(4 * drawn, 4_000_000 // len(spoken))))
        signs = rng.integers(0, 2, size=(batch, len(spoken)), dtype=np.int8)
        above = np.flatnonzero((2.0 * signs - 1.0) @ spoken >= observed)
        if hits + len(above) >= EXCEEDANCES:
            return float(EXCEEDANCES / (drawn + above[EXCEEDANCES - hits - 1] + 1))
        drawn, hits = drawn + batch, hits + len(above)
    return (hits + 1) / (limit + 1)
