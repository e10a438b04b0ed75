"""Rows of tokens as batches: padded on the right, with a mask of what is read, and rows of like length together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from tasks.problems.types import Example

IGNORED = -100  # the label of a token that no loss is taken on


def pad_tokens(ids: Sequence[Sequence[int]], pad_id: int) -> dict[str, torch.Tensor]:
    """Rows of token ids as one batch (rows, longest row): `input_ids`, and `attention_mask`, 1 on what is read."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    padded = pad_sequence([torch.tensor(row, dtype=torch.long) for row in ids], batch_first=True, padding_value=pad_id)
    lengths = torch.tensor([len(row) for row in ids])
    return {"input_ids": padded, "attention_mask": (torch.arange(padded.shape[1]) < lengths[:, None]).long()}


def pad_examples(rows: Sequence[Example], pad_id: int) -> dict[str, torch.Tensor]:
    """Rows with a label for each token, where they have any, as one batch; no loss is taken on the padding."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    batch = pad_tokens([row["input_ids"] for row in rows], pad_id)
    if "labels" in rows[0]:
        labels = [torch.tensor(row["labels"], dtype=torch.long) for row in rows]
        batch["labels"] = pad_sequence(labels, batch_first=True, padding_value=IGNORED)
    return batch


def batches_by_length(
    rows: Sequence[Example],
    collate: Callable[[list[Example]], dict[str, torch.Tensor]],
    batch_size: int,
    device: torch.device,
    *,
    shortest: float = 0.0,
) -> Iterator[tuple[list[int], dict[str, torch.Tensor]]]:
    """Batches on a device with the places of their rows, the longest rows first.

    A row of a batch has at least the share `shortest` of the tokens of its longest: padding costs as much as text.
    """
    lengths = [len(row["input_ids"]) for row in rows]
    batch: list[int] = []
    for place in [*sorted(range(len(rows)), key=lambda place: (-lengths[place], place)), None]:
        is_full = place is None or len(batch) == batch_size or (batch and lengths[place] < shortest * lengths[batch[0]])
        if batch and is_full:
            yield batch, {name: tensor.to(device) for name, tensor in collate([rows[each] for each in batch]).items()}
            batch = []
        if place is not None:
            batch.append(place)
