"""Texts as points: the untuned base's own embeddings, the same for every model that was ever made from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.learning.device import autocast, numerics
from tasks.problems import classifier
from tasks.problems.types import padding_token

BATCH = 64


def embed_texts(
    base: Path, texts: Sequence[str], max_length: int, precision: Literal["auto", "fp32", "bf16"]
) -> NDArray[np.float32]:
    """(n, d) unit vectors, the means over tokens; equal texts go through the network once. `base` is its folder."""
    import torch
    from transformers import AutoTokenizer

    if not texts:
        return np.empty((0, 0), dtype=np.float32)
    distinct = list(dict.fromkeys(texts))
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    encoder, hidden, pooling = classifier.load_encoder(base, "mean")
    model = classifier.build_classifier(encoder, hidden, 1, pooling).to("cuda" if torch.cuda.is_available() else "cpu")
    ids = classifier.encode_texts(tokenizer, distinct, max_length)
    how = autocast(numerics(precision))
    points = classifier.run_in_batches(model, ids, padding_token(tokenizer), BATCH, how, embeddings=True)
    place = {text: row for row, text in enumerate(distinct)}
    return unit_rows(points[[place[text] for text in texts]])


def unit_rows(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.where(lengths > 0, lengths, 1), dtype=np.float32)
