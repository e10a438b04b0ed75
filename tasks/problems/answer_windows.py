"""Questions and contexts as windows of tokens: of a context that does not fit, each window holds a stretch, and they overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from configs.errors import InputError
from tasks.data.answers import Place, context_of, question_of
from tasks.problems.padding import pad_tokens

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from tasks.problems.types import Example

MOST_WINDOWS = 64  # of one input: strangers may send contexts of any length, and each window is a pass through the network
LEAST = 8  # tokens of a context that a window has to have room for
NO_ANSWER = (0, 0)  # the labels of a window without an answer: tokens are counted from 1 on


@dataclass(frozen=True)
class Window:
    """Some tokens of one input: their ids, whether each is of the first or the second text, and the stretch of the context.

    `row` is the input's number, `first` the place of the first token of the context; `offsets` are the characters of the context
    [start, end) of each of its tokens.
    """

    row: int
    ids: list[int]
    segments: list[int]
    first: int
    offsets: list[tuple[int, int]]

    def labels(self, answers: Sequence[Place]) -> tuple[int, int]:
        """The first and last token, counted from 1, of the first answer that stands here whole; NO_ANSWER where none does."""
        for answer in answers:
            if self.offsets and self.offsets[0][0] <= answer.start and answer.end <= self.offsets[-1][1]:
                touched = [place for place, (start, end) in enumerate(self.offsets) if start < answer.end and end > answer.start]
                if touched:
                    return self.first + touched[0] + 1, self.first + touched[-1] + 1
        return NO_ANSWER


def most_tokens(max_length: int) -> int:
    """Tokens of an input that are read for sure: each window adds a quarter of its length at the least."""
    return MOST_WINDOWS * max_length // 4


def encode_windows(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> list[Window]:
    """The windows of inputs of a question and a context, in their order; a question gets half of a window at the most.

    Windows overlap by a quarter of their length, where there is room for it: an answer at the edge of one stands whole in the next.
    Of a context of more than MOST_WINDOWS windows the first are read.
    """
    if not texts:
        return []
    marks = tokenizer.num_special_tokens_to_add(pair=True)
    most = (max_length - marks) // 2  # tokens of a question
    room = max_length - marks - most
    if most < 1 or room < LEAST:
        raise InputError(f"model.max_length {max_length}: leaves no room for a question and a context: raise it")
    encoded = tokenizer(
        _cut_questions(tokenizer, [question_of(text) for text in texts], most),
        [context_of(text) for text in texts],
        truncation="only_second",
        max_length=max_length,
        stride=min(max_length // 4, room // 2),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_token_type_ids=True,
    )
    read = Counter[int]()
    windows = []
    for number, row in enumerate(encoded["overflow_to_sample_mapping"]):
        read[row] += 1
        if read[row] <= MOST_WINDOWS:
            windows.append(_window_of(encoded, number))
    return windows


def _cut_questions(tokenizer: PreTrainedTokenizerBase, questions: list[str], most: int) -> list[str]:
    """Questions of so many tokens at the most; with a line's end behind each where the tokenizer puts no mark before a context."""
    encoded = tokenizer(questions, add_special_tokens=False, return_offsets_mapping=True)
    behind = "" if tokenizer.num_special_tokens_to_add(pair=True) else "\n"
    return [
        (question if len(offsets) <= most else question[: offsets[most - 1][1]]) + behind
        for question, offsets in zip(questions, encoded["offset_mapping"], strict=True)
    ]


def _window_of(encoded: Any, number: int) -> Window:
    places = [place for place, part in enumerate(encoded.sequence_ids(number)) if part == 1]
    offsets = encoded["offset_mapping"][number]
    return Window(
        encoded["overflow_to_sample_mapping"][number],
        encoded["input_ids"][number],
        encoded["token_type_ids"][number],
        places[0] if places else 0,
        [tuple(offsets[place]) for place in places],
    )


def collate_windows(pad_id: int) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
    """Examples with their `window` -> one batch, padded on the right to its longest row; `context_mask` is 1 on the contexts."""
    import torch

    def batch(rows: list[Example]) -> dict[str, torch.Tensor]:
        windows: list[Window] = [row["window"] for row in rows]
        out = pad_tokens([window.ids for window in windows], pad_id)
        out["token_type_ids"] = pad_tokens([window.segments for window in windows], 0)["input_ids"]
        out["context_mask"] = torch.zeros_like(out["input_ids"])
        for place, window in enumerate(windows):
            out["context_mask"][place, window.first : window.first + len(window.offsets)] = 1
        return out | ({"labels": torch.tensor([row["labels"] for row in rows])} if "labels" in rows[0] else {})

    return batch
