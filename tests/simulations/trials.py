"""Simulated model pairs, and how many false alarms chance alone explains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


def most_allowed(alpha: float, trials: int) -> int:
    """The count that a test holding `alpha` exceeds once in a thousand runs: the 0.999 quantile of Binomial(trials, alpha)."""
    return int(stats.binom.ppf(0.999, trials, alpha))


def counts(rng: np.random.Generator, trials: int, n: int, discordance: float, difference: float) -> tuple[Floats, Floats]:
    """Wins and losses of `trials` comparisons of right/wrong scores on n independent rows."""
    shares = [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
    drawn = rng.multinomial(n, shares, size=trials)
    return drawn[:, 0].astype(float), drawn[:, 1].astype(float)


def scores(rng: np.random.Generator, n: int, discordance: float, difference: float) -> tuple[Floats, Floats]:
    """Right/wrong scores of two models on n independent rows."""
    outcome = rng.choice([1, -1, 0], p=[(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance], size=n)
    return np.where(outcome >= 0, 1.0, 0.0), np.where(outcome <= 0, 1.0, 0.0)


def clustered(
    rng: np.random.Generator, sizes: NDArray[np.int64], discordance: float, difference: float, repeated: float
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Scores and group codes where a row repeats its group's outcome with probability `repeated`, else has one of its own."""
    codes = np.repeat(np.arange(len(sizes)), sizes)
    first_group, second_group = scores(rng, len(sizes), discordance, difference)
    first_row, second_row = scores(rng, len(codes), discordance, difference)
    repeats = rng.random(len(codes)) < repeated
    return np.where(repeats, first_group[codes], first_row), np.where(repeats, second_group[codes], second_row), codes
