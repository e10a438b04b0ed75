"""The likelihood of targets under a network, token by token: the score of decoders and encoder-decoders alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.problems.types import Autocast, Example, Floats

if TYPE_CHECKING:
    import torch
    from torch import nn

IGNORED = -100  # the label of a token that no loss is taken on


def pad_examples(rows: Sequence[Example], pad_id: int) -> dict[str, torch.Tensor]:
    """Rows as one batch, padded on the right, with a mask of what is read; no loss is taken on the padding of labels."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    ids = [torch.tensor(row["input_ids"]) for row in rows]
    lengths = torch.tensor([len(row) for row in ids])
    padded = pad_sequence(ids, batch_first=True, padding_value=pad_id)
    return {
        "input_ids": padded,
        "attention_mask": (torch.arange(padded.shape[1]) < lengths[:, None]).long(),
        "labels": pad_sequence([torch.tensor(row["labels"]) for row in rows], batch_first=True, padding_value=IGNORED),
    }


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

    order = sorted(range(len(rows)), key=lambda row: (-len(rows[row]["input_ids"]), row))
    device, out = next(model.parameters()).device, np.zeros((len(rows), 2))
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            batch = {name: tensor.to(device) for name, tensor in collate([rows[place] for place in places]).items()}
            labels = batch.pop("labels")[:, int(shifted) :]
            with autocast():
                logits = model(**batch).logits[:, : labels.shape[1]].float()
            likely = torch.log_softmax(logits, -1).gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
            counted = labels != IGNORED
            out[places, 0] = (likely * counted).double().sum(1).cpu().numpy()
            out[places, 1] = counted.sum(1).cpu().numpy()
    return out
