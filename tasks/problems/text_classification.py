"""text-classification: an encoder, a pooling that its base was trained to, and one linear head; each text has one class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from configs.errors import InputError
from configs.schema import Supervised
from tasks.common.bases import earlier_pooling_of, pooling_of
from tasks.problems import classifier, metrics
from tasks.problems.base import Problem
from tasks.problems.baselines import classification as baselines
from tasks.problems.class_scores import ClassScores, class_weights
from tasks.problems.types import (
    EARLIER,
    Adapt,
    Autocast,
    EncodedRows,
    Example,
    Floats,
    Network,
    NetworkAnswer,
    ScoredBaseline,
    ScoredBaselines,
    ScoredRows,
    Scoring,
    Spec,
    Writing,
    padding_token,
    stored_columns,
)

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase, Trainer

    from tasks.problems.probing import Probe

CENTROID_ROWS = 128  # of each class: as good as all (helpdesk 0.577 of 0.582, banking77 0.851 of 0.850; 32 of each 0.509 and 0.836)
UNSEEN = -27.631021115928547  # log(1e-12): the score of a class that a model does not know


class TextClassification(Problem):
    """Texts in, one of a fixed set of classes out."""

    task_type = "FEATURE_EXTRACTION"
    base_class = "AutoModel"
    finetuned_class = "AutoModelForSequenceClassification"
    finetuned_table = "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES"
    text_columns = ("text",)
    trivial_baseline = baselines.MAJORITY
    needs_end_token = False
    has_lexical = True
    wanted_network = (
        "text-classification needs a network that reads text, and transformers has none of this kind: name another base"
    )

    def build_model(self, spec: Spec, base: Path, tokenizer: PreTrainedTokenizerBase, adapt: Adapt) -> tuple[nn.Module, Spec]:
        if spec.head == "own":
            return classifier.load_classifier(base, padding_token(tokenizer)), spec
        if spec.pooling == EARLIER:
            encoder, width, pooling = classifier.load_earlier_encoder(base, earlier_pooling_of(base))
            return classifier.build_classifier(adapt(encoder), width, len(spec.labels), pooling), spec
        encoder, width, pooling = classifier.load_encoder(base, spec.pooling or pooling_of(base))
        return classifier.build_classifier(adapt(encoder), width, len(spec.labels), pooling), replace(spec, pooling=pooling)

    def outline_model(self, spec: Spec, config: PretrainedConfig, adapt: Adapt) -> nn.Module:
        import torch
        from transformers import AutoModel

        network = AutoModel.from_config(config, dtype=torch.float32)
        return adapt(network if spec.pooling == EARLIER else self.used_part(network))

    def used_part(self, model: PreTrainedModel) -> PreTrainedModel:
        return model.get_encoder() if model.config.is_encoder_decoder else model

    def check_probe(self, name: str, base: Path, probe: Probe) -> None:
        if probe.causal and pooling_of(base) == "first":
            raise InputError(
                f"model.base {name}: 1_Pooling/config.json pools the first token, which sees no later token in this network, so "
                "all texts would be alike: set pooling_mode_lasttoken there, or move the file aside"
            )

    def drops_pooler(self, base: Path, probe: Probe, *, trained: bool) -> bool:
        return pooling_of(base) is not None or probe.causal or not trained  # as load_encoder has it

    def encode_rows(self, tokenizer: PreTrainedTokenizerBase, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        code = {label: place for place, label in enumerate(spec.labels)}
        ids = classifier.encode_texts(tokenizer, rows["text"].tolist(), spec.max_length) if len(rows) else []
        return [{"input_ids": row, "labels": code[label]} for row, label in zip(ids, rows["target"], strict=True)]

    def make_trainer(
        self,
        network: Network,
        rows: EncodedRows,
        objective: Supervised,
        settings: dict[str, object],
        extend: Callable[[type[Trainer]], type[Trainer]],
    ) -> Trainer:
        import torch
        from transformers import Trainer, TrainingArguments

        weights = None
        if objective.class_weights == "balanced":
            shares = class_weights([row["labels"] for row in rows.train], len(network.spec.labels))
            weights = torch.tensor(shares, dtype=torch.float32)
        trainer = extend(Trainer)(
            model=network.model,
            args=TrainingArguments(**settings, label_names=["labels"]),
            train_dataset=rows.train,
            eval_dataset=rows.held_out or None,
            data_collator=classifier.collate_rows(network.pad_id),
            compute_loss_func=classifier.cross_entropy_loss(weights, objective.label_smoothing),
        )
        trainer._loss_shifts_labels = False  # one label a row: nothing is shifted, every row counts
        return trainer

    def score_rows(self, network: Network, rows: pd.DataFrame, how: Scoring) -> ScoredRows:
        scores = classify_texts(network, rows["text"].tolist(), network.spec.labels, how.evaluation.batch_size, how.autocast)
        return score_classes(rows, scores)

    def primary_scores(self, frame: pd.DataFrame) -> Floats:
        """Right or wrong."""
        return frame["correct"].to_numpy(np.float64)

    def fit_lexical(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[baselines.Baseline, ...]:
        train_codes, test_codes, labels = baselines.encode_labels(train["target"], test["target"])
        return (
            baselines.majority_class(train_codes, test_codes, len(labels)),
            baselines.tfidf_logistic(train["text"].tolist(), train_codes, test["text"].tolist(), test_codes, len(labels)),
        )

    def fit_opponents(
        self, network: Network, train: pd.DataFrame, test: pd.DataFrame, lexical: Sequence[baselines.Baseline], how: Scoring
    ) -> ScoredBaselines:
        train_codes, test_codes, labels = baselines.encode_labels(train["target"], test["target"])
        few = baselines.few_of_each(train_codes, CENTROID_ROWS)
        points = [
            classifier.run_in_batches(
                network.model, classifier.encode_texts(network.tokenizer, frame["text"].tolist(), network.spec.max_length),
                network.pad_id, how.evaluation.batch_size, how.autocast, embeddings=True,
            )
            for frame in (train.iloc[few], test)
        ]  # fmt: skip
        fitted = (*lexical, baselines.nearest_centroid(points[0], train_codes[few], points[1], test_codes, len(labels)))
        scored = tuple(
            ScoredBaseline(
                baseline.name,
                baseline.correct.astype(np.float64),
                metrics.classification_metrics(test_codes, baseline.predictions, baseline.probabilities, labels),
                baseline.seconds,
            )
            for baseline in fitted
        )
        return ScoredBaselines(scored, points[1] if network.model.pooling == "mean" else None)  # monitors compare means over tokens

    def answer_texts(
        self, network: Network, texts: Sequence[str], writing: Writing, batch_size: int, autocast: Autocast
    ) -> list[NetworkAnswer]:
        return best_classes(classify_texts(network, network.spec.read(texts), network.spec.answers, batch_size, autocast))


def classify_texts(
    network: Network, texts: Sequence[str], labels: Sequence[str], batch_size: int, autocast: Autocast
) -> ClassScores:
    """Probabilities of texts, read already, over the network's `labels` as the caller knows them."""
    ids = classifier.encode_texts(network.tokenizer, texts, network.spec.max_length) if len(texts) else []
    logits = classifier.run_in_batches(network.model, ids, network.pad_id, batch_size, autocast)
    return network.spec.scores(logits, labels)


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
