"""A kept model made ready to answer: adapters merged, weights held as they are multiplied, batches that pad next to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tasks.data.text_parts import MARK, map_parts
from tasks.learning.adapters import merge_adapters
from tasks.learning.device import Numerics, autocast, numerics
from tasks.learning.unpadded import UnpaddedPass
from tasks.problems import classifier, problem_of
from tasks.problems.encoder_head import Encoder, EncoderHead
from tasks.serving.batcher import Prediction
from tasks.serving.embedder import Embedder
from tasks.serving.generation.writer import Writer, make_writer
from tasks.serving.packaged_model import PackagedModel
from tasks.serving.text_preparation import Recipe

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

# What one more pass through the model costs, in tokens: MiniLM on a CPU core 3.5 ms beside 0.08 ms a token; a GPU is busy with a
# few thousand tokens for as long as its kernels take to start.
HEAD = 12  # characters a token, far more than words have
PASS = {"cpu": 48, "cuda": 4096}
WARM = ("a", "one more", "two more", "a longer text, so that more than one shape has been seen before anybody waits for it " * 8)


@dataclass
class ReadyModel:
    """A version that answers; one thread at a time may ask it.

    `how` is what its numbers are computed with, `flat` the way without padding where it fits the model, `writer` the way to write
    texts token by token, where it writes any.
    """

    version: str
    kept: PackagedModel
    how: Numerics
    flat: UnpaddedPass | None = None
    writer: Writer | None = None

    @property
    def recipe(self) -> Recipe:
        """How its texts are prepared."""
        return self.kept.recipe

    @cached_property
    def embedder(self) -> Embedder:
        """What gives texts their vectors: one for all requests, which go through the network together."""
        return Embedder(self)

    def answers(self, texts: Sequence[str]) -> list[Prediction | None]:
        """One answer a text, in their order; the texts come back as they are logged, their placeholders with tags.

        None for a text that is not answered: its search for personal data is over its budget.
        """
        prepared = self.kept.prepare_each(texts)
        ready = [text for text in prepared if text is not None]
        predictions = iter(self._predict_ready(ready) if ready else ())
        return [None if text is None else next(predictions) for text in prepared]

    def _predict_ready(self, ready: list[str]) -> list[Prediction]:
        network = self.kept.network
        problem = problem_of(network.spec.problem)
        if isinstance(problem, EncoderHead):
            answers = problem.read_logits(network.spec, self._logits(self._text_ids(problem.network_inputs(ready))))
        else:
            writing, how = self.kept.preparation.writing, autocast(self.how)
            answers = problem.answer_texts(network, ready, writing, len(ready), how)
        caller_answers = [self.kept.for_caller(*pair) for pair in zip(ready, answers, strict=True)]
        return [Prediction(text, said.prediction, said.score, said.raw) for text, said in zip(ready, caller_answers, strict=True)]

    def vectors(self, ready: list[str]) -> tuple[npt.NDArray[np.float32], list[int]]:
        """The vectors (n, width) of prepared texts, where its problem gives vectors, and how many tokens each has."""
        ids = self._text_ids(ready)
        return self._logits(ids), [len(row) for row in ids]

    def _text_ids(self, ready: list[str]) -> list[list[int]]:
        network = self.kept.network
        return encode_heads(network.tokenizer, network.spec.read(ready), network.spec.max_length)

    def _logits(self, ids: list[list[int]]) -> npt.NDArray[np.float32]:
        return self.flat.logits(ids) if self.flat else self._padded_logits(ids)

    def _padded_logits(self, ids: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        network, parts = self.kept.network, dict[int, npt.NDArray[np.float32]]()
        for rows in cut_batches([len(row) for row in ids], PASS[self.how.device]):
            batch = [ids[row] for row in rows]
            logits = classifier.run_in_batches(network.model, batch, network.pad_id, len(batch), autocast(self.how))
            parts |= dict(zip(rows, logits, strict=True))
        return np.stack([parts[row] for row in range(len(ids))])


def encode_heads(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token ids as `classifier.encode_texts` gives them, of a long text from its head where that fills `max_length`.

    100 kB are 50,000 tokens, of which a few hundred are read. What a word's tokens are hangs on that word alone.
    """
    heads = [_text_head(text, HEAD * max_length) for text in texts]
    ids = classifier.encode_texts(tokenizer, heads, max_length)
    short = [place for place, row in enumerate(ids) if len(row) < max_length and heads[place] is not texts[place]]
    for place in short:
        ids[place] = classifier.encode_texts(tokenizer, [texts[place]], max_length)[0]
    return ids


def _text_head(text: str, size: int) -> str:
    """A text up to the last word that ends within `size` characters; all of it where it is not much longer. Of two texts each."""
    if MARK in text:
        return map_parts(lambda part: _text_head(part, size), text)
    if len(text) <= 2 * size:
        return text
    return text[: text.rfind(" ", 0, size)] if " " in text[:size] else text


def make_ready(version: str, package: PackagedModel) -> ReadyModel:
    """Settle a loaded model's weights and let it answer a few texts, so that the first caller waits no longer than the next."""
    how, network = numerics(package.preparation.precision), package.network  # type: ignore[arg-type]
    answering, problem = ReadyModel(version, package, how), problem_of(network.spec.problem)
    if isinstance(problem, EncoderHead):
        _settle_weights(network.model, how)
        flat = UnpaddedPass(network.model, autocast(how))
        ids = classifier.encode_texts(network.tokenizer, WARM, network.spec.max_length)
        answering.flat = flat if flat.fits(ids, answering._padded_logits) else None
    elif isinstance(problem, Encoder):
        _settle_weights(network.model, how)
    else:
        _settle_weights(network.model, None)
        answering.writer = make_writer(version, network, package.preparation.new_tokens)
    for texts in (WARM[:1], WARM * 4):
        answering.answers(texts)
    return answering


def _settle_weights(model: nn.Module, how: Numerics | None) -> None:
    """Merge adapters into the layers they are beside and, where products run in bf16, hold those weights in bf16.

    Autocast would cast them at each pass, to the same values. A decoder writes in the precision it was stored in.
    """
    import torch

    merge_adapters(model)
    model.requires_grad_(False)
    if how is not None and how.dtype == "bf16":
        for layer in model.modules():
            if isinstance(layer, torch.nn.Linear):
                layer.to(torch.bfloat16)


def cut_batches(lengths: Sequence[int], one_pass: int) -> list[list[int]]:
    """Rows in batches of like length: of all ways to cut the sorted rows the one with the fewest tokens, padding included.

    A batch counts as `one_pass` tokens more. Exact, by dynamic programming over the distinct lengths.
    """
    if not lengths:
        return []
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    starts = [place for place, row in enumerate(order) if place == 0 or lengths[row] != lengths[order[place - 1]]]
    ends = [*starts[1:], len(order)]
    cost, come = [0, *([0] * len(starts))], [0] * (len(starts) + 1)
    for done, end in enumerate(ends, 1):
        cost[done], come[done] = min(
            (cost[first] + one_pass + (end - starts[first]) * lengths[order[starts[first]]], first) for first in range(done)
        )
    batches, done = [], len(starts)
    while done:
        batches.append(order[starts[come[done]] : ends[done - 1]])
        done = come[done]
    return batches[::-1]
