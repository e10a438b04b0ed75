"""text-classification: an encoder, a pooling that its base was trained to, and one linear head; each text has one class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from configs.schema import Supervised
from tasks.problems import classifier, metrics
from tasks.problems.baselines import classification as baselines
from tasks.problems.class_scores import ClassScores, class_weights
from tasks.problems.encoder_head import EncoderHead, text_logits, text_vectors
from tasks.problems.types import (
    Autocast,
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

CENTROID_ROWS = 128  # of each class: as good as all (helpdesk 0.577 of 0.582, banking77 0.851 of 0.850; 32 of each 0.509 and 0.836)
UNSEEN = -27.631021115928547  # log(1e-12): the score of a class that a model does not know


class TextClassification(EncoderHead):
    """Texts in, one of a fixed set of classes out."""

    trivial_baseline = baselines.MAJORITY
    wanted_network = (
        "text-classification needs a network that reads text, and transformers has none of this kind: name another base"
    )

    def with_targets(self, spec: Spec, targets: Sequence[str]) -> Spec:
        return replace(spec, labels=tuple(sorted(set(targets))))

    def head_size(self, spec: Spec) -> int:
        return len(spec.labels)

    def encode_target(self, spec: Spec, target: str) -> int:
        return _label_codes(spec.labels)[target]

    def loss_of(self, network: Network, rows: EncodedRows, objective: Supervised) -> Loss:
        import torch

        weights = None
        if objective.class_weights == "balanced":
            shares = class_weights([row["labels"] for row in rows.train], len(network.spec.labels))
            weights = torch.tensor(shares, dtype=torch.float32)
        return classifier.cross_entropy_loss(weights, objective.label_smoothing, objective.focal_gamma)

    def read_logits(self, spec: Spec, logits: npt.NDArray[np.float32]) -> list[NetworkAnswer]:
        return best_classes(spec.scores(logits, spec.answers))

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        scores = classify_texts(network, rows["text"].tolist(), network.spec.labels, how.evaluation.batch_size, how.autocast)
        return score_classes(rows, scores)

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """Right or wrong."""
        return frame["correct"].to_numpy(np.float64)

    def fit_lexical(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[ScoredBaseline, ...]:
        train_codes, test_codes, labels = baselines.encode_labels(train["target"], test["target"])
        fitted = (
            baselines.majority_class(train_codes, test_codes, len(labels)),
            baselines.tfidf_logistic(train["text"].tolist(), train_codes, test["text"].tolist(), test_codes, len(labels)),
        )
        return tuple(_scored_baseline(baseline, test_codes, labels) for baseline in fitted)

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[ScoredBaseline], how: Scoring
    ) -> ScoredBaselines:
        train_codes, test_codes, labels = baselines.encode_labels(train["target"], test["target"])
        few = baselines.few_of_each(train_codes, CENTROID_ROWS)
        known, points = (text_vectors(network, frame["text"].tolist(), how) for frame in (train.iloc[few], test))
        nearest = baselines.nearest_centroid(known, train_codes[few], points, test_codes, len(labels))
        scored = (*lexical, _scored_baseline(nearest, test_codes, labels))
        return ScoredBaselines(scored, points if network.model.pooling == "mean" else None)  # monitors compare means over tokens


@cache
def _label_codes(labels: tuple[str, ...]) -> dict[str, int]:
    return {label: place for place, label in enumerate(labels)}


def _scored_baseline(baseline: baselines.Baseline, targets: baselines.Codes, labels: list[str]) -> ScoredBaseline:
    return ScoredBaseline(
        baseline.name,
        baseline.correct.astype(np.float64),
        metrics.classification_metrics(targets, baseline.predictions, baseline.probabilities, labels),
        baseline.seconds,
    )


def classify_texts(
    network: Network, texts: Sequence[str], labels: Sequence[str], batch_size: int, autocast: Autocast
) -> ClassScores:
    """Probabilities of texts, read already, over the network's `labels` as the caller knows them."""
    return network.spec.scores(text_logits(network, texts, batch_size, autocast), labels)


def best_classes(scores: ClassScores) -> list[NetworkAnswer]:
    """The likeliest class of each row, with its probability."""
    best, shares = scores.probabilities.argmax(1).tolist(), scores.probabilities.max(1).tolist()
    return [NetworkAnswer(scores.labels[place], share) for place, share in zip(best, shares, strict=True)]


def score_classes(rows: pd.DataFrame, scores: ClassScores) -> ScoredRows:
    """Frame and metrics of a classifier's probabilities, over its labels and those of the rows together."""
    frame = per_example(rows, scores)
    labels = sorted({*scores.labels, *rows["target"]})
    code = {label: place for place, label in enumerate(labels)}
    wide = np.zeros((len(rows), len(labels)))
    wide[:, [code[label] for label in scores.labels]] = scores.probabilities
    targets = np.array([code[label] for label in frame["target"]])
    predictions = np.array([code[label] for label in frame["prediction"]])
    return ScoredRows(frame, metrics.classification_metrics(targets, predictions, wide, labels), scores)


def per_example(rows: pd.DataFrame, scores: ClassScores) -> pd.DataFrame:
    """One line a row: prediction, correct, confidence, log-likelihood of the true class; ids, time, group and slices kept."""
    column = {label: place for place, label in enumerate(scores.labels)}
    target = np.array([column.get(label, -1) for label in rows["target"]])
    best = scores.probabilities.argmax(1)
    true = scores.probabilities[np.arange(len(rows)), np.maximum(target, 0)]
    return rows[stored_columns(rows)].assign(
        prediction=[scores.labels[place] for place in best],
        correct=(best == target).astype(np.int8),
        confidence=scores.probabilities.max(1),
        log_likelihood=np.where(target >= 0, np.log(np.maximum(true, 1e-12)), UNSEEN),
    )
