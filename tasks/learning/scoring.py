"""Score a network, and the opponents it has to be worth its cost against, row by row on the same test rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from configs.schema import Evaluation, ProblemName
from tasks.data.redaction.placeholders import network_view
from tasks.learning.device import autocast, numerics
from tasks.problems import problem_of
from tasks.problems.types import Network, ScoredBaselines, ScoredRows, Scoring

if TYPE_CHECKING:
    import pandas as pd

    from tasks.problems.baselines.classification import Baseline


def score_network(
    network: Network, rows: pd.DataFrame, evaluation: Evaluation, precision: Literal["auto", "fp32", "bf16"]
) -> ScoredRows:
    """Score `rows` (canonical columns), read as the network reads texts; the order is kept."""
    problem = problem_of(network.spec.problem)
    return problem.score_rows(network, problem.read_rows(network.spec, rows), Scoring(evaluation, autocast(numerics(precision))))


def fit_lexical(problem: ProblemName, train: Sequence[Path], test: Path) -> tuple[Baseline, ...]:
    """The baselines that need no network, from the Parquet files of a snapshot, read as networks do: a job for another process."""
    import pandas as pd

    if not problem_of(problem).has_lexical:
        return ()
    rows = (pd.concat([pd.read_parquet(file) for file in train], ignore_index=True), pd.read_parquet(test))
    read = [frame.assign(text=network_view(frame["text"].tolist())) for frame in rows]
    return problem_of(problem).fit_lexical(*read)


def score_opponents(
    network: Network,
    train: pd.DataFrame,
    test: pd.DataFrame,
    lexical: Sequence[Baseline],
    evaluation: Evaluation,
    precision: Literal["auto", "fp32", "bf16"],
) -> ScoredBaselines:
    """The baselines of a problem, fitted on the training rows; `network` is the base before any training, and reads as it does.

    `lexical` are those that `fit_lexical` has fitted already, because they need no network.
    """
    problem = problem_of(network.spec.problem)
    train, test = (problem.read_rows(network.spec, rows) for rows in (train, test))
    return problem.fit_opponents(network, train, test, lexical, Scoring(evaluation, autocast(numerics(precision))))
