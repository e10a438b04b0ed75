"""multi-label-classification: an encoder, a pooling that its base was trained to, one linear head; any number of labels a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from configs.schema import Supervised
from tasks.data.label_sets import all_labels, label_flags, labels_of, write_label_set
from tasks.problems import metrics
from tasks.problems.baselines import multi_label as baselines
from tasks.problems.encoder_head import EncoderHead, text_logits, text_vectors
from tasks.problems.metrics.multi_label import row_f1
from tasks.problems.types import (
    Adapt,
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
    from torch import nn
    from transformers import PreTrainedTokenizerBase

NEIGHBOURS = 5_000  # training rows, at the most, that the nearest one is looked for among
FEW_ROWS = 30  # held-out rows that choose no threshold
FEW_OF_LABEL = 25  # held-out rows of a label that choose none of its own


class MultiLabelClassification(EncoderHead):
    """Texts in, a set of labels out, each answered from a probability of its own on."""

    trivial_baseline = baselines.COMMONEST
    wanted_network = (
        "multi-label-classification needs a network that reads text, and transformers has none of this kind: name another base"
    )

    def with_targets(self, spec: Spec, targets: Sequence[str]) -> Spec:
        """Its labels, and the share of rows of each, which the head starts from."""
        labels = all_labels(targets)
        shares = (label_flags(targets, labels).sum(axis=0) + 1) / (len(targets) + 2)
        return replace(spec, labels=labels, shares=tuple(shares.tolist()))

    def head_size(self, spec: Spec) -> int:
        return len(spec.labels)

    def build_model(self, spec: Spec, base: Path, tokenizer: PreTrainedTokenizerBase, adapt: Adapt) -> tuple[nn.Module, Spec]:
        import torch

        model, spec = super().build_model(spec, base, tokenizer, adapt)
        if spec.head == "new":
            with torch.no_grad():  # each label begins as likely as it is: rare ones need not be unlearned first
                model.head.bias.copy_(torch.logit(torch.tensor(spec.shares)))  # type: ignore[union-attr,operator]
        return model, spec

    def encode_target(self, spec: Spec, target: str) -> list[float]:
        """1.0 for each label that applies; one that the network does not have is left out."""
        there = set(labels_of(target))
        return [float(label in there) for label in spec.labels]

    def loss_of(self, network: Network, rows: EncodedRows, objective: Supervised) -> Loss:
        return _label_loss

    def fit_thresholds(self, logits: npt.NDArray[np.float32], targets: Sequence[Sequence[float]]) -> tuple[float, ...]:
        """The probability from which each label is answered: one for all that gives held-out rows (n, labels) the highest F1, then
        for each label with rows enough one of its own, if it raises that further."""
        probabilities, flags = _sigmoid(logits), np.asarray(targets) > 0.5
        if len(flags) < FEW_ROWS:
            return tuple(0.5 for _ in probabilities[0])
        thresholds = [baselines.best_threshold(probabilities, flags)] * probabilities.shape[1]
        for label in np.flatnonzero(flags.sum(axis=0) >= FEW_OF_LABEL).tolist():
            answers = probabilities >= np.array(thresholds)
            best = float(row_f1(flags, answers).mean())
            for threshold in baselines.THRESHOLDS:
                answers[:, label] = probabilities[:, label] >= threshold
                if (score := float(row_f1(flags, answers).mean())) > best:
                    best, thresholds[label] = score, threshold
        return tuple(map(float, thresholds))

    def read_logits(self, spec: Spec, logits: npt.NDArray[np.float32]) -> list[NetworkAnswer]:
        """The labels at or above their thresholds, and the probability of just that set, were labels independent."""
        if not len(logits):
            return []
        probabilities = _sigmoid(logits)
        chosen = probabilities >= np.array(spec.thresholds or (0.5,) * len(spec.labels))
        certain = np.where(chosen, probabilities, 1 - probabilities).prod(axis=1)
        labels = np.array(spec.answers, dtype=object)
        return [
            NetworkAnswer(write_label_set(labels[row].tolist()), score) for row, score in zip(chosen, certain.tolist(), strict=True)
        ]

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        logits = text_logits(network, rows["text"].tolist(), how.evaluation.batch_size, how.autocast)
        answers = self.read_logits(network.spec, logits)
        predictions = [answer.prediction for answer in answers]
        labels = all_labels([*rows["target"], *predictions])
        targets, flags = label_flags(rows["target"], labels), label_flags(predictions, labels)
        confidence = np.array([answer.score for answer in answers], dtype=np.float64)
        frame = rows[stored_columns(rows)].assign(prediction=predictions, f1=row_f1(targets, flags), confidence=confidence)
        return ScoredRows(frame, metrics.label_set_metrics(targets, flags))

    def difference_scale(self, targets: Sequence[str]) -> DifferenceScale:
        return DifferenceScale(largest=1.0)

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """F1 of the labels of each row."""
        return frame["f1"].to_numpy(np.float64)

    def fit_lexical(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[ScoredBaseline, ...]:
        labels = all_labels([*train["target"], *test["target"]])
        known, targets = label_flags(train["target"], labels), label_flags(test["target"], labels)
        lexical = baselines.tfidf_each_label(train["text"].tolist(), known, test["text"].tolist())
        return tuple(_scored_baseline(each, targets) for each in (baselines.commonest_set(known, len(test)), lexical))

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
    ) -> ScoredBaselines:
        labels = all_labels([*train["target"], *test["target"]])
        few = train.iloc[np.linspace(0, len(train) - 1, min(len(train), NEIGHBOURS)).astype(int)]
        known, points = (text_vectors(network, frame["text"].tolist(), how) for frame in (few, test))
        nearest = baselines.nearest_row(known, label_flags(few["target"], labels), points)
        scored = (*lexical, _scored_baseline(nearest, label_flags(test["target"], labels)))
        return ScoredBaselines(scored, points if network.model.pooling == "mean" else None)  # monitors compare means over tokens


def _sigmoid(logits: npt.NDArray[np.float32]) -> Floats:
    from scipy.special import expit

    return np.asarray(expit(logits.astype(np.float64)))


def _label_loss(
    outputs: dict[str, torch.Tensor], labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Binary cross-entropy, summed over labels and rows, divided by the rows of the accumulated batch.

    `num_items_in_batch` counts all targets of that batch, rows times labels.
    """
    from torch.nn.functional import binary_cross_entropy_with_logits

    rows = binary_cross_entropy_with_logits(outputs["logits"], labels.float(), reduction="sum")
    return rows / (len(labels) if num_items_in_batch is None else num_items_in_batch / labels.shape[1])


def _scored_baseline(baseline: baselines.LabelSetBaseline, targets: npt.NDArray[np.bool_]) -> ScoredBaseline:
    scores = row_f1(targets, baseline.predictions)
    return ScoredBaseline(baseline.name, scores, metrics.label_set_metrics(targets, baseline.predictions), baseline.seconds)
