"""A decoder that continues a prompt: how its rows are encoded, how likely it finds a completion, what it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tasks.problems.types import Autocast, Example, Floats

IGNORED = -100  # the label of a token that no loss is taken on


def load_decoder(path: Path) -> nn.Module:
    """The base with its language-model head, in fp32."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(  # type: ignore[no-any-return]
        path, local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
    )


def encode_completions(tokenizer: PreTrainedTokenizerBase, rows: pd.DataFrame, max_length: int) -> list[Example]:
    """Prompt, completion and end token as one row of ids; labels on the completion alone.

    Where both do not fit, the prompt loses its beginning, and a completion longer than half of `max_length` its end.
    """
    if not len(rows):
        return []
    prompts = tokenizer(rows["text"].tolist())["input_ids"]
    answers = tokenizer(rows["target"].tolist(), add_special_tokens=False)["input_ids"]
    return [_joined(prompt, answer, tokenizer.eos_token_id, max_length) for prompt, answer in zip(prompts, answers, strict=True)]


def _joined(prompt: list[int], answer: list[int], end: int, max_length: int) -> Example:
    answer = [*answer, end]
    answer = answer[: max(max_length - len(prompt), max_length // 2)]
    prompt = prompt[max(0, len(prompt) + len(answer) - max_length) :]
    return {"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer}


def collate_rows(pad_id: int) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
    """Rows -> one batch, padded on the right with no loss on the padding."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    def batch(rows: list[Example]) -> dict[str, torch.Tensor]:
        ids = [torch.tensor(row["input_ids"]) for row in rows]
        labels = [torch.tensor(row["labels"]) for row in rows]
        lengths = torch.tensor([len(row) for row in ids])
        padded = pad_sequence(ids, batch_first=True, padding_value=pad_id)
        return {
            "input_ids": padded,
            "attention_mask": (torch.arange(padded.shape[1]) < lengths[:, None]).long(),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
        }

    return batch


def log_likelihoods(model: nn.Module, rows: Sequence[Example], pad_id: int, batch_size: int, autocast: Autocast) -> Floats:
    """(n, 2) float64: the summed log-likelihood of each completion in nats, and its number of tokens."""
    import torch

    order = sorted(range(len(rows)), key=lambda row: (-len(rows[row]["input_ids"]), row))
    batch_of, device = collate_rows(pad_id), next(model.parameters()).device
    out = np.zeros((len(rows), 2))
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            batch = {name: tensor.to(device) for name, tensor in batch_of([rows[place] for place in places]).items()}
            labels = batch.pop("labels")[:, 1:]
            with autocast():
                logits = model(**batch).logits[:, :-1].float()
            said = torch.log_softmax(logits, -1).gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
            counted = labels != IGNORED
            out[places, 0] = (said * counted).double().sum(1).cpu().numpy()
            out[places, 1] = counted.sum(1).cpu().numpy()
    return out


def generate_answers(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], max_length: int, new_tokens: int,
    batch_size: int,
) -> list[str]:  # fmt: skip
    """Greedy answers to prompts, in their order: left-padded batches, the same every time.

    Prompt and answer share `max_length` as in training: an answer takes half of it at most, a longer prompt loses its beginning.
    """
    import torch

    new_tokens = min(new_tokens, max(1, max_length // 2))

    model.eval()
    side, tokenizer.padding_side = tokenizer.padding_side, "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    answers: list[str] = []
    try:
        for start in range(0, len(prompts), batch_size):
            room = max(1, max_length - new_tokens)
            tokenizer.truncation_side = "left"
            batch = tokenizer(
                list(prompts[start : start + batch_size]), return_tensors="pt", padding=True, truncation=True, max_length=room
            )
            ids = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
            with torch.inference_mode():
                written = model.generate(
                    **ids,
                    do_sample=False,
                    num_beams=1,
                    max_new_tokens=new_tokens,
                    pad_token_id=tokenizer.pad_token_id,
                    eos_token_id=_ends(model, tokenizer),
                    use_cache=True,
                )
            answers += tokenizer.batch_decode(written[:, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    finally:
        tokenizer.padding_side = side
    return [answer.strip() for answer in answers]


def _ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end an answer: the one that training put there, and those that the base was made with."""
    own = model.generation_config.eos_token_id
    return sorted({tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None})
