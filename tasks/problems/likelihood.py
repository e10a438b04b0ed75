"""The likelihood of targets under a network, token by token: the score of decoders and encoder-decoders alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.problems.padding import IGNORED, batches_by_length
from tasks.problems.types import Autocast, Example, Floats

if TYPE_CHECKING:
    import torch
    from torch import nn


def log_likelihoods(
    model: nn.Module,
    rows: Sequence[Example],
    collate: Callable[[list[Example]], dict[str, torch.Tensor]],
    batch_size: int,
    autocast: Autocast,
    *,
    shifted: bool,
) -> Floats:
    """(n, 2): the summed log-likelihood of each row's labels in nats, and their number; longest rows first.

    `shifted`: a label stands at the place of its own token, which the place before it predicts, as with decoders.
    """
    import torch

    device, out = next(model.parameters()).device, np.zeros((len(rows), 2))
    model.eval()
    with torch.inference_mode():
        for places, batch in batches_by_length(rows, collate, batch_size, device):
            labels = batch.pop("labels")[:, int(shifted) :]
            with autocast():
                logits = model(**batch).logits[:, : labels.shape[1]].float()
            likely = torch.log_softmax(logits, -1).gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
            counted = labels != IGNORED
            out[places, 0] = (likely * counted).double().sum(1).cpu().numpy()
            out[places, 1] = counted.sum(1).cpu().numpy()
    return out
