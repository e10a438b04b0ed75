"""Two score vectors of the same rows, reduced to what the paired tests read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.stats.arrays import Codes, Floats, effective_size


@dataclass(frozen=True, eq=False)
class Pairs:
    """What the tests need of two score vectors: sums of differences by group, and the discordant rows.

    `sums` and `sizes` have one entry per group; `wins` counts rows that the first model scores higher, `losses` lower.
    `design` is the design effect: the variance of the difference over what independent rows would give, at least 1. `limit` is the
    largest difference that a row can have: 1 for right/wrong, infinite where none was declared; `clipped` rows had a larger one.
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
        """Whether sums of mean zero are symmetric: right/wrong rows on their own are, or the same rows repeated equally often.

        Of the latter every group is won or lost whole. Smaller losses cannot hide among them: to make up for a gain of whole
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
    """How often an independent row repeats: Rao and Scott (1992), 'A simple method for the analysis of clustered binary data'.

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
