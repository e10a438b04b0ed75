"""Runs texts of any lengths in one pass without padding: tokens lie end to end, and attention alone knows where a text ends.

Linear layers, norms and activations work on one token at a time, so the tokens of many texts can share a pass. It fits encoders
that take positions and attend through transformers' own interface, as most do; `fits` tries it on some texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import nn

    from tasks.problems.types import Autocast

NAME = "tunekeeper_flat"
MOST_TOKENS = 16_384  # in one pass
TOLERANCE = 1e-3  # of a logit, of those of the padded pass; in bf16 thirty times that
STEPS = ((256, 16), (2048, 64), (MOST_TOKENS, 256))  # so many tokens at most: their number is made a multiple of
POOLINGS = ("mean", "first", "last", "max")


class Stretch(NamedTuple):
    """`texts` texts of `length` tokens each, from token `start` on."""

    start: int
    texts: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.texts * self.length


class UnpaddedPass:
    """The unpadded way through a classifier; `autocast` as for the padded one."""

    def __init__(self, model: Any, autocast: Autocast) -> None:
        from transformers import AttentionInterface, PreTrainedModel

        AttentionInterface.register(NAME, attend_within_texts)
        self.model, self.autocast = model, autocast
        self.encoder = next(part for part in model.encoder.modules() if isinstance(part, PreTrainedModel))
        self.before = self.encoder.config._attn_implementation

    def fits(self, ids: Sequence[Sequence[int]], padded: Callable[[Sequence[Sequence[int]]], npt.NDArray[np.float32]]) -> bool:
        """Whether it gives the logits of the padded way on some texts; if not, the model is left as it was."""
        if self.model.pooling not in POOLINGS or self.encoder.device.type != "cpu":
            return False
        expected = padded(ids)
        self.encoder.set_attn_implementation(NAME)
        try:
            logits = self.logits(ids)
        except (
            TypeError,
            KeyError,
            ValueError,
            RuntimeError,
            IndexError,
            AttributeError,
        ):  # it takes no positions, or attends in its own way
            logits = np.full_like(expected, np.nan)
        tolerance = TOLERANCE * (30 if any(value.dtype == torch.bfloat16 for value in self.model.parameters()) else 1)
        if np.abs(logits - expected).max() <= tolerance * max(1.0, np.abs(expected).max()):
            return True
        self.leave()
        return False

    def leave(self) -> None:
        """Let the model attend as before: the padded way is open again."""
        self.encoder.set_attn_implementation(self.before)

    def logits(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """(n, labels), in the order given."""
        order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
        out: list[npt.NDArray[np.float32]] = []
        while sum(map(len, out)) < len(order):
            begin = sum(map(len, out))
            end, tokens = begin, 0
            while end < len(order) and (end == begin or tokens + len(ids[order[end]]) <= MOST_TOKENS):
                tokens += len(ids[order[end]])
                end += 1
            out.append(self._run_pass([ids[row] for row in order[begin:end]]))
        logits = np.concatenate(out)
        unsorted = np.empty_like(logits)
        unsorted[order] = logits
        return unsorted

    def _run_pass(self, rows: list[Sequence[int]]) -> npt.NDArray[np.float32]:
        stretches, start = [], 0
        for length, same in groupby(map(len, rows)):
            stretches.append(Stretch(start, sum(1 for _ in same), length))
            start = stretches[-1].end
        filled = np.zeros((2, pass_tokens(start)), np.int64)
        np.concatenate([np.asarray(row, np.int64) for row in rows], out=filled[0, :start])
        np.concatenate([np.arange(len(row)) for row in rows], out=filled[1, :start])
        tokens, positions = torch.from_numpy(filled).unsqueeze(1)
        with torch.inference_mode(), self.autocast():
            hidden = self.encoder(input_ids=tokens, position_ids=positions, stretches=stretches).last_hidden_state[0]
            logits = self.model.head(torch.cat([self._pool_texts(hidden[part.start : part.end], part) for part in stretches]))
        return logits.float().numpy()  # type: ignore[no-any-return]

    def _pool_texts(self, hidden: torch.Tensor, part: Stretch) -> torch.Tensor:
        of_texts = hidden.view(part.texts, part.length, -1)
        match self.model.pooling:
            case "mean":
                return of_texts.mean(1)
            case "max":
                return of_texts.amax(1)
            case "first":
                return of_texts[:, 0]
            case _:
                return of_texts[:, -1]


def pass_tokens(tokens: int) -> int:
    """How many tokens a pass is given: the CPU's kernels are built and cached per number, so there should be few."""
    step = next((step for most, step in STEPS if tokens <= most), 1)
    return -(-tokens // step) * step


def attend_within_texts(
    module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, _mask: object, *, stretches: list[Stretch],
    scaling: float | None = None, is_causal: bool | None = None, **_: object,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Attention within each text, in fp32, which is faster for few tokens: (1, heads, tokens, d) -> (1, tokens, heads, d)."""
    causal = getattr(module, "is_causal", False) if is_causal is None else is_causal
    out = torch.zeros((1, query.shape[2], query.shape[1], value.shape[-1]), dtype=value.dtype)
    with torch.autocast("cpu", enabled=False):
        whole = (query.float(), key.float(), value.float())
        for part in stretches:
            q, k, v = (_view_by_text(each, part) for each in whole)
            grouped = key.shape[1] != query.shape[1]
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scaling, enable_gqa=grouped)
            out[0, part.start : part.end] = mixed.transpose(1, 2).flatten(0, 1)
    return out, None


def _view_by_text(whole: torch.Tensor, part: Stretch) -> torch.Tensor:
    """(1, heads, tokens, d) -> (texts, heads, length, d), a view."""
    return whole[0, :, part.start : part.end].view(whole.shape[1], part.texts, part.length, -1).transpose(0, 1)
