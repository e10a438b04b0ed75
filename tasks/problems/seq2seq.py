"""An encoder-decoder: how its pairs are encoded, how likely it finds a target, what it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from configs.errors import InputError
from tasks.problems.types import Autocast, Example, padding_token, read_tokenizer

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
    from transformers.modeling_outputs import Seq2SeqLMOutput

IGNORED = -100  # the label of a token that no loss is taken on


@dataclass(frozen=True)
class PairedTokenizer:
    """The tokenizer of what a network reads, and the one of what it writes: often the same.

    `start` is the token that its decoder begins with.
    """

    source: PreTrainedTokenizerBase
    target: PreTrainedTokenizerBase
    start: int

    @property
    def pad_token_id(self) -> int:
        """The token that fills up a batch of what is read."""
        return padding_token(self.source)

    @property
    def eos_token_id(self) -> int:
        """The token that ends what is written."""
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
            "model.base: its config.json names no decoder_start_token_id, the token that a target begins with: add the one that "
            "its weights were made with"
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
        {"input_ids": source, "labels": _ended(target, tokenizer.eos_token_id, max_length)}
        for source, target in zip(sources, targets, strict=True)
    ]


def _ended(target: list[int], end: int, max_length: int) -> list[int]:
    return target if target[-1:] == [end] else [*target[: max_length - 1], end]


def collate_pairs(tokenizer: PairedTokenizer) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
    """Pairs -> one batch padded on the right: `decoder_input_ids` are the labels one place later, behind the start token."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    pad_id, start = tokenizer.pad_token_id, tokenizer.start

    def batch(rows: list[Example]) -> dict[str, torch.Tensor]:
        ids = [torch.tensor(row["input_ids"]) for row in rows]
        labels = [torch.tensor(row["labels"]) for row in rows]
        lengths = torch.tensor([len(row) for row in ids])
        padded = pad_sequence(ids, batch_first=True, padding_value=pad_id)
        return {
            "input_ids": padded,
            "attention_mask": (torch.arange(padded.shape[1]) < lengths[:, None]).long(),
            "decoder_input_ids": pad_sequence(
                [torch.cat([row.new_tensor([start]), row[:-1]]) for row in labels], batch_first=True, padding_value=pad_id
            ),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
        }

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


def log_likelihoods(
    model: nn.Module, tokenizer: PairedTokenizer, rows: Sequence[Example], batch_size: int, autocast: Autocast
) -> npt.NDArray[np.float64]:
    """(n, 2): the summed log-likelihood of each target in nats, and its number of tokens."""
    import torch

    order = sorted(range(len(rows)), key=lambda row: (-len(rows[row]["input_ids"]), row))
    batch_of, device = collate_pairs(tokenizer), next(model.parameters()).device
    out = np.zeros((len(rows), 2))
    model.eval()
    with torch.inference_mode():
        for begin in range(0, len(order), batch_size):
            places = order[begin : begin + batch_size]
            batch = {name: tensor.to(device) for name, tensor in batch_of([rows[place] for place in places]).items()}
            labels = batch.pop("labels")
            with autocast():
                logits = model(**batch).logits.float()
            likely = torch.log_softmax(logits, -1).gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
            counted = labels != IGNORED
            out[places, 0] = (likely * counted).double().sum(1).cpu().numpy()
            out[places, 1] = counted.sum(1).cpu().numpy()
    return out


def write_targets(
    model: PreTrainedModel, tokenizer: PairedTokenizer, texts: Sequence[str], max_length: int, new_tokens: int, batch_size: int
) -> list[str]:
    """Greedy targets of texts, in their order, the same every time; what the base's settings ask of decoding is left out."""
    import torch

    answers: list[str] = []
    model.eval()
    for begin in range(0, len(texts), batch_size):
        batch = tokenizer.source(
            list(texts[begin : begin + batch_size]), return_tensors="pt", padding=True, truncation=True, max_length=max_length
        )
        with torch.inference_mode():
            written = model.generate(
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
        answers += tokenizer.target.batch_decode(written[:, 1:], skip_special_tokens=True)
    return [answer.strip() for answer in answers]
