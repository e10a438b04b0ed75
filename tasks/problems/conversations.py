"""Conversations as a decoder is trained on them: its tokenizer's own template writes them, and the assistant's turns are learned.

Which tokens are the assistant's is found through the template: by its own marks ({% generation %}) where it has them, else by what
each of its turns adds to the text before it. A prompt is tokenized as the service tokenizes a chat, so that both see the same
tokens; the answer follows with tokens of its own, as it does where it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs.errors import InputError
from tasks.data.turns import ASSISTANT, SYSTEM, USER, Turn, turns_of
from tasks.problems.chat_template import has_template, render_messages
from tasks.problems.padding import IGNORED

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedTokenizerBase

    from tasks.problems.types import Example

REMEDY = (
    "name a base that was made for chats, put a chat_template.jinja beside its tokenizer, or name data.prompt and data.completion "
    "in place of data.messages"
)
_PROBE = (Turn(USER, "a b"), Turn(ASSISTANT, "b a"), Turn(USER, "b"), Turn(ASSISTANT, "a"))


@dataclass(frozen=True)
class RenderedChat:
    """A chat as text: `prompt` is all that is read before the last answer, and what the service sends; `answer` follows it.

    `spans` are the places in the prompt, by characters, of the assistant's earlier turns with their ends.
    """

    prompt: str
    answer: str
    spans: tuple[tuple[int, int], ...]


def check_template(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """InputError where a base's tokenizer cannot write conversations, or not so that the assistant's turns can be found."""
    if not has_template(tokenizer):
        raise InputError(f"data.messages: the tokenizer of {name} has no chat template: {REMEDY}")
    if not tokenizer.is_fast:
        raise InputError(f"data.messages: the tokenizer of {name} does not tell where its tokens stand in a text: {REMEDY}")
    try:
        render_chat(tokenizer, _PROBE[:3], _PROBE[3].content, earlier=True)
        turn_end(tokenizer)
    except InputError as error:
        raise InputError(f"data.messages: {name}: {error}: {REMEDY}") from None


def render_chat(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Turn], answer: str, *, earlier: bool) -> RenderedChat:
    """Turns and the answer to them; with `earlier` also where the assistant's earlier turns stand.

    InputError where what the template wrote of the first turns is not how it begins all of them.
    """
    prompt = _render(tokenizer, turns, asks_answer=True)
    whole = _render(tokenizer, [*turns, Turn(ASSISTANT, answer)], asks_answer=False)
    if not whole.startswith(prompt):
        raise InputError(
            "the chat template writes an answer otherwise than behind the prompt that asks for it (of reasoning, or of the last "
            "turn, it may write more or less), so that what was trained would not be what is served"
        )
    return RenderedChat(prompt, whole[len(prompt) :], _earlier_spans(tokenizer, turns, prompt) if earlier else ())


def _render(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Turn], *, asks_answer: bool) -> str:
    return render_messages(tokenizer, [turn._asdict() for turn in turns], asks_answer=asks_answer)


def _earlier_spans(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Turn], prompt: str) -> tuple[tuple[int, int], ...]:
    """Where the assistant's turns stand in a prompt."""
    places = [place for place, turn in enumerate(turns) if turn.role == ASSISTANT]
    if not places:
        return ()
    marked = _marked_spans(tokenizer, turns, prompt)
    if len(marked) == len(places):
        return marked
    spans = []
    for place in places:
        start, end = (_render(tokenizer, turns[: place + more], asks_answer=not more) for more in (0, 1))
        if not (prompt.startswith(end) and end.startswith(start)):
            raise InputError(
                "the chat template writes earlier turns of the assistant otherwise than its last one, and marks none of them, so "
                "that they cannot be told from the rest: mark them in the template by {% generation %} and {% endgeneration %}"
            )
        spans.append((len(start), len(end)))
    return tuple(spans)


def _marked_spans(tokenizer: PreTrainedTokenizerBase, turns: Sequence[Turn], prompt: str) -> tuple[tuple[int, int], ...]:
    """The places that the template marks as generated; none where it marks none."""
    template = tokenizer.get_chat_template()
    if "endgeneration" not in template:
        return ()
    from transformers.utils.chat_template_utils import render_jinja_template

    rendered, places = render_jinja_template(
        conversations=[[turn._asdict() for turn in turns]], chat_template=template, return_assistant_tokens_mask=True,
        add_generation_prompt=True, **tokenizer.special_tokens_map,
    )  # fmt: skip
    return tuple((start, end) for start, end in places[0]) if rendered[0] == prompt else ()


def turn_end(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The special token that a template ends the assistant's turns with; None where it has none, or there is no template."""
    if not has_template(tokenizer):
        return None
    try:
        answer = render_chat(tokenizer, _PROBE[:1], _PROBE[1].content, earlier=False).answer
    except InputError:
        return None
    special = {place for place, token in tokenizer.added_tokens_decoder.items() if token.special} - {tokenizer.unk_token_id}
    ids: list[int] = tokenizer(answer, add_special_tokens=False)["input_ids"]
    return next((token for token in ids if token in special), None)


def special_marks(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """The texts of the tokens that have a meaning of their own."""
    return tuple(token.content for token in tokenizer.added_tokens_decoder.values() if token.special and token.content.strip())


def without_marks(turns: Sequence[Turn], marks: Sequence[str]) -> list[Turn]:
    """Turns in whose contents no special token is read: a space comes behind its first character.

    It would be read as the end of a turn, and what follows as somebody else's. The service refuses such contents.
    """
    return [Turn(turn.role, _without_marks(turn.content, marks)) for turn in turns]


def _without_marks(text: str, marks: Sequence[str]) -> str:
    for mark in marks:
        text = text.replace(mark, f"{mark[0]} {mark[1:]}") if mark in text else text
    return text


def encode_conversations(
    tokenizer: PreTrainedTokenizerBase, rows: pd.DataFrame, max_length: int, *, earlier: bool
) -> list[Example]:
    """Conversations as rows of ids, labels on the last answer, with `earlier` on the assistant's other turns too.

    Where one does not fit, it loses its oldest exchanges, never the system's turn; the last question and answer are cut as prompts
    and completions are.
    """
    if not len(rows):
        return []
    marks = special_marks(tokenizer)
    ends = frozenset({turn_end(tokenizer), tokenizer.eos_token_id} - {None})
    chats = [
        (without_marks(turns_of(text), marks), _without_marks(target, marks))
        for text, target in zip(rows["text"], rows["target"], strict=True)
    ]
    return [_encode_chat(tokenizer, turns, target, max_length, ends, earlier=earlier) for turns, target in chats]


def _encode_chat(
    tokenizer: PreTrainedTokenizerBase, turns: list[Turn], target: str, max_length: int, ends: frozenset[int], *,
    earlier: bool,
) -> Example:  # fmt: skip
    while True:
        chat = render_chat(tokenizer, turns, target, earlier=earlier)
        answer = _answer_ids(tokenizer, chat.answer, ends)
        prompt, labels = _prompt_ids(tokenizer, chat, ends)
        shorter = without_oldest_exchange(turns)
        if len(prompt) + min(len(answer), max_length // 2) <= max_length or len(shorter) == len(turns):
            break
        turns = shorter
    answer = answer[: max(max_length - len(prompt), max_length // 2)]
    cut = max(0, len(prompt) + len(answer) - max_length)
    return {"input_ids": prompt[cut:] + answer, "labels": labels[cut:] + answer}


def without_oldest_exchange(turns: Sequence[Turn]) -> list[Turn]:
    """Turns without the first that are not the system's, up to the next of the user; all of them where none would be left."""
    first = int(bool(turns) and turns[0].role == SYSTEM)
    later = next((place for place in range(first + 1, len(turns)) if turns[place].role == USER), None)
    return list(turns) if later is None else [*turns[:first], *turns[later:]]


def _answer_ids(tokenizer: PreTrainedTokenizerBase, answer: str, ends: frozenset[int]) -> list[int]:
    """An answer's tokens up to the one that ends it; where the template has none, that is the tokenizer's own end."""
    ids: list[int] = tokenizer(answer, add_special_tokens=False)["input_ids"]
    last = next((place for place, token in enumerate(ids) if token in ends), None)
    if last is not None:
        return ids[: last + 1]
    return [*tokenizer(answer.rstrip(), add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


def _prompt_ids(tokenizer: PreTrainedTokenizerBase, chat: RenderedChat, ends: frozenset[int]) -> tuple[list[int], list[int]]:
    """A prompt's tokens, as the service reads them, and their labels: those of the assistant's earlier turns with their ends."""
    encoded = tokenizer(chat.prompt, add_special_tokens=False, return_offsets_mapping=bool(chat.spans))
    ids: list[int] = encoded["input_ids"]
    labels = [IGNORED] * len(ids)
    for start, stop in chat.spans:
        stop = start + len(chat.prompt[start:stop].rstrip())
        for place, (begins, stops) in enumerate(encoded["offset_mapping"]):
            if begins < stop and stops > start and begins < stops:
                labels[place] = ids[place]
                if ids[place] in ends:
                    break
    return ids, labels


def prompt_of(tokenizer: PreTrainedTokenizerBase, text: str, most: int) -> list[int]:
    """A conversation that asks for an answer, as tokens, of its newest turns as many as fit into `most`; the system's stays."""
    turns = without_marks(turns_of(text), special_marks(tokenizer))
    while True:
        ids: list[int] = tokenizer(_render(tokenizer, turns, asks_answer=True), add_special_tokens=False)["input_ids"]
        shorter = without_oldest_exchange(turns)
        if len(ids) <= most or len(shorter) == len(turns):
            return ids[-most:]
        turns = shorter
