"""Inputs of several texts, such as a pair, as one text: the parts stand one after another, with a mark between that no text holds.

All that takes a text, from hashes to the traffic log, takes such an input too; what looks into it looks at its parts. The mark is
Unicode's record separator (U+001E): of a text as it comes it becomes a space, so whoever writes texts cannot write another part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

MARK = "\x1e"
SHOWN = " \N{DOUBLE VERTICAL LINE} "  # between parts where people read them


def plain_part(text: str) -> str:
    """A text as it comes, fit to be a part."""
    return text.replace(MARK, " ") if MARK in text else text


def join_parts(parts: Iterable[str]) -> str:
    """One input of several texts as they come."""
    return MARK.join(plain_part(part) for part in parts)


def split_parts(text: str) -> list[str]:
    """The texts of an input; of a plain text itself."""
    return text.split(MARK)


def map_parts(change: Callable[[str], str], text: str) -> str:
    """An input with each of its texts changed."""
    return MARK.join(change(part) for part in text.split(MARK)) if MARK in text else change(text)


def shown_parts(text: str) -> str:
    """An input as people read it."""
    return text.replace(MARK, SHOWN)


def in_any_order(text: str) -> str:
    """An input whose texts may change places, in one order of them."""
    return MARK.join(sorted(split_parts(text), key=str.casefold))
