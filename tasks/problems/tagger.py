"""A network with a head over the tags of each token: an encoder and one linear layer, over windows of a text of any length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from configs.errors import InputError
from tasks.data.redaction.placeholders import aligned_view
from tasks.problems.padding import IGNORED, batches_by_length, pad_examples
from tasks.problems.tagging import read_tag_names

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from tasks.problems.types import Autocast, Spec

OVERLAP = 4  # a window shares one token in so many with the next
SHORTEST = 0.5  # the tokens of a window, as a share of those of the longest in its batch


@dataclass(frozen=True)
class Window:
    """Token ids of a part of a text, as the network reads them, and the tokens that are read from it.

    `tokens` are places within `ids`. A token that two windows hold is read from the one that shows more around it.
    """

    row: int
    ids: list[int]
    tokens: range
    places: list[tuple[int, int]]


def build_tagger(encoder: nn.Module, hidden_size: int, tags: int) -> nn.Module:
    """An encoder with a fresh head of shape (tags, hidden_size) for every token; the caller seeds."""
    from torch import nn

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder
            self.head = nn.Linear(hidden_size, tags)
            nn.init.normal_(self.head.weight, std=0.02)
            nn.init.zeros_(self.head.bias)

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: object) -> dict[str, torch.Tensor]:
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return {"logits": self.head(hidden).float()}

    return Tagger()


def load_tagger(path: Path, labels: Sequence[str]) -> nn.Module:
    """A model with the head that it was fine-tuned with, as `save_pretrained` wrote both; `forward` as a tagger's of these labels.

    Where a label has one output for its first and its later tokens, the first is the less likely by a hair: such tokens go on.
    """
    import torch
    from transformers import AutoModelForTokenClassification

    network = AutoModelForTokenClassification.from_pretrained(
        path, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
    )
    outputs = read_tag_names({int(code): str(name) for code, name in network.config.id2label.items()}) or {}
    pairs = [outputs[label] for label in labels]
    columns = torch.tensor([outputs[""][0], *(code for pair in pairs for code in pair)])
    less = torch.tensor([0.0, *(value for first, later in pairs for value in (1e-3 if first == later else 0.0, 0.0))])

    class OwnHead(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.encoder = network.base_model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: object) -> dict[str, torch.Tensor]:
            logits = self.network(input_ids=input_ids, attention_mask=attention_mask).logits.float()
            return {"logits": logits[..., columns.to(logits.device)] - less.to(logits.device)}

    return OwnHead()


def cut_windows(tokenizer: PreTrainedTokenizerBase, spec: Spec, texts: Sequence[str]) -> list[Window]:
    """All windows of all texts, by text and place; places count the characters of the texts as they are stored.

    A text is read in the network's view of placeholders, and a token of one has the place of all of it.
    InputError where the tokenizer does not say where its tokens lie, or `model.max_length` leaves no room for any.
    """
    if not texts:
        return []
    overlap = _overlap(tokenizer, spec)
    views = [aligned_view(text, spec.text_view) for text in texts]
    encoded = tokenizer(
        [view for view, _ in views], truncation=True, max_length=spec.max_length, stride=overlap, return_overflowing_tokens=True,
        return_offsets_mapping=True, return_special_tokens_mask=True,
    )  # fmt: skip
    rows: list[int] = list(encoded["overflow_to_sample_mapping"])
    windows = []
    for number, row in enumerate(rows):
        own = [place for place, mark in enumerate(encoded["special_tokens_mask"][number]) if not mark]
        first = overlap // 2 if number and rows[number - 1] == row else 0
        last = len(own) - (overlap - overlap // 2 if number + 1 < len(rows) and rows[number + 1] == row else 0)
        tokens = range(own[first], own[last - 1] + 1) if own else range(0)
        offsets, back = encoded["offset_mapping"][number], views[row][1].back
        windows.append(Window(row, encoded["input_ids"][number], tokens, [back(*offsets[token]) for token in tokens]))
    return windows


def _overlap(tokenizer: PreTrainedTokenizerBase, spec: Spec) -> int:
    if not tokenizer.is_fast:
        raise InputError(
            f"model.base {spec.base_name}: its tokenizer ({type(tokenizer).__name__}) does not say where in a text its tokens lie, "
            "and spans are found by that: write it as tokenizer.json (transformers' fast tokenizers), or name another base"
        )
    room = spec.max_length - int(tokenizer.num_special_tokens_to_add(pair=False))
    if room < 1:
        raise InputError(f"model.max_length: {spec.max_length} leaves no room for a token beside the special ones: raise it")
    return room // OVERLAP


def tag_loss(
    outputs: dict[str, torch.Tensor], labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Cross-entropy summed over the tokens that have a tag, divided by those of the whole accumulated batch."""
    from torch.nn.functional import cross_entropy

    logits = outputs["logits"]
    summed = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
    count = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
    return summed / (count.clamp(min=1) if hasattr(count, "clamp") else max(1, count))


def window_logits(
    model: Any, windows: Sequence[Window], pad_id: int, batch_size: int, autocast: Autocast
) -> list[npt.NDArray[np.float32]]:
    """The logits (tokens, tags) of the tokens that are read from each window; longest windows first, of like length together."""
    import torch

    rows, collate = [{"input_ids": window.ids} for window in windows], partial(pad_examples, pad_id=pad_id)
    device = next(model.parameters()).device
    out: list[npt.NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(windows)
    model.eval()
    with torch.inference_mode():
        for places, batch in batches_by_length(rows, collate, batch_size, device, shortest=SHORTEST):
            with autocast():
                logits = model(**batch)["logits"].float().cpu().numpy()
            for own, place in zip(logits, places, strict=True):
                tokens = windows[place].tokens
                out[place] = own[tokens.start : tokens.stop].copy()
    return out
