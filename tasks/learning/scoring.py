"""Score a network, and the opponents it has to be worth its cost against, row by row on the same test rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from configs.schema import Evaluation, Objective, ProblemName
from tasks.data.redaction.placeholders import network_view
from tasks.learning.device import autocast, numerics
from tasks.learning.objectives import measure_of
from tasks.problems.base import Measure
from tasks.problems.types import Network, ScoredBaseline, ScoredBaselines, ScoredRows, Scoring

if TYPE_CHECKING:
    import pandas as pd


def scoring_of(evaluation: Evaluation, precision: Literal["auto", "fp32", "bf16"]) -> Scoring:
    """How rows are scored on this machine."""
    return Scoring(evaluation, autocast(numerics(precision)))


def score_network(measure: Measure, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
    """Score `rows` (canonical columns), read as the network reads texts; the order is kept."""
    return measure.score_rows(network, measure.read_rows(network.spec, rows), how)


def fit_lexical(objective: Objective, problem: ProblemName, train: Sequence[Path], test: Path) -> tuple[ScoredBaseline, ...]:
    """The baselines that need no network, from the Parquet files of a snapshot, read as networks do: a job for another process."""
    import pandas as pd

    measure = measure_of(objective, problem)
    if not measure.has_lexical:
        return ()
    rows = (pd.concat([pd.read_parquet(file) for file in train], ignore_index=True), pd.read_parquet(test))
    read = [frame.assign(**{name: network_view(frame[name].tolist()) for name in measure.text_columns}) for frame in rows]
    return measure.fit_lexical(*read)


def score_opponents(
    measure: Measure, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
) -> ScoredBaselines:
    """The baselines, fitted on the training rows; `network` is the base before any training, and they read as it does.

    `lexical` are those that `fit_lexical` has fitted already, because they need no network.
    """
    train, test = (measure.read_rows(network.spec, rows) for rows in (train, test))
    return measure.fit_opponents(network, train, test, lexical, how)
