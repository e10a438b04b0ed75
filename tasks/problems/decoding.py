"""How the tokens of an answer are chosen: a config's settings as the arguments of transformers' `generate`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from configs.schema import Decoding

if TYPE_CHECKING:
    from collections.abc import Iterator


def generation_settings(decoding: Decoding, given: int, texts: Sequence[str]) -> dict[str, object]:
    """The arguments of `generate` for a batch of texts; the first `given` tokens of its rows are no part of the answers.

    Greedy where nothing is set. What an answer may not repeat is what was written, not what was read and not its padding: so no
    answer hangs on the rows beside it.
    """
    if decoding == Decoding():
        return {"do_sample": False, "num_beams": 1}
    return {
        "do_sample": False,
        "num_beams": decoding.beams,
        "num_return_sequences": 1,
        "length_penalty": float(decoding.length_penalty),
        "early_stopping": False,
        "repetition_penalty": 1.0,
        "no_repeat_ngram_size": 0,
        "logits_processor": LogitsProcessorList(_processors(decoding, given, texts)),
    }


def rows_at_once(decoding: Decoding, batch_size: int) -> int:
    """How many texts are answered in one batch: as many as take the memory of `batch_size` greedy answers, and at least one."""
    return max(1, batch_size // decoding.beams)


def _processors(decoding: Decoding, given: int, texts: Sequence[str]) -> Iterator[LogitsProcessor]:
    """Penalties first, then what is drawn from: transformers' own order."""
    if decoding.repetition_penalty != 1:
        yield RepetitionPenaltyLogitsProcessor(float(decoding.repetition_penalty), prompt_ignore_length=given)
    if decoding.no_repeat_ngram_size:
        yield _NoRepeatedNGram(decoding.no_repeat_ngram_size, given)
    if decoding.temperature is None:
        return
    yield TemperatureLogitsWarper(float(decoding.temperature))
    if decoding.top_k:
        yield TopKLogitsWarper(decoding.top_k)
    if decoding.top_p < 1:
        yield TopPLogitsWarper(float(decoding.top_p))
    yield _SeededDraw(decoding.seed, texts)


class _NoRepeatedNGram(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """Transformers' own, of what was written alone: there a prompt and its padding count as well."""

    def __init__(self, size: int, given: int) -> None:
        self.inner, self.given = NoRepeatNGramLogitsProcessor(size), given

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return self.inner(input_ids[:, self.given :], scores)  # type: ignore[no-any-return]


class _SeededDraw(LogitsProcessor):  # type: ignore[misc]
    """Adds Gumbel noise, after which the largest score is a draw from their softmax (Gumbel 1954; Maddison et al. 2014).

    Each row has a generator of its own, seeded by the setting and its text, and on the CPU: what is drawn for a text is the same in
    every batch, order and place.
    """

    def __init__(self, seed: int, texts: Sequence[str]) -> None:
        self.generators = [torch.Generator().manual_seed(_seed_of(seed, text)) for text in texts]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        size = scores.shape[-1]
        waits = torch.stack([torch.empty(size).exponential_(generator=generator) for generator in self.generators])
        return scores - waits.log().to(scores.device)


def _seed_of(seed: int, text: str) -> int:
    """63 bits that hang on both."""
    digest = hashlib.sha256(f"{seed}\n{text}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8]) >> 1
