"""Paired one-sided tests: two models scored on the same rows, so that only the rows on which they differ speak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from tasks.stats.bounds import betting_p

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

EXCEEDANCES = 50  # sign_flip stops after so many flips at least as large as the observed sum: a relative error of 14 % in p


@dataclass(frozen=True, eq=False)
class Pairs:
    """What the tests need of two score vectors: sums of differences by group, and the discordant rows.

    `sums` and `sizes` have one entry per group; `wins` counts rows that the first model scores higher, `losses` lower.
    `design` is the design effect: the variance of the difference over what independent rows would give, at least 1. `limit` is the
    largest difference that a row can have: 1 for right/wrong, infinite where nobody declared one; `clipped` rows had a larger one.
    """

    n: int
    sums: Floats
    sizes: Floats
    wins: int
    losses: int
    binary: bool
    first_mean: float
    second_mean: float
    deviation: float
    design: float
    limit: float
    clipped: int

    @property
    def n_groups(self) -> int:
        return len(self.sums)

    @property
    def symmetric(self) -> bool:
        """Whether sums of mean zero are symmetric: right/wrong rows on their own are, or the same rows told equally often.

        Of the latter every group is won or lost whole. No smaller losses hide behind it unseen: to make up for a gain of whole
        groups they would have to be more frequent than those.
        """
        size_of_sum = np.abs(self.sums)
        whole = bool(np.all((size_of_sum == 0) | (size_of_sum == self.sizes))) and size_of_sum.sum() == self.wins + self.losses
        return self.binary and whole and bool(np.all(self.sizes == self.sizes[0]))

    @property
    def n_effective(self) -> float:
        return effective_size(self.sizes)

    @property
    def difference(self) -> float:
        """The mean over rows of the differences, none beyond the limit."""
        return float(self.sums.sum()) / self.n


def effective_size(sizes: Floats) -> float:
    """How many groups of equal size tell as much as groups of these sizes, (sum m)^2 / sum m^2, where a group's rows are all alike.

    Kish (1965), 'Survey Sampling'. One customer of 300 rows beside 120 single rows counts as 2: it alone decides most of the mean.
    """
    return float(sizes.sum() ** 2 / np.sum(sizes**2)) if len(sizes) else 0.0


def group_codes(groups: Sequence[object] | NDArray[np.generic] | None, n: int) -> Codes:
    """Number the groups; a row whose group is null is a group of its own, as is every row when there are no groups at all."""
    if groups is None:
        return np.arange(n)
    values = np.asarray(groups)
    if values.dtype.kind in "iub":
        return np.unique(values, return_inverse=True)[1].astype(np.int64)
    null = np.array([value is None or value != value for value in values.tolist()], dtype=bool)
    codes = np.empty(n, dtype=np.int64)
    known = np.unique(values[~null].astype(str), return_inverse=True)[1]
    codes[~null] = known
    codes[null] = (known.max() + 1 if known.size else 0) + np.arange(null.sum())
    return codes


def pair_scores(first: Floats, second: Floats, codes: Codes | None = None, limit: float | None = None) -> Pairs:
    """Reduce two score vectors of shape (n,), n > 0, to the sums that every test here reads. `codes` come from `group_codes`.

    A difference beyond plus or minus `limit` counts as the limit.
    """
    n = len(first)
    raw = first - second
    binary = bool(np.all((first == 0) | (first == 1)) and np.all((second == 0) | (second == 1)))
    largest = 1.0 if binary else np.inf if limit is None else limit
    differences = np.clip(raw, -largest, largest)
    dense: Codes = np.arange(n) if codes is None else np.unique(codes, return_inverse=True)[1].astype(np.int64)
    sums: Floats = np.bincount(dense, weights=differences).astype(np.float64)
    sizes: Floats = np.bincount(dense).astype(np.float64)
    return Pairs(
        n=n,
        sums=np.rint(sums) if binary else sums,
        sizes=sizes,
        wins=int(np.count_nonzero(differences > 0)),
        losses=int(np.count_nonzero(differences < 0)),
        binary=binary,
        first_mean=float(first.mean()),
        second_mean=float(second.mean()),
        deviation=float(differences.std()),
        design=_design_effect(differences, dense, sums, sizes),
        limit=largest,
        clipped=int(np.count_nonzero(np.abs(raw) > largest)),
    )


def _design_effect(differences: Floats, codes: Codes, sums: Floats, sizes: Floats) -> float:
    """How often each independent row is told: Rao and Scott (1992), 'A simple method for the analysis of clustered binary data'.

    The larger of two estimates. The observed variance between groups misses a big group that happened not to differ; so the
    correlation within groups, to which every group lends weight by its rows and not their square, is carried over to the sizes at
    hand.
    """
    if len(sums) == len(differences):
        return 1.0
    centred = differences - differences.mean()
    independent, largest = float(np.sum(centred**2)), float(np.sum(sizes**2) / np.sum(sizes))
    if independent <= 1e-12 * len(differences):
        return largest
    between = np.bincount(codes, weights=centred) ** 2
    within = np.bincount(codes, weights=centred**2)
    many = sizes > 1
    correlation = np.sum((between - within)[many] / (sizes[many] - 1)) / max(float(np.sum(within[many])), 1e-12)
    return max(1.0, float(np.sum(between)) / independent, 1 + min(1.0, float(correlation)) * (largest - 1))


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

    With one row per group this *is* the exact McNemar test; with more, a group that repeats one row speaks once, only louder.
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


def better_p(pairs: Pairs, alpha: float, seed: int = 0) -> float:
    """p-value of 'the first model is no better': by sign flips, exact for right/wrong rows on their own, where it is McNemar's.

    By group and for real scores a mean of zero need not be symmetric: there the bound of bounds.py has to agree.
    """
    if pairs.symmetric:
        return sign_flip_exact(pairs.sums)
    bound = gain_bound_p(pairs, 0.0)
    return max(bound, sign_flip_exact(pairs.sums) if pairs.binary else sign_flip(pairs.sums, max(alpha, bound), seed))


def not_worse_p(pairs: Pairs, margin: float, alpha: float, seed: int = 0) -> float:
    """p-value of 'the first model is worse by `margin` or more'; by group and for real scores the bound has to agree here too.

    Groups enter Tango's test by the effective number of rows.
    """
    bound = 0.0 if pairs.symmetric else gain_bound_p(pairs, -margin)
    if pairs.binary:
        return max(bound, _tango_p(pairs.wins, pairs.losses, pairs, -margin))
    return max(bound, sign_flip(pairs.sums + margin * pairs.sizes, max(alpha, bound), seed))


def harm_p(pairs: Pairs, margin: float, alpha: float, seed: int = 0) -> float:
    """p-value of 'the first model loses no more than `margin`': small means evidence of harm.

    Of right/wrong rows by group no bound has to agree: it would see half of the harm, and a false veto costs a week, a missed harm
    costs users.
    """
    if pairs.binary:
        return _tango_p(pairs.losses, pairs.wins, pairs, margin)
    bound = loss_bound_p(pairs, margin)
    return max(bound, sign_flip(-(pairs.sums + margin * pairs.sizes), max(alpha, bound), seed))


def _tango_p(above: int, below: int, pairs: Pairs, at: float) -> float:
    design = pairs.design
    return float(tango_p(above / design, below / design, pairs.n / design, at, pairs.n_effective - 1))


def gain_bound_p(pairs: Pairs, at: float) -> float:
    """p-value of 'the first model's gain is `at` or less', whatever the distribution of the differences."""
    return betting_p(pairs.sums - at * pairs.sizes, _limits(pairs, at))


def loss_bound_p(pairs: Pairs, at: float) -> float:
    """p-value of 'the first model's loss is `at` or less', whatever the distribution of the differences."""
    return betting_p(-pairs.sums - at * pairs.sizes, _limits(pairs, at))


def _limits(pairs: Pairs, at: float) -> Floats:
    if not np.isfinite(pairs.limit):
        raise ValueError(
            "real scores without a largest difference of a row: `pair_scores` needs the `limit` that the problem declares"
        )
    return np.asarray(max(pairs.limit + at, 1e-9) * pairs.sizes, dtype=np.float64)


def holm(p_values: Sequence[float], alpha: float) -> tuple[list[float], list[bool]]:
    """For each p-value the level Holm (1979) holds it against, and whether it is rejected: one falsely with at most `alpha`."""
    order = np.argsort(p_values, kind="stable")
    levels, rejected, going = [0.0] * len(order), [False] * len(order), True
    for rank, index in enumerate(order):
        levels[index] = alpha / (len(order) - rank)
        going = going and p_values[index] <= levels[index]
        rejected[index] = going
    return levels, rejected
