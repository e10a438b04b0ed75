"""What a version writes with: how it reads a prompt or a chat, how long both may be, and what ends an answer."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from configs.errors import InputError
from configs.schema import facts_of
from tasks.data.turns import Turn, question_fault, write_turns
from tasks.problems.chat_template import has_template, render_messages
from tasks.problems.conversations import turn_end
from tasks.problems.types import Network, padding_token
from tasks.serving.generation.batches import DecoderBatch, EncoderDecoderBatch, RunningBatch

if TYPE_CHECKING:
    from transformers import LogitsProcessorList, PreTrainedTokenizerBase

KEYS_AND_VALUES = frozenset({"full_attention", "sliding_attention"})  # transformers' names


@dataclass(frozen=True)
class Prompt:
    """What is to be answered: its tokens, and the text that is logged, its placeholders with their tags."""

    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Writer:
    """One version's network, to be written with token by token.

    `source` and `target` are tokenizers of its own, which never cut or pad: those of the network are set anew by every /predict,
    in another thread. `ends` are the tokens that end an answer, `marks` the texts of tokens that have a meaning of their own.
    `config` is the network's own way to decode, greedily: what it forbids, such as to repeat itself, holds here too.
    """

    version: str
    network: Network
    source: PreTrainedTokenizerBase
    target: PreTrainedTokenizerBase
    answer_tokens: int
    ends: frozenset[int]
    marks: tuple[str, ...]
    config: Any = field(repr=False)

    @property
    def continues_text(self) -> bool:
        """Whether prompt and answer are one text, which have their longest length together."""
        return facts_of(self.network.spec.problem).continues_text

    @property
    def reads_messages(self) -> bool:
        """Whether it was made to read chats."""
        return self.continues_text and has_template(self.source)

    @property
    def most_tokens(self) -> int:
        """The longest prompt, or prompt and answer together."""
        return self.network.spec.max_length

    def read_prompt(self, text: str) -> Prompt:
        """A prepared text as the network reads it."""
        ids = self.source(self.network.spec.read([text])[0])["input_ids"]
        return Prompt(text, tuple(ids))

    def read_messages(self, messages: Sequence[Mapping[str, str]]) -> Prompt:
        """Prepared messages as the network reads them.

        InputError where it has no template, where that refuses them, or where a message holds one of the tokenizer's own marks: it
        would be read as the end of a message, and what follows as somebody else's.
        """
        if self.network.spec.messages and (fault := question_fault([message["role"] for message in messages])):
            raise InputError(f"the conversation {fault}")
        views = self.network.spec.read([message["content"] for message in messages])
        for place, view in enumerate(views):
            if mark := self._mark_in(view):
                raise InputError(f"messages.{place}.content holds `{mark}`, a mark of the model's own: leave it out")
        read = [{**message, "content": view} for message, view in zip(messages, views, strict=True)]
        ids = self.source(render_messages(self.source, read), add_special_tokens=False)["input_ids"]
        if self.network.spec.messages:
            return Prompt(write_turns(Turn(message["role"], message["content"]) for message in messages), tuple(ids))
        return Prompt(self._without_begin(render_messages(self.source, messages)), tuple(ids))

    def _mark_in(self, view: str) -> str | None:
        """A mark of the tokenizer's own that a text would be read to hold: some are found in other spellings too."""
        if not self.marks:
            return None
        if mark := next((mark for mark in self.marks if mark in view), None):
            return mark
        tokens, unknown = self.source.added_tokens_decoder, self.source.unk_token_id
        ids = self.source(view, add_special_tokens=False)["input_ids"]
        return next((tokens[each].content for each in ids if each in tokens and tokens[each].special and each != unknown), None)

    def _without_begin(self, rendered: str) -> str:
        """A rendered chat as a prompt of the same tokens: the mark of its beginning is put there when it is tokenized."""
        mark, added = self.source.bos_token, self.source("")["input_ids"][:1]
        return rendered.removeprefix(mark) if mark and added == [self.source.bos_token_id] else rendered

    def room_for(self, prompt: Prompt) -> int:
        """The most tokens that an answer to it may have; none, or fewer, where the prompt is too long."""
        if self.continues_text:
            return self.most_tokens - len(prompt.tokens)
        return self.most_tokens if len(prompt.tokens) <= self.most_tokens else 0

    def open_batch(self) -> RunningBatch:
        """A batch with no rows in it."""
        pad_id = padding_token(self.source)
        if self.continues_text:
            return DecoderBatch(self.network.model, pad_id)
        return EncoderDecoderBatch(self.network.model, pad_id, self.network.tokenizer.start)

    def processors(self, prompt: Prompt) -> LogitsProcessorList:
        """What the network's own way to decode does to the logits of an answer; mostly nothing."""
        length = len(prompt.tokens) if self.continues_text else 1
        return self.network.model._get_logits_processor(self.config, input_ids_seq_length=length, device=self.network.model.device)

    def first_tokens(self, prompt: Prompt) -> tuple[int, ...]:
        """The tokens that stand before an answer's own."""
        return prompt.tokens if self.continues_text else (self.network.tokenizer.start,)


def make_writer(version: str, network: Network, answer_tokens: int) -> Writer | None:
    """The writer of a loaded network; `answer_tokens` is the longest answer where a caller does not name one.

    None where its layers remember otherwise than by keys and values of all tokens: no batch of rows can be made of those.
    """
    spec, model = network.spec, network.model
    layers = getattr(model.config.get_text_config(decoder=True), "layer_types", None) or ()
    if model._is_stateful or not set(layers) <= KEYS_AND_VALUES:
        return None
    continues = facts_of(spec.problem).continues_text
    source = copy.deepcopy(network.tokenizer if continues else network.tokenizer.source)
    target = source if continues else copy.deepcopy(network.tokenizer.target)
    own = model.generation_config.eos_token_id if continues else None
    ends = {target.eos_token_id, *(own if isinstance(own, list) else [own]), turn_end(source) if continues else None} - {None}
    longest = min(answer_tokens, max(1, spec.max_length // 2) if continues else spec.max_length)
    marks = tuple(token.content for token in source.added_tokens_decoder.values() if token.special and token.content.strip())
    config = _decoding_config(model, target, continues)
    return Writer(version, network, source, target, longest, frozenset(ends), marks, config)


def _decoding_config(model: Any, target: PreTrainedTokenizerBase, continues: bool) -> Any:
    """As /predict decodes: a decoder heeds what its base says of decoding, an encoder-decoder does not."""
    plain = {"do_sample": False, "num_beams": 1, "forced_eos_token_id": None}  # which hangs on a length that it does not know here
    neutral = {
        "min_length": 0,
        "no_repeat_ngram_size": 0,
        "repetition_penalty": 1.0,
        "forced_bos_token_id": None,
        "eos_token_id": target.eos_token_id,
    }
    config, _ = model._prepare_generation_config(None, **plain, **({} if continues else neutral))
    model._prepare_special_tokens(config, kwargs_has_attention_mask=True, device=model.device)
    return config
