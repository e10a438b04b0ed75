"""The numbers of ranked candidates in numpy alone: one query at a time, its candidates' scores and gains as columns (n,).

Candidates with equal scores stand in random order: every number is its mean over those orders, as scikit-learn has it for nDCG.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DEPTH = 10  # places from the top that nDCG@10 and recall@10 look at


@dataclass(frozen=True)
class QueryScores:
    """How well one query's candidates are ranked, each from 0 to 1."""

    ndcg: float
    reciprocal_rank: float
    recall_1: float
    recall_10: float


def score_query(scores: Floats, gains: Floats) -> QueryScores:
    """`scores` of candidates, higher is better, and their `gains` >= 0 with at least one above 0, which is relevant.

    nDCG (Jarvelin and Kekalainen, 2002) with gains as they are and log2 discounts, over the first DEPTH places.
    """
    if not np.any(gains > 0):
        raise ValueError("no candidate of this query is relevant: there is nothing to rank first")
    order = np.argsort(-scores, kind="stable")
    ties = list(_tied_places(scores[order]))
    relevant = gains[order] > 0
    ideal = float(np.sort(gains)[::-1][:DEPTH] @ _discounts(len(gains))[:DEPTH])
    return QueryScores(
        ndcg=_expected_dcg(gains[order], ties) / ideal,
        reciprocal_rank=_expected_reciprocal_rank(relevant, ties),
        recall_1=_expected_recall(relevant, ties, 1),
        recall_10=_expected_recall(relevant, ties, DEPTH),
    )


def _tied_places(ordered: Floats) -> Iterator[tuple[int, int]]:
    """Each run [start, end) of equal scores, which fall."""
    starts = np.flatnonzero(np.r_[True, np.diff(ordered) != 0])
    yield from zip(starts.tolist(), [*starts[1:].tolist(), len(ordered)], strict=True)


def _discounts(n: int) -> Floats:
    return 1 / np.log2(np.arange(2, n + 2, dtype=np.float64))


def _expected_dcg(gains: Floats, ties: list[tuple[int, int]]) -> float:
    discounts = _discounts(len(gains))
    return float(sum(gains[start:end].mean() * discounts[start : min(end, DEPTH)].sum() for start, end in ties if start < DEPTH))


def _expected_reciprocal_rank(relevant: NDArray[np.bool_], ties: list[tuple[int, int]]) -> float:
    """Of the first relevant candidate, which lies in the first run that has one."""
    start, end = next((start, end) for start, end in ties if relevant[start:end].any())
    size, there = end - start, int(relevant[start:end].sum())
    chances = (comb(size - place, there - 1) / comb(size, there) for place in range(1, size - there + 2))
    return sum(chance / (start + place) for place, chance in enumerate(chances, 1))


def _expected_recall(relevant: NDArray[np.bool_], ties: list[tuple[int, int]], depth: int) -> float:
    """The share of the relevant candidates among the first `depth`."""
    relevant_seen = sum(
        relevant[start:end].sum() * (min(end, depth) - start) / (end - start) for start, end in ties if start < depth
    )
    return float(relevant_seen / relevant.sum())
