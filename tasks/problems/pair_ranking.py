"""Measures models that write texts by pairs of answers: how much likelier the preferred one is than the rejected one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.problems import metrics
from tasks.problems.base import Measure
from tasks.problems.text_writer import BASE, MOST_NATS, TextWriter
from tasks.problems.types import DifferenceScale, Floats, Network, ScoredBaseline, ScoredBaselines, ScoredRows, Scoring

if TYPE_CHECKING:
    import pandas as pd


class PairRanking(Measure):
    """How much likelier a model finds the target of a row than the answer that was rejected for it: the margin, in nats a token.

    Likelihoods are a model's own. In the difference of two models' margins, which is what the gate tests, a reference would cancel:
    it is the difference of their implicit rewards (Rafailov et al. 2023), each answer by the mean over its tokens, as a sum would
    weigh answers by their length. The problem's own scores of the targets stand beside.
    """

    text_columns = ("text", "target", "rejected")
    trivial_baseline = BASE

    def __init__(self, problem: TextWriter) -> None:
        self.problem = problem

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        own = self.problem.score_rows(network, rows, how)
        rejected = self.problem.encode_answers(network.tokenizer, network.spec, rows.assign(target=rows["rejected"]))
        likelihood = self.problem.log_likelihoods(network, rejected, how.evaluation.batch_size, how.autocast)
        margins = self.problem.primary_scores(own.frame) - likelihood[:, 0] / likelihood[:, 1]
        frame = own.frame.assign(margin=margins, group=_pair_groups(rows))
        return ScoredRows(frame, {**metrics.preference_metrics(margins), **own.metrics}, signatures=own.signatures)

    def difference_scale(self, targets: Sequence[str]) -> DifferenceScale:
        return DifferenceScale(largest=MOST_NATS)  # a margin is of log-likelihoods a token

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """The margin."""
        return frame["margin"].to_numpy(np.float64)

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
    ) -> ScoredBaselines:
        """The base as it is: no other baseline that ranks answers could also write one."""
        untuned = self.score_rows(network, test, how.without_text())
        return ScoredBaselines((ScoredBaseline(BASE, self.primary_scores(untuned.frame), untuned.metrics, 0.0),))


def prompt_groups(rows: pd.DataFrame) -> pd.Series:
    """The key by which rows with answers count as one, for other measures."""
    return _pair_groups(rows)


def _pair_groups(rows: pd.DataFrame) -> pd.Series:
    """The key by which rows count as one: their group, else their prompt where it has several pairs; null for a single row."""
    several = rows["text"].duplicated(keep=False)
    prompts = rows.groupby("text", sort=False).ngroup().map("prompt {}".format)
    own: pd.Series = rows["group"]
    return own.where(own.notna(), prompts.where(several, None))
