"""Worlds in which two equally good models are scored on rows that share something: a query, candidates, the ranks of all.

Documents of a query make one score; anchors look for partners among the same candidates; a part of a rank correlation hangs on the
ranks of all rows. Each trial draws rows anew.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tasks.problems.metrics.ranking import score_query
from tasks.problems.metrics.similarity import first_right_ranks, rank_agreement
from tasks.stats.paired import better_p
from tasks.stats.pairs import pair_scores

ALPHA = 0.05
Floats = np.ndarray
Draw = Callable[[np.random.Generator], tuple[Floats, Floats, float]]


def queries(signal: float, count: int = 400) -> Draw:
    """nDCG@10 of so many queries of 2 to 60 documents each, most with few, and 1 to 3 relevant ones."""

    def draw(rng: np.random.Generator) -> tuple[Floats, Floats, float]:
        scores = np.empty((2, count))
        for query in range(count):
            size = int(np.clip(rng.lognormal(2.2, 0.9), 2, 60))
            gains = np.zeros(size)
            gains[: min(size - 1, rng.integers(1, 4))] = 1
            shared = rng.normal(size=size)
            for model in range(2):
                scores[model, query] = score_query(signal * gains + shared + rng.normal(size=size), gains).ndcg
        return scores[0], scores[1], 1.0

    return draw


def partners(rows: int, candidates: int, bias: float) -> Draw:
    """Reciprocal ranks of so many anchors, whose partners are among the candidates; `bias`: how much a model likes some for all."""

    def draw(rng: np.random.Generator) -> tuple[Floats, Floats, float]:
        own = rng.integers(0, candidates, rows) if candidates < rows else rng.permutation(candidates)[:rows]
        right = np.zeros((rows, candidates), dtype=bool)
        right[np.arange(rows), own] = True
        shared, scores = rng.normal(size=(rows, candidates)), []
        for _ in range(2):
            alike = 3.0 * right + shared + rng.normal(size=(rows, candidates)) + bias * rng.normal(size=candidates)
            ranks, _ = first_right_ranks(alike, np.eye(candidates), own[:, None].tolist(), np.full(rows, -1))
            scores.append(1 / ranks)
        return scores[0], scores[1], 1.0

    return draw


def correlations(rows: int, correlation: float, *, binary: bool = False) -> Draw:
    """Parts in rank correlations of two models with the same scores, which are of two values where `binary`."""

    def draw(rng: np.random.Generator) -> tuple[Floats, Floats, float]:
        truth = rng.normal(size=rows)
        answers = [correlation * truth + np.sqrt(1 - correlation**2) * rng.normal(size=rows) for _ in range(2)]
        targets = (truth > 1).astype(float) if binary else truth
        first, second = (rank_agreement(targets, answer) for answer in answers)
        return first, second, 6.0

    return draw


def false_alarms(draw: Draw, trials: int, seed: int = 0) -> int:
    """In how many trials the first of two like models is shown to be better."""
    rng = np.random.default_rng(seed)
    found = 0
    for trial in range(trials):
        first, second, limit = draw(rng)
        found += better_p(pair_scores(first, second, limit=limit), ALPHA, trial) <= ALPHA
    return found
