"""A decoder that continues a prompt: how its rows are encoded, how likely it finds a completion, what it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.problems.conversations import prompt_of, turn_end
from tasks.problems.padding import IGNORED, pad_examples

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tasks.problems.types import Example, Network, Writing


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


def generate_answers(network: Network, prompts: Sequence[str], writing: Writing, batch_size: int) -> list[str]:
    """Answers to prompts, in their order: left-padded batches, the same every time.

    Prompt and answer share the network's `max_length` as in training: an answer takes half of it at most, a longer prompt loses its
    beginning.
    """
    from tasks.problems.decoding import generation_settings, rows_at_once

    model, tokenizer, most = network.model.eval(), network.tokenizer, network.spec.max_length
    new_tokens = min(writing.new_tokens, max(1, most // 2))
    size = rows_at_once(writing.decoding, batch_size)
    side, tokenizer.padding_side = tokenizer.padding_side, "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    answers: list[str] = []
    try:
        for start in range(0, len(prompts), size):
            texts = list(prompts[start : start + size])
            ids = _prompt_ids(network, texts, max(1, most - new_tokens))
            batch = tokenizer.pad({"input_ids": ids}, return_tensors="pt")
            prompt_tokens = batch["input_ids"].shape[1]
            generated = _generate_tokens(
                model, tokenizer, batch, new_tokens, generation_settings(writing.decoding, prompt_tokens, texts)
            )
            answers += tokenizer.batch_decode(generated[:, prompt_tokens:], skip_special_tokens=True)
    finally:
        tokenizer.padding_side = side
    return [answer.strip() for answer in answers]


def _prompt_ids(network: Network, texts: list[str], most: int) -> list[list[int]]:
    """Texts as a network reads them, each cut to `most` tokens from the left."""
    if network.spec.messages:
        return [prompt_of(network.tokenizer, text, most) for text in texts]
    network.tokenizer.truncation_side = "left"
    ids: list[list[int]] = network.tokenizer(texts, truncation=True, max_length=most)["input_ids"]
    return ids


def _generate_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: Mapping[str, torch.Tensor], new_tokens: int,
    settings: Mapping[str, object],
) -> torch.Tensor:  # fmt: skip
    """(rows, tokens): a batch of prompts, padding included, with their answers behind."""
    import torch

    with torch.inference_mode():
        return model.generate(  # type: ignore[no-any-return]
            **{name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")},
            **settings,
            max_new_tokens=new_tokens,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=_end_tokens(model, tokenizer),
            use_cache=True,
        )


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end an answer: those that training put there, and those that the base was made with."""
    own = model.generation_config.eos_token_id
    return sorted({tokenizer.eos_token_id, *(own if isinstance(own, list) else [own]), turn_end(tokenizer)} - {None})
