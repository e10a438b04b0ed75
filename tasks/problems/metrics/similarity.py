"""The numbers of similarity in numpy alone, as columns (n,): agreement with scores, and ranks of texts that are looked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
CELLS = 2**23  # similarities that are held at once


def standard_ranks(values: Floats) -> Floats:
    """Ranks (n,), ties at their mean, with mean 0 and variance 1; zeros where all values are the same."""
    from scipy.stats import rankdata

    ranks = rankdata(values)
    centred = ranks - ranks.mean()
    spread = float(np.sqrt(np.mean(centred**2)))
    return np.asarray(centred / spread if spread > 0 else np.zeros(len(ranks)))


def rank_agreement(targets: Floats, answers: Floats) -> Floats:
    """(n,) numbers of 1 at the most, whose mean is Spearman's rank correlation: 1 - (x - y)^2 / 2 of the standard ranks x and y.

    Zeros where either column does not vary, as the correlation is then taken to be 0.
    """
    x, y = standard_ranks(targets), standard_ranks(answers)
    return 1 - (x - y) ** 2 / 2 if x.any() and y.any() else np.zeros(len(x))


def similarity_metrics(targets: Floats, answers: Floats) -> dict[str, float]:
    """rank_correlation (Spearman) and correlation (Pearson) of two columns (n,), n > 0; 0 where either does not vary."""
    varies = float(np.ptp(targets)) > 0 and float(np.ptp(answers)) > 0
    return {
        "rank_correlation": float(rank_agreement(targets, answers).mean()),
        "correlation": float(np.corrcoef(targets, answers)[0, 1]) if varies else 0.0,
    }


def first_right_ranks(
    asked: NDArray[np.floating] | csr_matrix,
    candidates: NDArray[np.floating] | csr_matrix,
    right: Sequence[Sequence[int]],
    left_out: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n,) the rank, from 1, of the first right candidate by cosine; (n,) the wrong candidate that stands first before it, or -1.

    `asked` (n, d) and `candidates` (m, d) are of length 1; `right` has the numbers of each row's right candidates, at least
    one, `left_out` (n,) that of one that does not take part, or -1. A wrong candidate as near as the right one stands before it.
    """
    ranks, before = np.ones(len(right), np.int64), np.full(len(right), -1, np.int64)
    size = max(1, CELLS // candidates.shape[0])
    for start in range(0, len(right), size):
        rows = slice(start, start + size)
        product = asked[rows] @ candidates.T
        alike = np.asarray(product if isinstance(product, np.ndarray) else product.toarray(), dtype=np.float64)
        best = np.array([row[places].max() for row, places in zip(alike, map(list, right[rows]), strict=True)])
        for row, places, place in zip(alike, right[rows], left_out[rows], strict=True):
            row[[*places, *([place] if place >= 0 else [])]] = -np.inf
        nearer = alike >= best[:, None]
        ranks[rows] += nearer.sum(axis=1)
        before[rows] = np.where(nearer.any(axis=1), alike.argmax(axis=1), -1)
    return ranks, before


@cache
def chance_of_ranks(right: int, candidates: int) -> tuple[float, float, float]:
    """The reciprocal rank, recall@1 and recall@10 that are expected of the first of `right` in a random order of `candidates`."""
    chance, reciprocal, recalls = right / candidates, 0.0, [0.0, 0.0]
    for place in range(1, candidates - right + 2):
        reciprocal += chance / place
        recalls = [recalls[0] + chance * (place <= 1), recalls[1] + chance * (place <= 10)]
        chance *= (candidates - place - right + 1) / (candidates - place) if place < candidates else 0.0
    return reciprocal, recalls[0], recalls[1]
