"""text-regression: an encoder, a pooling that its base was trained to, and one number read from it, in the unit of the targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from configs.schema import Supervised
from tasks.data.numbers import format_number, read_numbers, round_answers
from tasks.problems import metrics
from tasks.problems.baselines import regression as baselines
from tasks.problems.encoder_head import EncoderHead, text_logits, text_vectors
from tasks.problems.types import (
    DifferenceScale,
    EncodedRows,
    Floats,
    Loss,
    Network,
    NetworkAnswer,
    ScoredBaseline,
    ScoredBaselines,
    ScoredRows,
    Scoring,
    Spec,
    stored_columns,
)

if TYPE_CHECKING:
    import pandas as pd
    import torch

RIDGE_ROWS = 5_000  # training rows, at the most, whose embeddings a baseline is fitted to


class TextRegression(EncoderHead):
    """Texts in, a number out. The loss is Huber's, in units of the training targets' mean absolute deviation from their median."""

    trivial_baseline = baselines.MEDIAN
    wanted_network = "text-regression needs a network that reads text, and transformers has none of this kind: name another base"

    def with_targets(self, spec: Spec, targets: Sequence[str]) -> Spec:
        numbers = baselines.cut_outliers(read_numbers(targets))
        return replace(spec, location=float(np.median(numbers)), spread=_mean_deviation(numbers))

    def head_size(self, spec: Spec) -> int:
        return 1

    def encode_target(self, spec: Spec, target: str) -> float:
        return (float(target) - spec.location) / spec.spread

    def loss_of(self, network: Network, rows: EncodedRows, objective: Supervised) -> Loss:
        return _huber_loss

    def read_logits(self, spec: Spec, logits: npt.NDArray[np.float32]) -> list[NetworkAnswer]:
        return [NetworkAnswer(format_number(number), None) for number in _numbers_of(spec, logits).tolist()]

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        logits = text_logits(network, rows["text"].tolist(), how.evaluation.batch_size, how.autocast)
        numbers, targets = _numbers_of(network.spec, logits), read_numbers(rows["target"])
        predictions = [format_number(number) for number in numbers.tolist()]
        frame = rows[stored_columns(rows)].assign(prediction=predictions, error=numbers - targets)
        return ScoredRows(frame, metrics.regression_metrics(targets, numbers))

    def difference_scale(self, targets: Sequence[str]) -> DifferenceScale:
        """The scale is the targets' mean absolute deviation from their median, the error of one constant answer. Two models' errors
        differ by the width of the targets' central 98 % at most; a larger difference counts as this."""
        numbers = baselines.cut_outliers(read_numbers(targets))
        (low, high), scale = baselines.inner_range(numbers), _mean_deviation(numbers)
        return DifferenceScale(scale, max(high - low, scale))

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """The absolute error with its sign turned round, in the unit of the targets."""
        return -frame["error"].abs().to_numpy(np.float64)

    def fit_lexical(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[ScoredBaseline, ...]:
        known, targets = read_numbers(train["target"]), read_numbers(test["target"])
        ridge = baselines.tfidf_ridge(train["text"].tolist(), known, test["text"].tolist())
        return tuple(_scored_baseline(each, targets) for each in (*baselines.constant_baselines(known, len(test)), ridge))

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
    ) -> ScoredBaselines:
        few = train.iloc[np.linspace(0, len(train) - 1, min(len(train), RIDGE_ROWS)).astype(int)]
        known, points = (text_vectors(network, frame["text"].tolist(), how) for frame in (few, test))
        ridge = baselines.embedding_ridge(known, read_numbers(few["target"]), points)
        scored = (*lexical, _scored_baseline(ridge, read_numbers(test["target"])))
        return ScoredBaselines(scored, points if network.model.pooling == "mean" else None)  # monitors compare means over tokens


def _mean_deviation(numbers: Floats) -> float:
    """The mean absolute deviation from the median; 1 where all numbers are the same."""
    return float(np.abs(numbers - np.median(numbers)).mean()) or 1.0


def _numbers_of(spec: Spec, logits: npt.NDArray[np.float32]) -> Floats:
    """The answers (n,) of logits (n, 1), to as many digits as they are computed with."""
    exact = spec.location + spec.spread * logits[:, 0].astype(np.float64) if len(logits) else np.empty(0)
    return round_answers(exact)


def _huber_loss(
    outputs: dict[str, torch.Tensor], labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Huber (1964): squared up to an error of 1, linear beyond; summed over rows, divided by those of the accumulated batch."""
    from torch.nn.functional import huber_loss

    rows = huber_loss(outputs["logits"][:, 0], labels.float(), reduction="sum", delta=1.0)
    return rows / (len(labels) if num_items_in_batch is None else num_items_in_batch)


def _scored_baseline(baseline: baselines.NumberBaseline, targets: Floats) -> ScoredBaseline:
    errors = np.abs(baseline.predictions - targets)
    return ScoredBaseline(baseline.name, -errors, metrics.regression_metrics(targets, baseline.predictions), baseline.seconds)
