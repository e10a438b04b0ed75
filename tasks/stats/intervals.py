"""Confidence intervals: Wilson's for shares, the bootstrap by group for means and for metrics of a confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from tasks.stats.arrays import Codes, Floats, effective_size, group_codes
from tasks.stats.bounds import betting_bound
from tasks.stats.pairs import Pairs, pair_scores
from tasks.stats.tango import tango_interval

CELLS = 4_000_000  # numbers held at once while resampling: 32 MB
Groups = Sequence[object] | NDArray[np.generic] | None
Metric = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Interval:
    """An estimate and its two-sided interval; `low` and `high` are None where there is one group alone.

    `n_effective` is the number of groups of equal size that would tell as much as these groups do.
    """

    value: float
    low: float | None
    high: float | None
    confidence: float
    n: int
    n_groups: int
    n_effective: float


@dataclass(frozen=True)
class IntervalSettings:
    """How an interval is made: at what confidence, and of how many draws of the bootstrap, from which seed."""

    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 0


def wilson(successes: ArrayLike, n: ArrayLike, confidence: float = 0.95, freedom: float = np.inf) -> tuple[Floats, Floats]:
    """Wilson's (1927) score interval of a share; broadcasts, takes fractional counts, and is (0, 1) where n is 0.

    `freedom` above 0: the degrees of freedom, for Student's t, of a variance estimated between groups; infinite for single rows.
    """
    k, rows = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    z2 = min(float(special.stdtrit(freedom, (1 + confidence) / 2)), 1e6) ** 2
    share = k / np.maximum(rows, 1e-300)
    centre = (k + z2 / 2) / (rows + z2)
    half = np.sqrt(z2 * np.maximum(rows * share * (1 - share) + z2 / 4, 0)) / (rows + z2)
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)


def mean_interval(scores: ArrayLike, groups: Groups = None, how: IntervalSettings = IntervalSettings()) -> Interval:
    """Interval of the mean of per-example scores, shape (n,), n > 0, with groups resampled whole.

    Right/wrong scores: Wilson's at the effective number of rows, which stays honest near 0 and 1, where a bootstrap collapses; by
    group with Student's t, for the few groups that may hold most rows.
    Real scores: the bootstrap by group.
    """
    values = np.asarray(scores, dtype=np.float64)
    codes = None if groups is None else group_codes(groups, len(values))
    pairs = pair_scores(values, np.zeros(len(values)), codes)
    if pairs.binary:
        freedom = pairs.n_effective - 1 if pairs.n_groups < pairs.n else np.inf
        if freedom <= 0:
            return _interval(pairs, None, None, how.confidence)
        low, high = wilson(pairs.wins / pairs.design, pairs.n / pairs.design, how.confidence, freedom)
        return _interval(pairs, float(low), float(high), how.confidence)
    return _bootstrap_interval(pairs, how)


def ratio_interval(
    above: ArrayLike, below: ArrayLike, groups: Groups = None, how: IntervalSettings = IntervalSettings()
) -> Interval:
    """Interval of sum(above) / sum(below) over rows, shapes (n,), `below` > 0, by the bootstrap of whole groups."""
    columns = [np.asarray(column, dtype=np.float64) for column in (above, below)]
    codes = group_codes(groups, len(columns[0]))
    sums, sizes = (np.bincount(codes, weights=column).astype(np.float64) for column in columns)
    value = float(sums.sum() / sizes.sum())
    low, high = _bca_interval(value, sums, sizes, how)
    rows = np.bincount(codes).astype(np.float64)
    return Interval(value, low, high, how.confidence, len(columns[0]), len(sums), effective_size(rows[rows > 0]))


def difference_interval(
    first: ArrayLike,
    second: ArrayLike,
    groups: Groups = None,
    how: IntervalSettings = IntervalSettings(),
    limit: float | None = None,
) -> Interval:
    """Interval of mean(first) - mean(second) over the same rows; `limit`: the largest difference that a row can have."""
    minuend, subtrahend = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    codes = None if groups is None else group_codes(groups, len(minuend))
    return difference_intervals([pair_scores(minuend, subtrahend, codes, limit)], how)[0]


def difference_intervals(many: Sequence[Pairs], how: IntervalSettings) -> list[Interval]:
    """Intervals of many comparisons at once.

    Right/wrong: Tango's at the effective number of rows with Student's t, as the gate tests, all found in one pass. Real scores:
    the bootstrap by group, widened to what the betting bound does not reject, so that no interval claims more than the gate's test.
    """
    binary = [pairs for pairs in many if pairs.binary and pairs.n_effective > 1]
    design = np.array([pairs.design for pairs in binary])
    wins, losses, n = (np.array(column, dtype=np.float64) / design for column in _discordance_columns(binary))
    low, high = tango_interval(wins, losses, n, how.confidence, np.array([pairs.n_effective - 1 for pairs in binary]))
    bounds = iter(zip(low.tolist(), high.tolist(), strict=True))
    intervals = []
    for pairs in many:
        if pairs.binary:
            lowest, highest = next(bounds) if pairs.n_effective > 1 else (None, None)
            intervals.append(_interval(pairs, lowest, highest, how.confidence))
        else:
            intervals.append(_real_interval(pairs, how))
    return intervals


def _discordance_columns(many: Sequence[Pairs]) -> tuple[list[int], list[int], list[int]]:
    return [pairs.wins for pairs in many], [pairs.losses for pairs in many], [pairs.n for pairs in many]


def _interval(pairs: Pairs, low: float | None, high: float | None, confidence: float) -> Interval:
    return Interval(pairs.difference, low, high, confidence, pairs.n, pairs.n_groups, pairs.n_effective)


def _bootstrap_interval(pairs: Pairs, how: IntervalSettings) -> Interval:
    low, high = _bca_interval(pairs.difference, pairs.sums, pairs.sizes, how)
    return _interval(pairs, low, high, how.confidence)


def _real_interval(pairs: Pairs, how: IntervalSettings) -> Interval:
    interval = _bootstrap_interval(pairs, how)
    if interval.low is None or interval.high is None or not np.isfinite(pairs.limit):
        return interval
    level = (1 - how.confidence) / 2
    low = betting_bound(pairs.sums, pairs.sizes, pairs.limit, level)
    high = -betting_bound(-pairs.sums, pairs.sizes, pairs.limit, level)
    return replace(interval, low=min(interval.low, low), high=max(interval.high, high))


def _bca_interval(value: float, sums: Floats, sizes: Floats, how: IntervalSettings) -> tuple[float, float] | tuple[None, None]:
    """Efron's BCa (1987), 'Better bootstrap confidence intervals', for a ratio of sums, with groups drawn whole."""
    if len(sums) < 2:
        return None, None
    means = bootstrap_means(sums, sizes, how.resamples, how.seed)
    share_below = np.mean(means < value) + np.mean(means == value) / 2
    bias = special.ndtri(np.clip(share_below, 1 / (how.resamples + 1), how.resamples / (how.resamples + 1)))
    left_out = (sums.sum() - sums) / (sizes.sum() - sizes)
    influence = left_out.mean() - left_out
    spread = np.sum(influence**2) ** 1.5
    acceleration = np.sum(influence**3) / (6 * spread) if spread > 0 else 0.0
    z = bias + special.ndtri(np.array([(1 - how.confidence) / 2, (1 + how.confidence) / 2]))
    low, high = np.quantile(means, special.ndtr(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def bootstrap_means(sums: Floats, sizes: Floats, resamples: int = 1000, seed: int = 0) -> Floats:
    """Means of `resamples` draws of whole groups with replacement, shape (resamples,)."""
    even = bool(np.all(sizes == sizes[0]))
    parts = [
        sums[drawn].mean(axis=1) / sizes[0] if even else sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
        for drawn in _drawn_groups(len(sums), resamples, seed)
    ]
    return np.concatenate(parts)


def _drawn_groups(n_groups: int, resamples: int, seed: int) -> Iterator[Codes]:
    rng, step = np.random.default_rng(seed), max(1, CELLS // n_groups)
    for start in range(0, resamples, step):
        yield rng.integers(0, n_groups, size=(min(step, resamples - start), n_groups), dtype=np.int64)


# --- metrics of a confusion matrix ---------------------------------------------------------------------------------------


def accuracy_of(confusions: Floats) -> Floats:
    """Share of rows on the diagonal of confusion matrices of shape (..., classes, classes), targets in rows."""
    return np.asarray(np.trace(confusions, axis1=-2, axis2=-1) / confusions.sum(axis=(-2, -1)), dtype=np.float64)


def f1_by_class(confusions: Floats) -> Floats:
    """F1 of each class, shape (..., classes); NaN for a class that is neither a target nor predicted."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    totals = confusions.sum(axis=-1) + confusions.sum(axis=-2)
    return np.where(totals > 0, 2 * hits / np.maximum(totals, 1), np.nan)


def macro_f1(confusions: Floats) -> Floats:
    """Mean F1 over the classes that occur, as scikit-learn has it when no labels are named; shape (...)."""
    return np.asarray(np.nanmean(f1_by_class(confusions), axis=-1), dtype=np.float64)


def metric_interval(
    target: ArrayLike,
    prediction: ArrayLike,
    metric: Metric,
    groups: Groups = None,
    how: IntervalSettings = IntervalSettings(),
) -> Interval:
    """Percentile interval of any function of the confusion matrix, such as `macro_f1`, from integer class codes of shape (n,).

    Rows drawn with replacement give multinomial counts of the cells, so a resample costs the cells that occur, not the rows.
    """
    truth, guess = np.asarray(target, dtype=np.int64), np.asarray(prediction, dtype=np.int64)
    classes = int(max(truth.max(), guess.max())) + 1
    cells, cell_of_row = np.unique(truth * classes + guess, return_inverse=True)
    codes = group_codes(groups, len(truth))
    n_groups = len(np.unique(codes))
    value = metric(_confusions(np.bincount(cell_of_row)[None, :].astype(np.float64), cells, classes))[0]
    draws = _cell_draws(cell_of_row, len(cells), None if groups is None else codes, how)
    step = max(1, CELLS // classes**2)
    values = np.concatenate([metric(_confusions(draws[i : i + step], cells, classes)) for i in range(0, how.resamples, step)])
    low, high = np.quantile(values, [(1 - how.confidence) / 2, (1 + how.confidence) / 2])
    rows = np.bincount(codes).astype(np.float64)
    return Interval(float(value), float(low), float(high), how.confidence, len(truth), n_groups, effective_size(rows[rows > 0]))


def _confusions(counts: Floats, cells: Codes, classes: int) -> Floats:
    dense = np.zeros((len(counts), classes * classes))
    dense[:, cells] = counts
    return dense.reshape(len(counts), classes, classes)


def _cell_draws(cell_of_row: Codes, n_cells: int, codes: Codes | None, how: IntervalSettings) -> Floats:
    """Counts of each cell in each resample, shape (resamples, cells)."""
    if codes is None:
        rng, n = np.random.default_rng(how.seed), len(cell_of_row)
        return np.asarray(rng.multinomial(n, np.bincount(cell_of_row) / n, size=how.resamples), dtype=np.float64)
    dense = np.unique(codes, return_inverse=True)[1]
    n_groups = int(dense.max()) + 1
    drawn = np.concatenate(
        [
            np.stack([np.bincount(row, minlength=n_groups) for row in part])
            for part in _drawn_groups(n_groups, how.resamples, how.seed)
        ]
    )
    counts = np.zeros((how.resamples, n_cells))
    for cell in range(n_cells):
        rows_by_group = np.bincount(dense[cell_of_row == cell], minlength=n_groups)
        inside = np.flatnonzero(rows_by_group)
        counts[:, cell] = drawn[:, inside] @ rows_by_group[inside]
    return counts
