"""The keys and values of rows that are decoded together: rows of other lengths join, and leave, between any two steps.

All rows end at the same place, and a shorter one has padding before its first token. Room is kept for the steps to come, so that a
step writes one place and copies nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOM = 64  # places for further tokens, each time that there are none left


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """The keys and values of one layer, each (rows, heads, tokens, size), with room for more tokens behind them."""

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        super().lazy_initialization(key_states, value_states)
        self.set_states(key_states[:, :, :0], value_states[:, :, :0])

    def set_states(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Hold these, with no room behind them."""
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self.keys, self.values = self._key_room, self._value_room = keys, values

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put the states of new tokens behind the others; all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        begin, end = self.keys.shape[2], self.keys.shape[2] + key_states.shape[2]
        if self._key_room.shape[2] < end:
            self._key_room, self._value_room = (_with_room(states, end) for states in (self.keys, self.values))
        self._key_room[:, :, begin:end] = key_states
        self._value_room[:, :, begin:end] = value_states
        self.keys, self.values = self._key_room[:, :, :end], self._value_room[:, :, :end]
        return self.keys, self.values

    def reset(self) -> None:
        self.is_initialized = False


def _with_room(states: torch.Tensor, end: int) -> torch.Tensor:
    rows, heads, tokens, size = states.shape
    roomy = states.new_empty((rows, heads, end + ROOM, size))
    roomy[:, :, :tokens] = states
    return roomy


def roomy_cache(states: Sequence[tuple[torch.Tensor, torch.Tensor]] = ()) -> DynamicCache:
    """A cache of the keys and values of each layer; without any, of as many layers as a network will write."""
    cache = DynamicCache()  # without a config: a network with a sliding window masks what lies outside of it
    cache.layer_class_to_replicate = RoomyLayer
    for keys, values in states:
        layer = RoomyLayer()
        layer.set_states(keys, values)
        cache.layers.append(layer)
    return cache


def join_caches(first: DynamicCache, second: DynamicCache) -> DynamicCache:
    """The rows of both, those of the second behind those of the first, the shorter of the two padded on the left."""
    return roomy_cache(
        [
            (_join_states(mine.keys, other.keys), _join_states(mine.values, other.values))
            for mine, other in zip(first.layers, second.layers, strict=True)
        ]
    )


def _join_states(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    (rows, heads, tokens, size), (more, _, others, _) = first.shape, second.shape
    joined = first.new_zeros((rows + more, heads, max(tokens, others), size))  # what is masked must be a number none the less
    joined[:rows, :, joined.shape[2] - tokens :] = first
    joined[rows:, :, joined.shape[2] - others :] = second
    return joined


def select_rows(cache: DynamicCache, rows: torch.Tensor, begin: int) -> DynamicCache:
    """Some of the rows, without the first `begin` places."""
    return roomy_cache(list(_selected(cache, rows, begin)))


def _selected(cache: DynamicCache, rows: torch.Tensor, begin: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for layer in cache.layers:
        yield layer.keys[:, :, begin:].index_select(0, rows), layer.values[:, :, begin:].index_select(0, rows)
