"""Cuts a long text into overlapping windows, so that a search costs the same per kilobyte, whatever the text.

Every value is found in the window in which it starts; windows overlap by more than the longest value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

WINDOW = 2000  # characters
BEFORE, AFTER = 50, 400  # characters: what may stand before a value and matter, and the longest value, an address of 320
_WORD_END = re.compile(r"\s|$")


class TextWindow(NamedTuple):
    """Characters [start, end) of a text, of which it answers for values that start in [first, last)."""

    start: int
    first: int
    last: int
    end: int


def text_windows(text: str, size: int = WINDOW) -> Iterator[TextWindow]:
    """The windows of a text, in order; where one ends is a line's end if there is one, or a word's."""
    if len(text) <= size:
        yield TextWindow(0, 0, len(text), len(text))
        return
    first = 0
    while first < len(text):
        last = first + size
        if last < len(text):
            last = max(text.rfind("\n", last - size // 4, last), text.rfind(" ", last - size // 8, last)) + 1 or last
        yield TextWindow(max(0, first - BEFORE), first, last, min(len(text), last + AFTER))
        first = last


def end_of_word(text: str, at: int) -> int:
    """Where the word ends that goes on at a place."""
    match = _WORD_END.search(text, at)
    return match.start() if match else len(text)
