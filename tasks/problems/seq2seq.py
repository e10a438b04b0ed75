"""An encoder-decoder: how its pairs are encoded, how likely it finds a target, what it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InputError
from tasks.problems.likelihood import IGNORED, pad_examples
from tasks.problems.types import Example, padding_token, read_tokenizer

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
    from transformers.modeling_outputs import Seq2SeqLMOutput


@dataclass(frozen=True)
class PairedTokenizer:
    """The tokenizer of a network's input, and the one of its output: often the same.

    `start` is the token that its decoder begins with.
    """

    source: PreTrainedTokenizerBase
    target: PreTrainedTokenizerBase
    start: int

    @property
    def pad_token_id(self) -> int:
        """The token that pads a batch of inputs."""
        return padding_token(self.source)

    @property
    def eos_token_id(self) -> int:
        """The token that ends an output."""
        return int(self.target.eos_token_id)


def read_tokenizers(base: Path, target_tokenizer: str) -> PairedTokenizer:
    """Both tokenizers of a base; `target_tokenizer` is a folder within it, or empty."""
    from transformers import AutoConfig

    source = read_tokenizer(base)
    target = read_tokenizer(base / target_tokenizer) if target_tokenizer else source
    return PairedTokenizer(
        source, target, first_token(AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False))
    )


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

    Labels are as the tokenizer makes them, a mark at their beginning included: bases are trained to write it.
    """
    if not len(rows):
        return []
    sources = tokenizer.source(rows["text"].tolist(), truncation=True, max_length=max_length)["input_ids"]
    targets = tokenizer.target(text_target=rows["target"].tolist(), truncation=True, max_length=max_length)["input_ids"]
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


def write_targets(
    model: PreTrainedModel, tokenizer: PairedTokenizer, texts: Sequence[str], max_length: int, new_tokens: int, batch_size: int
) -> list[str]:
    """Greedy targets of texts, in their order, the same every time; the decoding settings of the base are ignored."""
    import torch

    answers: list[str] = []
    model.eval()
    for begin in range(0, len(texts), batch_size):
        batch = tokenizer.source(
            list(texts[begin : begin + batch_size]), return_tensors="pt", padding=True, truncation=True, max_length=max_length
        )
        with torch.inference_mode():
            generated = model.generate(
                **{name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")},
                do_sample=False,
                num_beams=1,
                max_new_tokens=min(new_tokens, max_length),
                min_length=0,
                no_repeat_ngram_size=0,
                repetition_penalty=1.0,
                forced_bos_token_id=None,
                forced_eos_token_id=None,
                decoder_start_token_id=tokenizer.start,
                pad_token_id=padding_token(tokenizer.target),
                eos_token_id=tokenizer.eos_token_id,
                use_cache=True,
            )
        answers += tokenizer.target.batch_decode(generated[:, 1:], skip_special_tokens=True)
    return [answer.strip() for answer in answers]
