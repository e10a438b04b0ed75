"""Simulated lives of a champion under watch: one fixed reference, a look a day at the last week's rows, for a year.

All lives advance as arrays of the statistics that the monitors read: counts for shares and categories, moments for numbers, moments
by fold for embeddings. Days that hold many rows are drawn as what sums of many rows are, normal. What is judged of them is judged
as the monitors judge where no text is repeated, by the test against the minimum alone: the other one, whether anything differs at
all, can but silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from configs.schema import Monitor
from simulations.drift_traffic import OF_CLASSES
from tasks.drift.distinct_texts import FOLDS
from tasks.drift.statistics import share_change
from tasks.stats.multiplicity import alpha_at_look

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DAYS, WEEK = 365, 7
SPREAD = 0.6  # of log lengths
MANY = 500  # rows a day from which their sum is drawn as normal
AXES = 5  # of the embeddings' world
WISHART = 100  # rows a day from which the scatter of a fold's is drawn whole
CLASSES = 10


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
    return alpha_at_look(monitor.alpha, monitor.looks_per_year, 1) / len(OF_CLASSES)


def weekly(daily: Floats) -> Floats:
    """Sums over the last seven days, from the first full week on, of days along axis 1."""
    total = np.cumsum(daily, axis=1)
    return np.concatenate([total[:, WEEK - 1 : WEEK], total[:, WEEK:] - total[:, :-WEEK]], axis=1)


def effective(n_reference: int, n_window: int) -> float:
    """Equally heavy texts, where none is repeated."""
    return (1 / n_reference + 1 / n_window) ** 2 / (1 / n_reference**3 + 1 / n_window**3)


def any_look(p: Floats, alphas: Floats) -> Bools:
    """Which lives hold an alarm at each of the levels, shape (levels, lives), of p-values (lives, looks)."""
    return np.asarray(p.min(axis=1) <= alphas[:, None])


# --- shares ----------------------------------------------------------------------------------------------------------


def life_of_shares(
    rng: np.random.Generator, lives: int, at: Setting, alphas: Floats, share: float, least: float, sides: int = 2
) -> Bools:
    """Which lives hold a false alarm of a share that was `share` and is by `change` minimums more, shape (levels, lives)."""
    reference = rng.binomial(at.n_reference, share, size=(lives, 1)).astype(float)
    window = weekly(rng.binomial(at.n_day, share + at.change * least, size=(lives, DAYS)).astype(float))
    n = at.n_day * WEEK
    reference = np.broadcast_to(reference, window.shape)
    may = np.abs(window / n - reference / at.n_reference) > least  # a band that leaves its minimum behind lies around such a change
    low, high = share_change(window[may], n, reference[may], at.n_reference, alphas[:, None] / sides)
    return alarmed(may, (low > least) | ((high < -least) & (sides == 2)))


def alarmed(may: Bools, among: Bools) -> Bools:
    """Lives with an alarm, (levels, lives), from whether those looks (lives, looks) alarmed that may: (levels, some)."""
    alarm = np.zeros((len(among), *may.shape), dtype=bool)
    alarm[:, may] = among
    return np.asarray(alarm.any(axis=2))


def unaware_life(rng: np.random.Generator, lives: int, at: Setting, alphas: Floats, share: float) -> Bools:
    """The same lives under a test of plain equality that takes the reference for the truth."""
    reference = rng.binomial(at.n_reference, share, size=(lives, 1)) / at.n_reference
    window = weekly(rng.binomial(at.n_day, share, size=(lives, DAYS)).astype(float)) / (at.n_day * WEEK)
    error = np.sqrt(np.maximum(reference * (1 - reference), 1e-12) / (at.n_day * WEEK))
    return any_look(np.asarray(2 * special.ndtr(-np.abs(window - reference) / error)), alphas)


def life_of_classes(rng: np.random.Generator, lives: int, at: Setting, alphas: Floats, least: float) -> Bools:
    """The same of ten classes alike: `change` minimums, in total variation, go from half of them to the other."""
    even = np.full(CLASSES, 1 / CLASSES)
    moved = even + at.change * least / (CLASSES / 2) * np.where(np.arange(CLASSES) % 2, 1, -1)
    cells = FOLDS, CLASSES
    was = rng.multinomial(at.n_reference, np.tile(even / FOLDS, FOLDS), size=(lives, 1)).astype(float)
    now = weekly(rng.multinomial(at.n_day, np.tile(moved / FOLDS, FOLDS), size=(lives, DAYS)).astype(float))
    old, new, design = shares_of_the_risen(was.reshape(lives, 1, *cells), now.reshape(lives, -1, *cells))
    may = new - old > least
    n_old, n_new = (n / design[may] for n in (at.n_reference, at.n_day * WEEK))
    low, _ = share_change(new[may] * n_new, n_new, old[may] * n_old, n_old, alphas[:, None])
    return alarmed(may, np.asarray(low > least))


def shares_of_the_risen(was: Floats, now: Floats) -> tuple[Floats, Floats, Floats]:
    """Shares of the classes that rose in the other folds, in both samples, and the design effect; counts (..., folds, classes)."""
    counts = (was, now)
    outside = [(one.sum(-2, keepdims=True) - one) for one in counts]
    shares = [one / np.maximum(one.sum(-1, keepdims=True), 1) for one in outside]
    rising = shares[1] > shares[0]
    in_fold = [one.sum(-1) for one in counts]
    told = np.where(in_fold[0] > 0, in_fold[1], 0)
    told = told / told.sum(-1, keepdims=True)
    means = [(one * rising).sum(-1) / np.maximum(rows, 1) for one, rows in zip(counts, in_fold, strict=True)]
    old, new = ((told * mean).sum(-1) for mean in means)
    by_text = sum((told**2 * mean * (1 - mean) / np.maximum(rows, 1)).sum(-1) for mean, rows in zip(means, in_fold, strict=True))
    variance = sum(share * (1 - share) / rows.sum(-1) for share, rows in zip((old, new), in_fold, strict=True))
    return old, new, np.maximum(1, by_text / np.maximum(variance, 1e-300))


# --- numbers ---------------------------------------------------------------------------------------------------------


def life_of_numbers(rng: np.random.Generator, lives: int, at: Setting, alphas: Floats, least: float) -> Bools:
    """The same of a number with a long tail (lognormal), whose minimum counts in standard deviations of the reference."""
    reference = np.exp(SPREAD * rng.standard_normal((lives, at.n_reference)))
    low, high = np.quantile(reference, [0.01, 0.99], axis=1)[:, :, None]
    reach = high - low
    most = float(np.median(high + reach))  # the lives' cuts differ little
    truth = np.clip(np.exp(SPREAD * rng.standard_normal(400_000)), 0, most)
    reference = np.clip(reference, low - reach, high + reach)
    if at.n_day >= MANY:
        means = truth.mean() + truth.std() / np.sqrt(at.n_day) * rng.standard_normal((lives, DAYS))
        squares = means**2 + truth.var()
    else:
        rows = np.minimum(np.exp(SPREAD * rng.standard_normal((lives, DAYS, at.n_day), dtype=np.float32)), most)
        means, squares = rows.mean(axis=2, dtype=np.float64), (rows**2).mean(axis=2, dtype=np.float64)
    plain = weekly(means) / WEEK
    variance = weekly(squares) / WEEK - plain**2
    moved = plain + at.change * least * truth.std()
    return any_look(p_of_number(reference, moved, variance, at.n_day * WEEK, least), alphas)


def p_of_number(reference: Floats, mean: Floats, variance: Floats, n: int, least: float) -> Floats:
    """From the reference's rows (lives, rows) and the windows' moments (lives, looks), the p-values (lives, looks)."""
    n_reference = reference.shape[1]
    was, deviation = reference.mean(axis=1, keepdims=True), reference.std(axis=1, keepdims=True)
    apart = (reference - was) / deviation
    skew, kurtosis = (np.mean(each, axis=1, keepdims=True) for each in (apart**3, (apart**2 - 1) ** 2))
    value, relative = (mean - was) / deviation, variance / deviation**2
    of_deviation = value**2 / 4 * kurtosis / n_reference
    by_row = np.maximum(relative, 1) * (1 / n + 1 / n_reference) + of_deviation
    by_text = relative / n + (1 + value * skew) / n_reference + of_deviation
    error = np.sqrt(np.maximum(by_row, by_text))
    return np.asarray(np.minimum(1, 2 * special.stdtr(effective(n_reference, n) - 1, -(np.abs(value) - least) / error)))


# --- embeddings ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Moments:
    """Of rows by fold: how many (..., folds), their sums (..., folds, axes), their sums of products (..., folds, axes, axes)."""

    count: Floats
    total: Floats
    products: Floats

    def weekly(self) -> Moments:
        return Moments(weekly(self.count), weekly(self.total), weekly(self.products))

    def moved(self, by: Floats) -> Moments:
        """Every row by the same vector (axes,)."""
        crossed = self.total[..., :, None] * by
        products = self.products + crossed + np.swapaxes(crossed, -1, -2)
        return Moments(
            self.count, self.total + self.count[..., None] * by, products + self.count[..., None, None] * np.outer(by, by)
        )


def life_of_distances(rng: np.random.Generator, lives: int, at: Setting, alphas: Floats, least: float) -> Bools:
    """The same of embeddings: means by fold, the direction learned on the others; a change along the widest axis, the worst."""
    spread = np.exp(-0.4 * np.arange(AXES))
    spread = spread / spread.sum()
    reference = moments(rng, (lives, 1), at.n_reference, np.sqrt(spread))
    days = moments(rng, (lives, DAYS), at.n_day, np.sqrt(spread))
    return any_look(p_of_distance(reference, days.weekly().moved(at.change * least * np.eye(AXES)[0]), least), alphas)


def moments(rng: np.random.Generator, shape: tuple[int, int], n: int, root: Floats) -> Moments:
    """Those of `n` normal rows with these deviations, in random folds."""
    if n < WISHART:
        rows = rng.standard_normal((*shape, n, len(root))) * root
        inside = rng.integers(0, FOLDS, (*shape, n))[..., None, :] == np.arange(FOLDS)[:, None]
        masked = inside[..., None] * rows[..., None, :, :]
        return Moments(inside.sum(-1).astype(float), masked.sum(-2), np.swapaxes(masked, -1, -2) @ rows[..., None, :, :])
    drawn = rng.multinomial(n, np.full(FOLDS, 1 / FOLDS), size=shape)
    count = np.maximum(drawn, len(root) + 1).astype(float)  # of a million folds one is raised
    triangle = np.tril(rng.standard_normal((*count.shape, len(root), len(root))), -1)  # Bartlett's (1933) decomposition
    places = np.arange(len(root))
    triangle[..., places, places] = np.sqrt(rng.chisquare(count[..., None] - 1 - places))
    triangle *= root[:, None]
    mean = rng.standard_normal((*count.shape, len(root))) * root / np.sqrt(count)[..., None]
    scatter = triangle @ np.swapaxes(triangle, -1, -2)
    return Moments(count, mean * count[..., None], scatter + count[..., None, None] * mean[..., :, None] * mean[..., None, :])


def p_of_distance(was: Moments, now: Moments, least: float) -> Floats:
    """The p-values (lives, looks) of moments by fold; the variance of permuted squares is the one they tend to."""
    samples, rows = (was, now), [one.count.sum(-1) for one in (was, now)]
    means = [one.total / one.count[..., None] for one in samples]
    outside = [
        (one.total.sum(-2, keepdims=True) - one.total) / (n[..., None] - one.count)[..., None]
        for one, n in zip(samples, rows, strict=True)
    ]
    others = outside[1] - outside[0]
    length = np.sqrt(np.sum(others**2, axis=-1))
    direction = others / length[..., None]
    share = now.count / rows[1][..., None]
    value = np.sum(share * np.sum(direction * (means[1] - means[0]), axis=-1), axis=-1)
    squares = [np.sum(direction * (one.products @ direction[..., None])[..., 0], axis=-1) / one.count for one in samples]
    along = [square - np.sum(direction * mean, axis=-1) ** 2 for square, mean in zip(squares, means, strict=True)]
    noise = sum(1 / n for n in rows)
    by_row = np.maximum(*(np.sum(share * one, axis=-1) for one in along)) * noise
    by_text = sum(np.sum(share**2 * each / one.count, axis=-1) for each, one in zip(along, samples, strict=True))
    second = np.sum(_covariance(was, now) ** 2, axis=(-1, -2)) * noise**2
    extra = FOLDS / (FOLDS - 1) * second / np.mean(length**2, axis=-1)
    unit = np.sqrt(np.trace(_covariance(was), axis1=-2, axis2=-1))
    freedom = effective(int(rows[0].flat[0]), int(rows[1].flat[0])) - 1
    return np.asarray(special.stdtr(freedom, -(value - least * unit) / np.sqrt(np.maximum(by_row, by_text) + extra)))


def _covariance(*samples: Moments) -> Floats:
    """Of all rows of the samples together, shape (..., axes, axes)."""
    n = sum(one.count.sum(-1) for one in samples)[..., None, None]  # type: ignore[index]
    mean = sum(one.total.sum(-2) for one in samples)[..., None] / n  # type: ignore[index]
    return np.asarray((sum(one.products.sum(-3) for one in samples) - n * mean * np.swapaxes(mean, -1, -2)) / (n - 1))


Life = Callable[[np.random.Generator, int, Setting, Floats], Bools]


def in_parts(life: Life, lives: int, at: Setting, alphas: Floats, seed: int, at_once: int = 100) -> list[int]:
    """How many of `lives` hold a false alarm, at each level; as many at once as memory allows."""
    parts = (life(np.random.default_rng((seed, part)), at_once, at, alphas) for part in range(lives // at_once))
    return [int(count) for count in sum(part.sum(axis=1) for part in parts)]  # type: ignore[union-attr]
