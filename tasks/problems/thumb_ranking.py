"""Measures models that write texts by answers that are good or bad by themselves: how much likelier the good ones are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.data.thumbs import DOWN, UP
from tasks.problems.base import Measure
from tasks.problems.metrics.thumbs import balance, thumb_metrics
from tasks.problems.pair_ranking import prompt_groups
from tasks.problems.text_writer import BASE, MOST_NATS, TextWriter
from tasks.problems.types import DifferenceScale, Floats, Network, ScoredBaseline, ScoredBaselines, ScoredRows, Scoring

if TYPE_CHECKING:
    import pandas as pd


class ThumbRanking(Measure):
    """How much likelier a model finds good answers than bad ones: the mean of the good less that of the bad, in nats a token.

    Without pairs there is no margin of a row. A row's score is its share in that difference: by how much its answer's
    log-likelihood a token lies above the mean of its kind (below it, for a bad one), weighed so that both kinds count the same,
    plus the difference itself. So the variance of scores is that of a difference of two means, however many there are of each
    kind, and a model that finds all texts likelier gains nothing in any row. The rarer kind has the weight 2, whatever its share
    (what the gate clips would else be most of a rare kind, and its skew a gain), for which the mean of all scores, `thumb_margin`,
    is the difference times the `balance` of the rows: 1 for as many good as bad ones, less for fewer of one kind.

    As for pairs a reference would cancel between two models. How often a good answer is likelier than a bad one (`thumb_auc`)
    stands beside: likelihoods differ more between prompts than by what is good, so that few differences of models show in it.
    """

    text_columns = ("text", "target")
    trivial_baseline = BASE

    def __init__(self, problem: TextWriter) -> None:
        self.problem = problem

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        own = self.problem.score_rows(network, rows, how)
        frame = own.frame.assign(thumb=rows["thumb"].to_numpy(), group=prompt_groups(rows))
        return ScoredRows(frame, thumb_metrics(self.problem.primary_scores(frame), _is_good(frame)))

    def difference_scale(self, targets: Sequence[str]) -> DifferenceScale:
        return DifferenceScale(largest=MOST_NATS)  # a score is a share in a difference of log-likelihoods a token

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """Each row's share in the difference."""
        likelihood, good = self.problem.primary_scores(frame), _is_good(frame)
        means = {kind: likelihood[good == kind].mean() for kind in (True, False)}
        scores = np.full(len(frame), balance(good) * (means[True] - means[False]))
        for kind, sign in ((True, 1), (False, -1)):
            own = good == kind
            scores[own] += sign * balance(good) * len(frame) / own.sum() * (likelihood[own] - means[kind])
        return scores

    def draw_rows(self, rows: pd.DataFrame, most: int) -> pd.DataFrame:
        """None where all those drawn have one kind of thumb: they have no metrics."""
        drawn = super().draw_rows(rows, most)
        return drawn if drawn["thumb"].nunique() == 2 else drawn[:0]

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
    ) -> ScoredBaselines:
        """The base as it is."""
        untuned = self.score_rows(network, test, how.without_text())
        return ScoredBaselines((ScoredBaseline(BASE, self.primary_scores(untuned.frame), untuned.metrics, 0.0),))


def _is_good(frame: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(n,) whether each row's answer is good; ValueError where it says nothing of it, or all say the same."""
    thumbs = frame["thumb"].to_numpy()
    if {*thumbs} != {UP, DOWN}:
        raise ValueError(f"thumbs are {UP} and {DOWN}, both among the rows, and these are {sorted(map(str, {*thumbs}))}")
    return np.asarray(thumbs == UP, dtype=np.bool_)
