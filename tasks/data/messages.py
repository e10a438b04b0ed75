"""Conversations as they come in cells and requests: lists of messages, as chat services write them, to turns.

A message is {"role": ..., "content": ...}, or ShareGPT's {"from": ..., "value": ...}, which calls the user human and the assistant
gpt. A cell may hold the list itself or JSON of it. What cannot be used is a ValueError whose words repeat no content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from tasks.data.sources.chunk import cell_shape
from tasks.data.text_parts import plain_part
from tasks.data.turns import ASSISTANT, ROLES, SYSTEM, USER, Turn, order_fault, write_turns
from tasks.data.written import read_written

MOST_TURNS = 2_000
_SPELLINGS = {**{role: role for role in ROLES}, "human": USER, "gpt": ASSISTANT}
_KEYS = (("role", "content"), ("from", "value"))
FORM = '[{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]'


class Exchange(NamedTuple):
    """A conversation to be learned from: the turns that are read, as one text, and the assistant's answer to them."""

    text: str
    target: str


def read_exchange(cell: object) -> Exchange | None:
    """All before the assistant's last turn, and that turn; None of an empty cell. What follows, unanswered, is left out.

    ValueError, as words that follow the column's name, where the cell holds no conversation with an answer in it.
    """
    turns = read_turns(cell)
    if turns is None:
        return None
    last = max((place for place, turn in enumerate(turns) if turn.role == ASSISTANT), default=-1)
    if last < 0:
        raise ValueError("has no turn of the assistant, so that there is nothing to learn")
    return Exchange(write_turns(turns[:last]), plain_part(turns[last].content))


def read_question(cell: object) -> str:
    """The turns that are to be answered, as one text: those before the assistant's last one where that ends the conversation.

    Empty of an empty cell; ValueError as of `read_exchange`.
    """
    turns = read_turns(cell)
    if turns is None:
        return ""
    return write_turns(turns[:-1] if turns[-1].role == ASSISTANT else turns)


def read_turns(cell: object) -> list[Turn] | None:
    """The turns of a cell, in an order that can be answered; None of an empty cell. ValueError as of `read_exchange`."""
    messages = _read_list(cell) if isinstance(cell, str) else cell
    if messages is None or messages != messages:
        return None
    if isinstance(messages, str | bytes | Mapping) or not hasattr(messages, "__len__"):
        raise ValueError(f"is no list of messages, but {_form_of(messages)}")
    listed = list(messages)  # type: ignore[call-overload]
    if not listed:
        return None
    if len(listed) > MOST_TURNS:
        raise ValueError(f"has {len(listed):,} turns, over {MOST_TURNS:,}")
    turns = [_read_turn(message, place) for place, message in enumerate(listed, 1) if place > 1 or not _is_empty_system(message)]
    if fault := order_fault([turn.role for turn in turns]):
        raise ValueError(fault)
    return turns


def _read_turn(message: object, place: int) -> Turn:
    keys = next((keys for keys in _KEYS if isinstance(message, Mapping) and keys[0] in message), None)
    if keys is None or not isinstance(message, Mapping):
        raise ValueError(f"has in place {place} no message with a role and a content, but {_form_of(message)}")
    if message.get("tool_calls") or message.get("function_call"):
        raise ValueError(f"has in place {place} a call of a tool, which is no text that could be learned")
    role, content = message[keys[0]], message.get(keys[1])
    known = _SPELLINGS.get(role.strip().lower()) if isinstance(role, str) else None
    if known is None:
        raise ValueError(
            f"has in place {place} a role of the form {cell_shape(str(role))!r}, which is none of {', '.join(_SPELLINGS)}"
        )
    if known == ASSISTANT and message.get("weight") == 0:
        raise ValueError(f"has in place {place} a turn of weight 0, which would be learned all the same")
    text = _content_text(content)
    if text is None:
        raise ValueError(f"has in place {place} a content that is no text, but {_form_of(content)}")
    if not text.strip():
        raise ValueError(f"has an empty turn of the {known} in place {place}")
    return Turn(known, text)


def _is_empty_system(message: object) -> bool:
    """Whether a message is a system turn that says nothing, as exports write where there is none."""
    for keys in _KEYS:
        if isinstance(message, Mapping) and keys[0] in message:
            content = message.get(keys[1])
            return message[keys[0]] == SYSTEM and (content is None or (isinstance(content, str) and not content.strip()))
    return False


def _content_text(content: object) -> str | None:
    """A content as one text, parts of type text on lines of their own; None where it holds anything else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence) or isinstance(content, bytes) or not content:
        return None
    texts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
    if len(texts) < len(content) or not all(isinstance(text, str) for text in texts):
        return None
    return "\n".join(str(text) for text in texts)


def _read_list(text: str) -> object:
    if not text.strip():
        return None
    try:
        return read_written(text)
    except ValueError:
        return text


def _form_of(value: object) -> str:
    """The kind of a value, and of a text its form."""
    names = {dict: "an object", list: "a list", tuple: "a list", bool: "a truth value", int: "a number", float: "a number"}
    if isinstance(value, str):
        return f"a text of the form {cell_shape(value)!r}"
    return "nothing" if value is None else names.get(type(value), "something else")


def share_of_conversations(cells: Sequence[object]) -> float:
    """The share of cells, 0 to 1, from which a model could learn."""
    readable = 0
    for cell in cells:
        with suppress(ValueError):
            is_list = isinstance(cell, list) or (isinstance(cell, str) and cell.lstrip()[:1] == "[")
            readable += is_list and read_exchange(cell) is not None
    return readable / max(1, len(cells))
