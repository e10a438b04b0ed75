"""The gate on scores that rows share: false alarms where two models are equally good. `python -m benchmarks.pair_truths`

Documents of a query make one score; anchors look for partners among the same candidates; a part of a rank correlation hangs on the
ranks of all rows. Each trial draws rows anew and asks the gate's test whether the first of two like models is better.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from scipy import stats

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
    """Reciprocal ranks of as many anchors, whose partners are some of the candidates; `bias`: how much a model likes some for all."""

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


WORLDS: dict[str, Draw] = {
    "nDCG@10, 400 queries of 2 to 60 documents, random order": queries(0.0),
    "nDCG@10, 400 queries of 2 to 60 documents, good order": queries(3.0),
    "reciprocal rank, 300 anchors with a partner each": partners(300, 300, 0.0),
    "reciprocal rank, 300 anchors with a partner each, candidates that models like": partners(300, 300, 0.7),
    "reciprocal rank, 1,000 anchors of 60 partners": partners(1_000, 60, 0.0),
    "reciprocal rank, 1,000 anchors of 60 partners, candidates that models like": partners(1_000, 60, 0.7),
    "rank correlation 0.3, 200 rows": correlations(200, 0.3),
    "rank correlation 0.8, 200 rows": correlations(200, 0.8),
    "rank correlation 0.95, 1,500 rows": correlations(1_500, 0.95),
    "rank correlation with two scores, 200 rows": correlations(200, 0.8, binary=True),
}


def false_alarms(draw: Draw, trials: int, seed: int = 0) -> int:
    """In how many trials the first of two like models is shown to be better."""
    rng = np.random.default_rng(seed)
    found = 0
    for trial in range(trials):
        first, second, limit = draw(rng)
        found += better_p(pair_scores(first, second, limit=limit), ALPHA, trial) <= ALPHA
    return found


def section(trials: int = 400) -> str:
    """The table as Markdown; ten minutes on a core."""
    most = int(stats.binom.ppf(0.999, trials, ALPHA))
    lines = [
        "## Scores that rows share\n",
        f"False alarms of the gate's test at {ALPHA}, two equally good models, {trials} trials each; at most {most} are explained by it.\n",
        "| rows | false alarms | share | holds |",
        "|---|--:|--:|---|",
    ]
    for name, draw in WORLDS.items():
        found = false_alarms(draw, trials)
        lines.append(f"| {name} | {found} | {found / trials:.3f} | {'yes' if found <= most else 'NO'} |")
        sys.stderr.write(f"{lines[-1]}\n")
    return "\n".join(lines)


if __name__ == "__main__":
    print(section())
