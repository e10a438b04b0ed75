"""The one normalisation, applied before training and before every prediction, so that a served text is what training saw.

Version 1: Unicode NFC; line ends become \\n; control characters and invisible formatting characters go; every kind of space becomes
a plain one; runs of spaces become one and more than one empty line becomes one, unless the layout counts (texts that are written).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from tasks.data.text_parts import MARK, map_parts, split_parts

VERSION = 2

_LINE_END = re.compile("\r\n?|[\u0085\u2028\u2029\v\f]")
# C0 and C1 controls but for tab and line feed; soft hyphen; zero-width space, word joiner, byte order mark; direction marks.
# The zero-width joiner and non-joiner stay: Persian, Indic scripts and emoji are spelled with them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)
# Besides those, all that Unicode says to show nothing for (default ignorable), the fillers of Hangul, and the blank of Braille.
_SHOWN = re.compile(
    "[^\\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_HALF = re.compile("[\ud800-\udfff]")
_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_RUN = re.compile("[ \t]+")
_BLANK_LINES = re.compile(" ?\n(?: ?\n)+ ?")
_SHORT = 500  # characters; shorter texts are composed at once, whatever they hold
_MOST_MARKS = 32
_EDGE = re.compile(" ?\n ?")
# What is replaced, in this order, once a text is composed; and then, unless its layout counts.
Rules = tuple[tuple[re.Pattern[str], str], ...]
SIGNS: Rules = ((_LINE_END, "\n"), (_INVISIBLE, ""), (_SPACE, " "))
SPACING: Rules = ((_RUN, " "), (_BLANK_LINES, "\n\n"), (_EDGE, "\n"))


def normalise_text(text: str, layout: bool = False) -> str:
    """Bring a text to its one form; with `layout` its spaces and line breaks are kept."""
    if MARK in text:
        return map_parts(lambda part: normalise_text(part, layout), text)
    if is_plain(text, layout):
        return text
    text = _substitute_all(SIGNS, compose_unicode(text))
    return text if layout else _substitute_all(SPACING, text).strip()


def is_plain(text: str, layout: bool = False) -> bool:
    """Whether a text is in its one form, as most are: nothing to compose, nothing to remove, no spaces to collapse."""
    return text.isascii() and text.isprintable() and (layout or ("  " not in text and text == text.strip(" ")))


def unusable_reason(text: str) -> str | None:
    """Why a text can be neither learned from nor answered, as words that follow "its text": None for a usable text.

    Preparation, scoring and service all ask here. A text that shows nothing (spaces, joiners, fillers, control signs) is empty;
    half of a surrogate pair is no character: no file, hash or tokenizer takes it.
    """
    if holds_half_character(text):
        return "holds half of a surrogate pair, which is no character"
    if MARK in text:
        return None if all(_SHOWN.search(part) for part in split_parts(text)) else "is empty in one of its parts"
    return None if _SHOWN.search(text) else "is empty"


def holds_half_character(text: str) -> bool:
    """Whether a text cannot be written as UTF-8."""
    return not text.isascii() and _HALF.search(text) is not None


def key_text(text: str) -> str:
    """The minimal form two texts share when they are the same text: NFC, case folded, white space collapsed.

    The split hashes it and exact duplicates are found by it. It is frozen with split.VERSION: a change would move rows.
    """
    return map_parts(lambda part: " ".join(compose_unicode(part).casefold().split()), text)


def compose_unicode(text: str) -> str:
    """Unicode NFC; of a run of more than 32 combining marks the first 32 stay, for its time grows with the square of such a run.

    No language writes more than a few on a letter, and Unicode's stream-safe form allows 30.
    """
    text = "".join(text[start:end] for start, end in stretches_to_compose(text))
    return unicodedata.normalize("NFC", text)


def stretches_to_compose(text: str) -> Iterator[tuple[int, int]]:
    """The stretches (start, end) of a text that are composed: all but what is beyond the limit of a run of combining marks."""
    start = run = 0
    for at, character in enumerate(text) if len(text) > _SHORT and not text.isascii() else ():
        run = run + 1 if unicodedata.combining(character) else 0
        if run == _MOST_MARKS:
            yield start, at + 1
        if run >= _MOST_MARKS:
            start = at + 1
    yield start, len(text)


def _substitute_all(rules: Rules, text: str) -> str:
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text
