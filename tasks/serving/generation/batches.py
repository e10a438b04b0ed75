"""Rows of one network that are decoded together, a token of each row a step.

Greedy tokens are those of transformers' `generate`: the same forward pass over left-padded rows, each with the positions of its own
tokens. A decoder takes rows in at any step. An encoder-decoder counts all rows' positions from their common start, so that rows
that come later are a batch of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, Protocol

import torch
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from tasks.serving.generation.key_value_cache import join_caches, roomy_cache, select_rows

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class RunningBatch(Protocol):
    """Rows that are decoded together; every method is called in torch's inference mode, by one thread."""

    can_join: bool

    def add(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Take rows in, behind those that are there: the logits (rows, vocabulary) of their next tokens."""

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Give every row its newest token: the logits (rows, vocabulary) of the next."""

    def keep(self, rows: Sequence[int]) -> None:
        """Let all other rows go."""


class DecoderBatch:
    """Rows of a decoder. `pad_id` fills the places before a shorter row's first token, which nothing attends to.

    Rows join only where the network is told each token's position: one that counts them itself counts the padding too.
    """

    def __init__(self, model: PreTrainedModel, pad_id: int) -> None:
        self._model, self._pad_id = _without_wrapper(model), pad_id
        self._accepts = set(signature(self._model.forward).parameters)
        self.can_join = "position_ids" in self._accepts
        self._cache: DynamicCache | None = None
        self._mask = torch.zeros((0, 0), dtype=torch.long, device=model.device)

    def add(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        longest, device = max(map(len, prompts)), self._model.device
        ids = torch.full((len(prompts), longest), self._pad_id, dtype=torch.long)
        mask = torch.zeros((len(prompts), longest), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask[row, longest - len(prompt) :] = 1
        cache, mask = roomy_cache(), mask.to(device)
        logits = self._forward(ids.to(device), mask, (mask.cumsum(1) - 1).clamp(min=0), cache)
        self._cache = cache if self._cache is None else join_caches(self._cache, cache)
        self._mask = _join_masks(self._mask, mask)
        return logits

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        ids = torch.tensor(tokens, device=self._mask.device)[:, None]
        positions = self._mask.sum(1, keepdim=True)
        self._mask = torch.cat((self._mask, self._mask.new_ones((len(tokens), 1))), 1)
        return self._forward(ids, self._mask, positions, self._cache)

    def keep(self, rows: Sequence[int]) -> None:
        if not rows or self._cache is None:
            self._cache, self._mask = None, self._mask[:0, :0]
            return
        places = torch.tensor(rows, device=self._mask.device)
        mask = self._mask.index_select(0, places)
        begin = int(mask.argmax(1).min())  # places that are padding in every row
        self._cache, self._mask = select_rows(self._cache, places, begin), mask[:, begin:]

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: DynamicCache | None) -> torch.Tensor:
        optional_inputs = {"position_ids": positions, "logits_to_keep": 1}
        further = {name: value for name, value in optional_inputs.items() if name in self._accepts}
        output = self._model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **further)
        return output.logits[:, -1].float()  # type: ignore[no-any-return]


def _without_wrapper(model: Any) -> PreTrainedModel:
    """The network itself, whose adapters are among its layers; what peft wraps around it does not say what it accepts."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _join_masks(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    joined = first.new_zeros((len(first) + len(second), max(first.shape[1], second.shape[1])))
    joined[: len(first), joined.shape[1] - first.shape[1] :] = first
    joined[len(first) :, joined.shape[1] - second.shape[1] :] = second
    return joined


class EncoderDecoderBatch:
    """Rows of an encoder-decoder that began together; `start` is the token that each of their targets follows."""

    can_join = False

    def __init__(self, model: PreTrainedModel, pad_id: int, start: int) -> None:
        self._model, self._pad_id, self._start = _without_wrapper(model), pad_id, start
        self._cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        self._read: torch.Tensor | None = None
        self._mask = torch.zeros((0, 0), dtype=torch.long)

    def add(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        longest, device = max(map(len, prompts)), self._model.device
        ids = torch.full((len(prompts), longest), self._pad_id, dtype=torch.long)
        mask = torch.zeros((len(prompts), longest), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.tensor(prompt)
            mask[row, : len(prompt)] = 1
        self._mask = mask.to(device)
        self._read = self._model.get_encoder()(input_ids=ids.to(device), attention_mask=self._mask).last_hidden_state
        return self.step([self._start] * len(prompts))

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        output = self._model(
            encoder_outputs=(self._read,),
            attention_mask=self._mask,
            decoder_input_ids=torch.tensor(tokens, device=self._mask.device)[:, None],
            past_key_values=self._cache,
            use_cache=True,
        )
        return output.logits[:, -1].float()  # type: ignore[no-any-return]

    def keep(self, rows: Sequence[int]) -> None:
        if not rows or self._read is None:
            return
        places = torch.tensor(rows, device=self._mask.device)
        self._cache.batch_select_indices(places)
        self._read, self._mask = self._read.index_select(0, places), self._mask.index_select(0, places)
