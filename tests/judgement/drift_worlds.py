"""Simulated lives of a champion under watch: one fixed reference, a look a day at the last week's rows, for a year.

All lives advance as arrays of the statistics that the monitors read: counts for shares, means and variances for numbers, means by
fold for embeddings. Days that hold many rows are drawn as what sums of many rows are, normal. `traffic` makes rows for `watch`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from configs.schema import Monitor
from tasks.judgement.drift import MONITORS, Sample
from tasks.judgement.drift_tests import share_change
from tasks.judgement.drift_texts import FOLDS
from tasks.judgement.spending import alpha_at_look

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DAYS, WEEK = 365, 7
SPREAD = 0.6  # of log lengths
MANY = 500  # rows a day from which their sum is drawn as normal
AXES = 16  # of the embeddings' world


@dataclass(frozen=True)
class Setting:
    """Rows of the reference and of a week, and the true change in minimums: 0, or 1 for the largest that is no drift."""

    n_reference: int
    n_window: int
    change: float

    @property
    def n_day(self) -> int:
        return max(1, round(self.n_window / WEEK))


def spent(monitor: Monitor) -> float:
    """What one of all the monitors may spend at one declared look."""
    return alpha_at_look(monitor.alpha, monitor.looks_per_year, 1) / len(MONITORS)


def weekly(daily: Floats) -> Floats:
    """Sums over the last seven days, from the first full week on, of days along axis 1."""
    total = np.cumsum(daily, axis=1)
    return np.concatenate([total[:, WEEK - 1 : WEEK], total[:, WEEK:] - total[:, :-WEEK]], axis=1)


def life_of_shares(rng: np.random.Generator, lives: int, at: Setting, share: float, least: float, alpha: float) -> Bools:
    """Which lives hold a false alarm of a share that was `share` and is by `change` minimums more."""
    reference = rng.binomial(at.n_reference, share, size=(lives, 1)).astype(float)
    window = weekly(rng.binomial(at.n_day, share + at.change * least, size=(lives, DAYS)).astype(float))
    n = at.n_day * WEEK
    reference = np.broadcast_to(reference, window.shape)
    may = np.abs(window / n - reference / at.n_reference) > least  # a band that leaves its minimum behind lies around such a change
    low, high = share_change(window[may], n, reference[may], at.n_reference, alpha / 2)
    alarm = np.zeros(window.shape, dtype=bool)
    alarm[may] = (low > least) | (high < -least)
    return np.asarray(alarm.any(axis=1))


def unaware_life(rng: np.random.Generator, lives: int, at: Setting, share: float, alpha: float) -> Bools:
    """The same lives under a test of plain equality that takes the reference for the truth."""
    reference = rng.binomial(at.n_reference, share, size=(lives, 1)) / at.n_reference
    window = weekly(rng.binomial(at.n_day, share, size=(lives, DAYS)).astype(float)) / (at.n_day * WEEK)
    error = np.sqrt(np.maximum(reference * (1 - reference), 1e-12) / (at.n_day * WEEK))
    return np.asarray((np.abs(window - reference) / error > -special.ndtri(alpha / 2)).any(axis=1))


def life_of_numbers(rng: np.random.Generator, lives: int, at: Setting, least: float, alpha: float) -> Bools:
    """The same of a number with a long tail (lognormal), whose minimum counts in standard deviations of the reference."""
    reference = np.exp(SPREAD * rng.standard_normal((lives, at.n_reference)))
    low, high = np.quantile(reference, [0.01, 0.99], axis=1)[:, :, None]
    reach = high - low
    most = float(np.median(high + reach))  # the lives' cuts differ little
    truth = np.clip(np.exp(SPREAD * rng.standard_normal(400_000)), 0, most)
    reference = np.clip(reference, low - reach, high + reach)
    was, deviation = reference.mean(axis=1, keepdims=True), reference.std(axis=1, keepdims=True)
    if at.n_day >= MANY:
        means = truth.mean() + truth.std() / np.sqrt(at.n_day) * rng.standard_normal((lives, DAYS))
        squares = means**2 + truth.var()
    else:
        rows = np.minimum(np.exp(SPREAD * rng.standard_normal((lives, DAYS, at.n_day), dtype=np.float32)), most)
        means, squares = rows.mean(axis=2, dtype=np.float64), (rows**2).mean(axis=2, dtype=np.float64)
    n = at.n_day * WEEK
    plain = weekly(means) / WEEK
    variance = np.maximum(weekly(squares) / WEEK - plain**2, deviation**2)
    value = (plain + at.change * least * truth.std() - was) / deviation
    kurtosis = np.mean((((reference - was) / deviation) ** 2 - 1) ** 2, axis=1, keepdims=True)
    error = variance / deviation**2 * (1 / n + 1 / at.n_reference) + value**2 / 4 * kurtosis / at.n_reference
    bar = -special.stdtrit(_effective(at.n_reference, n) - 1, alpha / 2)
    return np.asarray(((np.abs(value) - least) / np.sqrt(error) > bar).any(axis=1))


def life_of_distances(rng: np.random.Generator, lives: int, at: Setting, least: float, alpha: float) -> Bools:
    """The same of embeddings: means by fold, the direction learned on the others; a change along the widest axis, the worst."""
    spread = np.exp(-0.2 * np.arange(AXES))
    spread = (spread / spread.sum()).astype(np.float32)
    n, root = at.n_day * WEEK, np.sqrt(spread)
    reference = rng.standard_normal((lives, 1, FOLDS, AXES), dtype=np.float32) * root * np.float32(np.sqrt(FOLDS / at.n_reference))
    days = rng.standard_normal((lives, DAYS, FOLDS, AXES), dtype=np.float32) * root * np.float32(np.sqrt(FOLDS / at.n_day))
    window = np.asarray(weekly(days)) / np.float32(WEEK)
    window[..., 0] += np.float32(at.change * least)
    apart = window - reference
    others = (apart.sum(axis=2, keepdims=True) - apart) / (FOLDS - 1)
    length = np.sqrt(np.sum(others**2, axis=3))
    along = np.sum(others * apart, axis=3) / length
    noise = 1 / n + 1 / at.n_reference
    first = np.mean(np.sum(others**2 * spread, axis=3) / length**2, axis=2) * noise
    second = FOLDS / (FOLDS - 1) * float(np.sum(spread.astype(np.float64) ** 2)) * noise**2 / np.mean(length**2, axis=2)
    bar = -special.stdtrit(_effective(at.n_reference, n) - 1, alpha)
    return np.asarray(((along.mean(axis=2) - least) / np.sqrt(first + second) > bar).any(axis=1))


def _effective(n_reference: int, n_window: int) -> float:
    """Equally heavy texts, where none is repeated."""
    return (1 / n_reference + 1 / n_window) ** 2 / (1 / n_reference**3 + 1 / n_window**3)


Life = Callable[[np.random.Generator, int, Setting], Bools]


def in_parts(life: Life, lives: int, at: Setting, seed: int, at_once: int = 100) -> int:
    """How many of `lives` hold a false alarm; as many at once as memory allows."""
    return sum(int(life(np.random.default_rng((seed, part)), at_once, at).sum()) for part in range(lives // at_once))


# --- rows for `watch` ------------------------------------------------------------------------------------------------

KINDS = ("each text once", "bursts", "popular texts")


def texts(rng: np.random.Generator, n: int, kind: str) -> NDArray[np.int64]:
    """Codes of n texts: all distinct; sent 1 to 40 times each (heavy tail); or two fifths from a stock of 300 popular ones."""
    fresh = rng.integers(1000, 2**62, n)
    if kind == "bursts":
        return np.repeat(fresh, np.minimum(rng.zipf(1.7, n), 40))[:n]
    if kind == "popular texts":
        weight = 1 / np.arange(1, 301)
        return np.where(rng.random(n) < 0.4, rng.choice(300, n, p=weight / weight.sum()), fresh)
    return fresh


def traffic(seed: int, n: int, kind: str = "each text once", shift: float = 0.0, audit: float = 1.0, axes: int = 8) -> Sample:
    """Rows of which all that a monitor reads is a function of the text; `shift` moves the embeddings, in standard deviations."""
    rng = np.random.default_rng(seed)
    codes, number = np.unique(texts(rng, n, kind), return_inverse=True)
    popular = np.random.default_rng(0)
    draws = rng.random((len(codes), 6))
    draws[codes < 1000] = popular.random((300, 6))[codes[codes < 1000]]
    normal = rng.standard_normal((len(codes), axes))
    normal[codes < 1000] = popular.standard_normal((300, axes))[codes[codes < 1000]]
    normal[:, 0] += shift * np.sqrt(axes)
    confidence = special.betaincinv(8, 2, draws[:, 4])
    correct = (draws[:, 5] < confidence).astype(np.float64)
    audited = rng.random(n) < audit
    return Sample(
        texts=codes[number],
        embeddings=normal.astype(np.float32)[number],
        numbers={"length": np.exp(SPREAD * special.ndtri(draws[:, 0]))[number], "vocabulary": (draws[:, 1] ** 9)[number]},
        categories={"language": np.array(["en", "de", "fr"])[np.searchsorted([0.8, 0.95], draws[:, 2])][number]},
        flags={"missing": np.zeros(n, dtype=bool)},
        confidence=confidence[number],
        prediction=np.array([f"class {i:02}" for i in range(20)])[(draws[:, 3] * 20).astype(int)][number],
        correct=np.where(audited, correct[number], np.nan),
        audit_probability=np.full(n, audit),
    )
