"""The bases of problems whose network is an encoder with a head: any such, and those of one vector of logits a text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from configs.errors import InputError
from tasks.common.bases import earlier_pooling_of, pooling_of
from tasks.problems import classifier
from tasks.problems.base import Problem
from tasks.problems.types import (
    EARLIER,
    Adapt,
    Autocast,
    Example,
    Network,
    NetworkAnswer,
    Scoring,
    Spec,
    Writing,
    padding_token,
)

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from tasks.problems.probing import Probe


class Encoder(Problem):
    """A problem whose network is an encoder with a head of ours."""

    task_type = "FEATURE_EXTRACTION"
    base_class = "AutoModel"
    needs_end_token = False
    has_lexical = True

    def outline_model(self, spec: Spec, config: PretrainedConfig, adapt: Adapt) -> nn.Module:
        import torch
        from transformers import AutoModel

        network = AutoModel.from_config(config, dtype=torch.float32)
        return adapt(network if spec.pooling == EARLIER else self.used_part(network))

    def used_part(self, model: PreTrainedModel) -> PreTrainedModel:
        return model.get_encoder() if model.config.is_encoder_decoder else model

    def check_probe(self, name: str, base: Path, probe: Probe) -> None:
        """Any network that reads text will do."""

    def drops_pooler(self, base: Path, probe: Probe, *, trained: bool) -> bool:
        return True


class EncoderHead(Encoder):
    """Texts in, one vector of logits a text out, which a problem of this kind reads its answers from."""

    finetuned_class = "AutoModelForSequenceClassification"
    finetuned_table = "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES"
    text_columns = ("text",)

    # --- what a problem of this kind adds ---

    @abstractmethod
    def head_size(self, spec: Spec) -> int:
        """The number of logits of a text."""

    @abstractmethod
    def encode_target(self, spec: Spec, target: str) -> int | float | list[float]:
        """A row's target as its loss takes it; KeyError where the network has no such label."""

    @abstractmethod
    def read_logits(self, spec: Spec, logits: npt.NDArray[np.float32]) -> list[NetworkAnswer]:
        """The answers of logits (n, head size), as callers of the service know them."""

    def network_inputs(self, texts: Sequence[str]) -> list[str]:
        """What the network reads for these texts, whose logits `read_logits` takes: each of them, or each part of it."""
        return list(texts)

    def fit_thresholds(self, logits: npt.NDArray[np.float32], targets: Sequence[Sequence[float]]) -> tuple[float, ...]:
        """The probability from which each label is answered, chosen on logits and encoded targets of held-out rows; none here."""
        return ()

    # --- the contract ---

    def build_model(self, spec: Spec, base: Path, tokenizer: PreTrainedTokenizerBase, adapt: Adapt) -> tuple[nn.Module, Spec]:
        if spec.head == "own":
            return classifier.load_classifier(base, padding_token(tokenizer)), spec
        if spec.pooling == EARLIER:
            encoder, width, pooling = classifier.load_earlier_encoder(base, earlier_pooling_of(base))
            return classifier.build_classifier(adapt(encoder), width, self.head_size(spec), pooling), spec
        encoder, width, pooling = classifier.load_encoder(base, spec.pooling or pooling_of(base))
        return classifier.build_classifier(adapt(encoder), width, self.head_size(spec), pooling), replace(spec, pooling=pooling)

    def check_probe(self, name: str, base: Path, probe: Probe) -> None:
        if probe.causal and pooling_of(base) == "first":
            raise InputError(
                f"model.base {name}: 1_Pooling/config.json pools the first token, which sees no later token in this network, so "
                "all texts would be alike: set pooling_mode_lasttoken there, or move the file aside"
            )

    def drops_pooler(self, base: Path, probe: Probe, *, trained: bool) -> bool:
        return pooling_of(base) is not None or probe.causal or not trained  # as load_encoder has it

    def encode_rows(self, tokenizer: PreTrainedTokenizerBase, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        ids = classifier.encode_texts(tokenizer, rows["text"].tolist(), spec.max_length) if len(rows) else []
        return [
            {"input_ids": row, "labels": self.encode_target(spec, target)} for row, target in zip(ids, rows["target"], strict=True)
        ]

    def collator(self, network: Network) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
        return classifier.collate_rows(network.pad_id)

    def answer_texts(
        self, network: Network, texts: Sequence[str], writing: Writing, batch_size: int, autocast: Autocast
    ) -> list[NetworkAnswer]:
        inputs = self.network_inputs(network.spec.read(texts))
        return self.read_logits(network.spec, text_logits(network, inputs, batch_size, autocast))


def text_logits(network: Network, texts: Sequence[str], batch_size: int, autocast: Autocast) -> npt.NDArray[np.float32]:
    """The logits (n, head size) of texts, read already."""
    ids = classifier.encode_texts(network.tokenizer, texts, network.spec.max_length) if len(texts) else []
    return classifier.run_in_batches(network.model, ids, network.pad_id, batch_size, autocast)


def text_vectors(network: Network, texts: Sequence[str], how: Scoring) -> npt.NDArray[np.float32]:
    """The pooled embeddings (n, width) of texts, read already."""
    ids = classifier.encode_texts(network.tokenizer, texts, network.spec.max_length)
    return classifier.run_in_batches(network.model, ids, network.pad_id, how.evaluation.batch_size, how.autocast, embeddings=True)
