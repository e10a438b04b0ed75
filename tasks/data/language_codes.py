"""Codes of languages, as a column names them: their one spelling, and the few that are told apart."""

from __future__ import annotations

import re
from collections.abc import Mapping

OTHER = "other"  # rows of languages too rare to be told apart
LEAST_ROWS, MOST_LANGUAGES = 20, 30
FORM = "a code of a language in the form of BCP 47, such as en, pt-BR or zh-Hant"
# Language, then script, region, variants and extensions (RFC 5646, without its grandfathered tags); _ may stand for -.
_PARTS = (
    "[A-Za-z]{2,3}(?:-[A-Za-z]{3}){0,3}", "(?:-[A-Za-z]{4})?", r"(?:-(?:[A-Za-z]{2}|\d{3}))?",
    r"(?:-[A-Za-z0-9]{5,8}|-\d[A-Za-z0-9]{3})*", "(?:-[A-WY-Za-wy-z0-9](?:-[A-Za-z0-9]{2,8})+)*",
)  # fmt: skip
_CODE = re.compile("".join(_PARTS))


def canonical_code(cell: str) -> str:
    """A code in the spelling that BCP 47 recommends: `zh-hant_tw` gives `zh-Hant-TW`. ValueError for what has not its form."""
    code = cell.strip().replace("_", "-")
    if len(code) > 35 or not _CODE.fullmatch(code):
        raise ValueError("no code of a language")
    first, *rest = code.split("-")
    return "-".join([first.lower(), *map(_spell_part, rest)])


def _spell_part(part: str) -> str:
    """Scripts as titles, regions in capitals, all else in small letters."""
    return part.title() if len(part) == 4 and part.isalpha() else part.upper() if len(part) == 2 else part.lower()


def told_apart(counts: Mapping[str, int]) -> frozenset[str]:
    """The languages that are kept by themselves: the commonest, each of enough rows."""
    ranked = sorted(counts, key=lambda code: (-counts[code], code))
    return frozenset(code for code in ranked[:MOST_LANGUAGES] if counts[code] >= LEAST_ROWS)
