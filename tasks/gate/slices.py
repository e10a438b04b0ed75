"""A model's score on each slice and its recall on each class, with intervals: an average hides the groups that fare worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.stats.arrays import group_codes
from tasks.stats.intervals import Groups, mean_interval


@dataclass(frozen=True)
class SliceScore:
    """The mean score of the rows where column `name` is `value`; `judged` is False under `min_n` effective rows."""

    name: str
    value: str
    n: int
    n_groups: int
    mean: float
    low: float | None
    high: float | None
    judged: bool


def by_slice(scores: ArrayLike, slices: Mapping[str, ArrayLike], groups: Groups = None, min_n: int = 30) -> tuple[SliceScore, ...]:
    """Means of per-example scores, shape (n,), over each value of each slice column; columns as given, values in order."""
    values = np.asarray(scores, dtype=np.float64)
    codes = None if groups is None else group_codes(groups, len(values))
    slice_scores = []
    for name, column in slices.items():
        categories = np.asarray(column).astype(str)
        for value in np.unique(categories):
            rows = categories == value
            interval = mean_interval(values[rows], None if codes is None else codes[rows])
            enough = interval.n_effective >= min_n
            slice_scores.append(
                SliceScore(name, str(value), interval.n, interval.n_groups, interval.value, interval.low, interval.high, enough)
            )
    return tuple(slice_scores)


def recall_by_class(correct: ArrayLike, target: ArrayLike, groups: Groups = None, min_n: int = 30) -> tuple[SliceScore, ...]:
    """Share right among the rows of each target class: its recall. `correct` is 0/1, shape (n,)."""
    return by_slice(correct, {"class": target}, groups, min_n)
