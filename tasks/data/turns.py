"""Conversations as one text each: roles and contents by turns, as the parts of an input (tasks/data/text_parts.py).

A conversation is `role, content, role, content, ...` with the mark of parts between. Parts, not JSON, since all that takes a text
takes this one at its best: a content is normalised and redacted on its own, no value reaching from one turn into the next and no
escape of JSON hiding a line break or a quote; hashes, exact copies and the split see the turns as they were written; counted words
are those that were said; and no content can forge a turn, as a mark in it becomes a space. The traffic log and feedback keep such
a text as it is, so that a corrected answer becomes a row of training again.

Near copies are looked for in what was said (`spoken_text`): rows that share a long system prompt are no copies of one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from tasks.data.text_parts import MARK, join_parts, split_parts

SYSTEM, USER, ASSISTANT = ROLES = ("system", "user", "assistant")


class Turn(NamedTuple):
    """What one side said: its role, one of ROLES, and the content."""

    role: str
    content: str


def write_turns(turns: Iterable[Turn]) -> str:
    """Turns as one text; their contents as they come."""
    return join_parts(part for turn in turns for part in turn)


def is_conversation(text: str) -> bool:
    """Whether a text was written by `write_turns`."""
    return MARK in text and text.partition(MARK)[0] in ROLES and text.count(MARK) % 2 == 1


def turns_of(text: str) -> list[Turn]:
    """The turns of a conversation; of a plain text one, of the user."""
    if not is_conversation(text):
        return [Turn(USER, text)]
    parts = split_parts(text)
    return [Turn(role, content) for role, content in zip(parts[::2], parts[1::2], strict=True)]


def as_input(text: str, inputs: Literal["text", "pair", "messages"]) -> str | None:
    """A text that was answered as an input of this form, a plain one as a turn of the user; None where it has another form."""
    if inputs == "messages" and MARK not in text:
        return write_turns([Turn(USER, text)])
    if inputs == "messages":
        return text if is_conversation(text) and not question_fault([turn.role for turn in turns_of(text)]) else None
    return text if text.count(MARK) == (inputs == "pair") else None


def order_fault(roles: Sequence[str]) -> str | None:
    """What is wrong with the order of roles, as words that follow the column's name; None where nothing is.

    A system turn comes first or not at all; then user and assistant speak by turns, the user first.
    """
    first = int(bool(roles) and roles[0] == SYSTEM)
    for place, role in enumerate(roles[first:]):
        expected = (USER, ASSISTANT)[place % 2]
        if role == SYSTEM:
            return f"has a turn of the system in place {place + first + 1}: it comes first, or not at all"
        if role != expected:
            return f"has the {role} speak in place {place + first + 1}, where it is the {expected}'s turn"
    return None if len(roles) > first else "has no turn of the user"


def question_fault(roles: Sequence[str]) -> str | None:
    """As `order_fault`, of a conversation that is to be answered: its last turn is the user's."""
    return order_fault(roles) or ("ends with the assistant: there is nothing to answer" if roles[-1] == ASSISTANT else None)


def spoken_text(text: str) -> str:
    """What user and assistant said, for comparing conversations; any other text as it is."""
    if not is_conversation(text):
        return text
    return "\n".join(turn.content for turn in turns_of(text) if turn.role != SYSTEM)


def shown_turns(text: str) -> str:
    """A conversation as people read it, a turn a line with its role before it; any other text as it is."""
    return "\n".join(f"{turn.role}: {turn.content}" for turn in turns_of(text)) if is_conversation(text) else text
