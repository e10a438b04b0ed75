"""A decoder that continues a prompt: how its rows are encoded, how likely it finds a completion, what it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.problems.likelihood import IGNORED, pad_examples

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tasks.problems.types import Example


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
    return [
        _join_prompt_answer(prompt, answer, tokenizer.eos_token_id, max_length)
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def _join_prompt_answer(prompt: list[int], answer: list[int], end: int, max_length: int) -> Example:
    answer = [*answer, end]
    answer = answer[: max(max_length - len(prompt), max_length // 2)]
    prompt = prompt[max(0, len(prompt) + len(answer) - max_length) :]
    return {"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer}


def collate_rows(pad_id: int) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
    """Rows -> one batch, padded on the right with no loss on the padding."""
    return partial(pad_examples, pad_id=pad_id)


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
                generated = model.generate(
                    **ids,
                    do_sample=False,
                    num_beams=1,
                    max_new_tokens=new_tokens,
                    pad_token_id=tokenizer.pad_token_id,
                    eos_token_id=_end_tokens(model, tokenizer),
                    use_cache=True,
                )
            answers += tokenizer.batch_decode(generated[:, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    finally:
        tokenizer.padding_side = side
    return [answer.strip() for answer in answers]


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end an answer: the one that training put there, and those that the base was made with."""
    own = model.generation_config.eos_token_id
    return sorted({tokenizer.eos_token_id, *(own if isinstance(own, list) else [own])} - {None})
