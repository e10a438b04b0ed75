"""A text as the recognizers read it: what is escaped stands there itself, and what touches a value is set apart from it.

Percent escapes, character references and those of JSON are read as ASCII characters (`bob%40example.com`). A space is set behind a
word that names the kind of the value which touches it (`tel0171 1234567`), and around digits that touch letters of a script without
spaces. Spans lead back through the alignment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.data.alignment import Alignment, replace_stretches, substitute
from tasks.data.redaction.kind_words import (
    ADDRESS_WORDS,
    CARD_WORDS,
    NUMBER_WORDS,
    PHONE_WORDS,
    PHONE_WORDS_OF_OTHER_SCRIPTS,
    SSN_WORDS,
)

_ESCAPE = re.compile(
    r"%([2-7][0-9A-Fa-f])|&#[xX]0{0,4}([2-7][0-9A-Fa-f]);|&#0{0,4}([3-9][0-9]|1[01][0-9]|12[0-6]);|"
    r"\\u00([2-7][0-9A-Fa-f])|(&nbsp;|&commat;|\\[nrt])"
)
_NAMED = {"&commat;": "@"}  # the others are spaces
# Stars of emphasis and of lists (no sum's, which stand between numbers), and the bracket behind the number of a list's entry.
_STARS = re.compile(r"(?<![\w)*])\*{1,3}(?=[^\s*])|(?<=[^\s*])\*{1,3}(?![\w(*])|(?m:^)[ \t]*\*{1,3}(?= )")
_ENTRY = re.compile(r"(?m:^)([ \t]*[0-9]{1,2})\)(?= )")
# Joiners, selectors, keycaps and tags, which show nothing of their own beside a digit.
_SIGNS = (
    "\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20e3\u3164\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff"
)
_UNSEEN = re.compile(f"(?<=[0-9+])[{_SIGNS}]+|[{_SIGNS}](?=[0-9+])")
_LETTER = r"[^\W\d_]"
_LONGEST_WORD = 16
_NUMBER = re.compile(r"(?<![(+0-9])[(+]{0,2}[0-9](?:[ ()./-]{0,3}[0-9]){6}(?![\w.+-]{0,64}@)")  # no mail address begins here
_NUMBER_WORD = re.compile(
    rf"(?<!{_LETTER})(?:{'|'.join((*PHONE_WORDS, *PHONE_WORDS_OF_OTHER_SCRIPTS, *NUMBER_WORDS, *CARD_WORDS, *SSN_WORDS))})_?\Z",
    re.IGNORECASE,
)
_ADDRESS = (
    r"(?:[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]|::[0-9A-Fa-f]|[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-|"
    r"[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.)"
)
_ADDRESS_WORD = re.compile(rf"(?<!{_LETTER})(?:{'|'.join(ADDRESS_WORDS)})_?(?={_ADDRESS})", re.IGNORECASE)
# Before addresses: a field's name with its colon, which IPv6 has too; behind them: a colon that ends no IPv6.
_FIELD = re.compile(r"\b[A-Za-z_]{1,32}(?:v?[46])?:(?=[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]|::[0-9A-Fa-f])")
_NOT_HEXADECIMAL = re.compile(r"[G-Zg-z_]")
_COLON_END = re.compile(r":[0-9A-Fa-f]{1,4}(?=:(?:\s|$))")
_UNDERSCORE = re.compile(r"(?<![0-9])_(?=[0-9])|(?<=[0-9])(?=_(?![0-9]))")  # of a name before a number, or of emphasis
_UNSPACED = (
    "\u0590-\u08ff\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(r"[\w.@+%-]+")
_BESIDE = re.compile(rf"(?<=[{_UNSPACED}])(?=[0-9A-Fa-f+:])|(?<=[0-9A-Fa-f:])(?=[{_UNSPACED}])")


def unescape(text: str) -> tuple[str, Alignment]:
    """The text with the characters that are escaped in it, without unseen ones beside digits and marks of layout; where it lies.

    Marks of layout are stars of emphasis, and the brackets of a numbered list.
    """
    alignment = Alignment()
    if not text.isascii():
        text, alignment = substitute(_UNSEEN, "", text)
    if "%" in text or "&" in text or "\\" in text:
        text, step = replace_stretches(text, [(*escape.span(), _character(escape)) for escape in _ESCAPE.finditer(text)])
        alignment = alignment.then(step)
    if "*" in text:
        text, step = replace_stretches(text, [(*stars.span(), " ") for stars in _STARS.finditer(text)])
        alignment = alignment.then(step)
    if ") " in text:
        text, step = substitute(_ENTRY, r"\1;", text)
        alignment = alignment.then(step)
    return text, alignment


def part_values(text: str) -> tuple[str, Alignment]:
    """The text with a space wherever a value that touches a word ends or begins, and where it lies then."""
    places = {word.end() for word in _ADDRESS_WORD.finditer(text)}
    for number in _NUMBER.finditer(text):
        start = number.start()
        if start and not text[start - 1].isspace() and _NUMBER_WORD.search(text, max(0, start - _LONGEST_WORD), start):
            places.add(start)
    places |= {field.end() for field in _FIELD.finditer(text) if _NOT_HEXADECIMAL.search(field.group())}
    places |= {colon.end() for colon in _COLON_END.finditer(text)}
    places |= set(_places_beside(_UNDERSCORE, text)) if "_" in text else set()
    places |= set() if text.isascii() else set(_places_beside(_BESIDE, text))
    return replace_stretches(text, [(place, place, " ") for place in sorted(places)])


def _places_beside(boundary: re.Pattern[str], text: str) -> Iterator[int]:
    """Where such a boundary ends in a text, but in what may be a mail address."""
    for word in _WORD.finditer(text):
        if "@" not in word.group():
            yield from (place.end() for place in boundary.finditer(text, word.start(), word.end() + 1))


def _character(escape: re.Match[str]) -> str:
    percent, hexadecimal, decimal, json, name = escape.groups()
    if name:
        return _NAMED.get(name, " ")
    return chr(int(decimal) if decimal else int(percent or hexadecimal or json, 16))
