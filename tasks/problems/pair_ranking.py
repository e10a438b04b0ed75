"""How models that write texts are measured by pairs of answers: whether the preferred one is likelier than the rejected one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.problems import metrics
from tasks.problems.base import Measure
from tasks.problems.baselines.pairs import length_rule
from tasks.problems.text_writer import BASE, TextWriter
from tasks.problems.types import Floats, Network, ScoredBaseline, ScoredBaselines, ScoredRows, Scoring

if TYPE_CHECKING:
    import pandas as pd

    from tasks.problems.baselines.classification import Baseline


class PairRanking(Measure):
    """A row is right where its target is likelier, by the mean over its tokens, than the answer that was rejected for it.

    Likelihoods are those of the model alone, not relative to a reference: so any two models, and the base, are compared alike. By
    the mean, because a sum over tokens prefers whatever is short. The problem's own scores of the targets stand beside.
    """

    text_columns = ("text", "target", "rejected")
    trivial_baseline = BASE

    def __init__(self, problem: TextWriter) -> None:
        self.problem = problem

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        own = self.problem.score_rows(network, rows, how)
        rejected = self.problem.encode_rows(network.tokenizer, network.spec, rows.assign(target=rows["rejected"]))
        likelihood = self.problem.log_likelihoods(network, rejected, how.evaluation.batch_size, how.autocast)
        margins = self.problem.primary_scores(own.frame) - likelihood[:, 0] / likelihood[:, 1]
        frame = own.frame.assign(margin=margins, preferred=(margins > 0).astype(np.int8), group=_groups(rows))
        return ScoredRows(frame, {**metrics.preference_metrics(margins), **own.metrics})

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """Right or wrong."""
        return frame["preferred"].to_numpy(np.float64)

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[Baseline], how: Scoring
    ) -> ScoredBaselines:
        """The base as it is, and the length of an answer."""
        untuned = self.score_rows(network, test, how.without_text())
        known, asked = ((rows["target"].tolist(), rows["rejected"].tolist()) for rows in (train, test))
        length = length_rule(known, asked)
        of_length = {"preference_accuracy": length.accuracy}
        return ScoredBaselines(
            (
                ScoredBaseline(BASE, self.primary_scores(untuned.frame), untuned.metrics, 0.0),
                ScoredBaseline(length.name, length.correct.astype(np.float64), of_length, length.seconds),
            )
        )


def _groups(rows: pd.DataFrame) -> pd.Series:
    """What rows count as one by: the group they have, else their prompt where it has several pairs; null where one stands alone."""
    several = rows["text"].duplicated(keep=False)
    prompts = rows.groupby("text", sort=False).ngroup().map("prompt {}".format)
    own: pd.Series = rows["group"]
    return own.where(own.notna(), prompts.where(several, None))
