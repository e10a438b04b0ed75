"""An encoder-decoder: how its pairs are encoded, how likely it finds a target, what it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InputError
from tasks.problems.languages import language_mark, language_marks, marks_languages
from tasks.problems.padding import IGNORED, pad_examples
from tasks.problems.types import Example, Network, Writing, padding_token, read_tokenizer

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedTokenizerBase
    from transformers.modeling_outputs import Seq2SeqLMOutput


@dataclass(frozen=True)
class PairedTokenizer:
    """The tokenizer of a network's input, and the one of its output: often the same.

    `start` is the token that its decoder begins with. `first` holds the one that every target begins with where that is the mark of
    its language; `marked`: both sides are set to languages.
    """

    source: PreTrainedTokenizerBase
    target: PreTrainedTokenizerBase
    start: int
    first: tuple[int, ...] = ()
    marked: bool = False

    @property
    def pad_token_id(self) -> int:
        """The token that pads a batch of inputs."""
        return padding_token(self.source)

    @property
    def eos_token_id(self) -> int:
        """The token that ends an output."""
        return int(self.target.eos_token_id)


def read_plain(base: Path, target_tokenizer: str) -> tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase]:
    """Both tokenizers of a base, set to no language; one and the same where `target_tokenizer` is empty."""
    source = read_tokenizer(base)
    return source, read_tokenizer(base / target_tokenizer) if target_tokenizer else source


def read_tokenizers(base: Path, target_tokenizer: str, languages: tuple[str, ...] = ()) -> PairedTokenizer:
    """Both tokenizers of a base; `target_tokenizer` is a folder within it, or empty.

    Where they mark languages they are set to these. A target begins with the mark of its language behind the token that the base
    names for all targets (mBART-50, NLLB, M2M-100); where that token is such a mark or none, the decoder begins with the mark
    instead (mBART).
    """
    from transformers import AutoConfig

    source, target = read_plain(base, target_tokenizer)
    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    if not languages or not (marks_languages(source) or marks_languages(target)):
        return PairedTokenizer(source, target, first_token(config))
    name = config.name_or_path
    language_mark(source, languages[0], "model.languages.source", name)
    mark, start = language_mark(target, languages[1], "model.languages.target", name), config.decoder_start_token_id
    source.src_lang, source.tgt_lang = languages
    target.src_lang, target.tgt_lang = languages
    if start is None or start in language_marks(target).values():
        return PairedTokenizer(source, target, mark, marked=True)
    return PairedTokenizer(source, target, int(start), (mark,), marked=True)


def load_seq2seq(path: Path) -> nn.Module:
    """The base with its language-model head, in fp32."""
    import torch
    from transformers import AutoModelForSeq2SeqLM

    return AutoModelForSeq2SeqLM.from_pretrained(  # type: ignore[no-any-return]
        path, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
    )


def first_token(config: PretrainedConfig) -> int:
    """The token that every target follows; InputError where the base's config.json names none."""
    start = config.decoder_start_token_id
    if start is None:
        raise InputError(
            f"model.base {config.name_or_path}: its config.json names no decoder_start_token_id, the token that a target begins "
            "with: add the one that its weights were made with"
        )
    return int(start)


def encode_pairs(tokenizer: PairedTokenizer, rows: pd.DataFrame, max_length: int) -> list[Example]:
    """Sources as token ids, targets as labels with their end token; each cut to `max_length`, a target before its end.

    Labels are as the tokenizer makes them, a mark at their beginning included: bases are trained to write it. The mark of a
    language stands where the base expects it, whatever the tokenizer does with it.
    """
    if not len(rows):
        return []
    sources = tokenizer.source(rows["text"].tolist(), truncation=True, max_length=max_length)["input_ids"]
    target_tokens = tokenizer.target(
        text_target=rows["target"].tolist(), truncation=True, max_length=max_length, add_special_tokens=not tokenizer.marked
    )["input_ids"]
    targets = [[*tokenizer.first, *target][:max_length] for target in target_tokens]
    return [
        {"input_ids": source, "labels": _with_end_token(target, tokenizer.eos_token_id, max_length)}
        for source, target in zip(sources, targets, strict=True)
    ]


def _with_end_token(target: list[int], end: int, max_length: int) -> list[int]:
    return target if target[-1:] == [end] else [*target[: max_length - 1], end]


def collate_pairs(tokenizer: PairedTokenizer) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
    """Pairs -> one batch padded on the right: `decoder_input_ids` are the labels one place later, behind the start token."""
    import torch

    def batch(rows: list[Example]) -> dict[str, torch.Tensor]:
        padded = pad_examples(rows, tokenizer.pad_token_id)
        labels = padded["labels"]
        behind = labels[:, :-1].masked_fill(labels[:, :-1] == IGNORED, tokenizer.pad_token_id)
        start = labels.new_full((len(rows), 1), tokenizer.start)
        return {**padded, "decoder_input_ids": torch.cat((start, behind), 1)}

    return batch


def token_loss(smoothing: float) -> Callable[..., torch.Tensor]:
    """Cross-entropy summed over the targets' tokens and divided by those of the whole accumulated batch."""
    from torch.nn.functional import cross_entropy

    def compute(
        outputs: Seq2SeqLMOutput, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        logits = outputs["logits"].float().flatten(0, 1)
        total = cross_entropy(logits, labels.flatten(), ignore_index=IGNORED, label_smoothing=smoothing, reduction="sum")
        return total / ((labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch)

    return compute


def write_targets(network: Network, texts: Sequence[str], writing: Writing, batch_size: int) -> list[str]:
    """Targets of texts, in their order, the same every time; the decoding settings of the base are ignored."""
    from tasks.problems.decoding import generation_settings, rows_at_once

    tokenizer, most = network.tokenizer, network.spec.max_length
    size, start_tokens = rows_at_once(writing.decoding, batch_size), 1 + len(tokenizer.first)
    answers: list[str] = []
    for begin in range(0, len(texts), size):
        part = list(texts[begin : begin + size])
        batch = tokenizer.source(part, return_tensors="pt", padding=True, truncation=True, max_length=most)
        new_tokens = min(writing.new_tokens + len(tokenizer.first), most)
        generated = _generate_tokens(network, batch, new_tokens, generation_settings(writing.decoding, start_tokens, part))
        answers += tokenizer.target.batch_decode(generated[:, 1:], skip_special_tokens=True)
    return [answer.strip() for answer in answers]


def _generate_tokens(
    network: Network, batch: Mapping[str, torch.Tensor], new_tokens: int, settings: Mapping[str, object]
) -> torch.Tensor:
    """(rows, tokens): the targets of a batch of sources, behind the token that a decoder begins with."""
    import torch

    model, tokenizer = network.model.eval(), network.tokenizer
    fixed = {"min_length": 0, "no_repeat_ngram_size": 0, "repetition_penalty": 1.0, "forced_eos_token_id": None}
    with torch.inference_mode():
        return model.generate(  # type: ignore[no-any-return]
            **{name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")},
            **{**fixed, **settings},
            max_new_tokens=new_tokens,
            forced_bos_token_id=tokenizer.first[0] if tokenizer.first else None,
            decoder_start_token_id=tokenizer.start,
            pad_token_id=padding_token(tokenizer.target),
            eos_token_id=tokenizer.eos_token_id,
            use_cache=True,
        )
