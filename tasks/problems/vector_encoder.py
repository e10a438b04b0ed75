"""The base of problems whose network gives each text a vector: an encoder, its pooling, and no head but the vector's length made 1.

A pair of texts is answered by the cosine of its two vectors, so vectors can be kept and compared without the network.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tasks.data.text_parts import split_parts
from tasks.problems import classifier
from tasks.problems.encoder_head import EncoderHead, text_logits
from tasks.problems.types import Adapt, Example, Network, Scoring, Spec

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase

NO_CODE = -1  # of a group that a row does not have
SCALE = 20.0  # of cosines in a loss: the inverse of its temperature, 0.05


class VectorEncoder(EncoderHead):
    """Texts in, vectors of length 1 out, which its logits are; the loss reads those of both texts of a row."""

    sequences_per_row = 2

    @abstractmethod
    def encode_labels(self, spec: Spec, texts: Sequence[Sequence[int]], target: str, group: str | None) -> list[float] | list[int]:
        """What the loss knows of a row beside its vectors; `texts` are the token ids of its texts."""

    # --- the network ---

    def head_size(self, spec: Spec) -> int:
        return 1  # of the linear head that `build_model` puts away

    def encode_target(self, spec: Spec, target: str) -> float:
        return float(target)

    def build_model(self, spec: Spec, base: Path, tokenizer: PreTrainedTokenizerBase, adapt: Adapt) -> tuple[nn.Module, Spec]:
        model, spec = super().build_model(spec, base, tokenizer, adapt)
        model.head = _unit_rows()
        return model, spec

    def network_inputs(self, texts: Sequence[str]) -> list[str]:
        """Both texts of each pair, one after the other; a text alone is its own partner."""
        return [part for text in texts for part in both_parts(text)]

    # --- rows ---

    def encode_rows(self, tokenizer: PreTrainedTokenizerBase, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        if not len(rows):
            return []
        columns = list(zip(*map(both_parts, rows["text"]), strict=True))
        if "rejected" in rows and (rows["rejected"].fillna("") != "").any():
            against = spec.read(rows["rejected"].fillna("").tolist())
            columns.append(tuple(text or partner for text, partner in zip(against, columns[1], strict=True)))
        encoded = [classifier.encode_texts(tokenizer, column, spec.max_length) for column in columns]
        groups = groups_of(rows)
        return [
            {"input_ids": max(texts, key=len), "texts": texts, "labels": self.encode_labels(spec, texts, target, group)}
            for *texts, target, group in zip(*encoded, rows["target"], groups, strict=True)
        ]

    def collator(self, network: Network) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
        """The first texts of all rows, then the second ones, then what they are held against, where rows have it."""
        return _collate_texts(network.pad_id)


def both_parts(text: str) -> tuple[str, str]:
    """The two texts of a pair; a text alone is both."""
    parts = split_parts(text)
    return parts[0], parts[-1]


def groups_of(rows: pd.DataFrame) -> list[str | None]:
    """Each row's group, None where it has none."""
    groups = rows["group"].tolist() if "group" in rows else [None] * len(rows)
    return [group if isinstance(group, str) else None for group in groups]


def text_code(ids: Sequence[int]) -> int:
    """A number that equal texts share, from their token ids."""
    return int.from_bytes(hashlib.sha256(np.asarray(ids, np.int64).tobytes()).digest()[:7])


def vectors_of(network: Network, texts: Sequence[str], how: Scoring) -> npt.NDArray[np.float32]:
    """The vectors (n, width) of texts, read already; equal texts are run once."""
    distinct = list(dict.fromkeys(texts))
    place = {text: number for number, text in enumerate(distinct)}
    vectors = text_logits(network, distinct, how.evaluation.batch_size, how.autocast)
    return vectors[[place[text] for text in texts]]


def cosines(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The cosine (n,) of each two vectors of (2n, width) that follow one another."""
    pairs = vectors.reshape(-1, 2, vectors.shape[1]).astype(np.float64) if len(vectors) else np.empty((0, 2, 1))
    return np.asarray((pairs[:, 0] * pairs[:, 1]).sum(axis=1).clip(-1, 1))


def _unit_rows() -> nn.Module:
    from torch import Tensor, nn
    from torch.nn.functional import normalize

    class UnitRows(nn.Module):
        def forward(self, pooled: Tensor) -> Tensor:
            return normalize(pooled.float(), dim=-1)

    return UnitRows()


def _collate_texts(pad_id: int) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
    """Rows -> one batch of their texts, the first of all rows before the second."""
    import torch

    collate = classifier.collate_rows(pad_id)

    def batch(rows: list[Example]) -> dict[str, torch.Tensor]:
        texts = [{"input_ids": row["texts"][place]} for place in range(len(rows[0]["texts"])) for row in rows]
        return {**collate(texts), "labels": torch.tensor([row["labels"] for row in rows])}

    return batch
