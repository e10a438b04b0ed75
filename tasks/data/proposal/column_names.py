"""What a column's name says of it, however it is written: `review_text`, `ReviewText`, `TEXT`, `Kundennachricht`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# How much a name says that is a hint, ends with that word, has it among others, ends with its letters.
EXACT, LAST, PART, ENDING = 1.0, 0.8, 0.6, 0.5
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_LEAST = 4  # letters of a hint that may end a longer word
_LONGEST = 100  # characters of a name that are looked at


def name_parts(name: str) -> tuple[str, ...]:
    """The words of a name in lower case, umlauts and accents as plain letters."""
    words = " ".join(_CAMEL.split(name[:_LONGEST])).casefold().translate(_UMLAUTS)
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", words) if not unicodedata.combining(sign))
    return tuple(re.findall(r"[^\W\d_]+|\d+", plain))


def match_name(name: str, hints: Sequence[str]) -> float:
    """How much a name says that its column is what the hints name, 0 to 1."""
    parts = name_parts(name)
    while len(parts) > 1 and parts[-1].isdigit():  # `question1`
        parts = parts[:-1]
    if not parts:
        return 0.0
    known = {*hints, *(f"{hint}s" for hint in hints)}
    if "".join(parts) in known:
        return EXACT
    if parts[-1] in known:
        return LAST
    if known.intersection(parts):
        return PART
    return ENDING if any(len(hint) >= _LEAST and parts[-1].endswith(hint) for hint in hints) else 0.0
