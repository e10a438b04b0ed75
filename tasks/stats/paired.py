"""Paired one-sided tests: two models scored on the same rows, so that only the rows on which they differ count."""

from __future__ import annotations

import numpy as np

from tasks.stats.arrays import Floats
from tasks.stats.bounds import betting_p
from tasks.stats.pairs import Pairs
from tasks.stats.sign_flip import sign_flip, sign_flip_exact
from tasks.stats.tango import tango_p


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
