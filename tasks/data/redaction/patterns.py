"""The kinds of personal data, and the linear-time test that rules them out for most texts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re2

# Where spans overlap, the earlier name wins: a checked number before a guessed one, a specific kind before a general one.
PRIORITY = (
    "EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD", "CRYPTO", "MAC_ADDRESS", "IP_ADDRESS", "US_SSN", "URL", "PHONE_NUMBER",
    "PERSON", "ORGANIZATION", "LOCATION",
)  # fmt: skip


@dataclass(frozen=True)
class Span:
    """A found value: characters [start, end) of a text and what kind it is."""

    start: int
    end: int
    entity: str
    score: float


class OverBudget(Exception):  # noqa: N818  (a property of the text, no fault of the code)
    """The search of a text costs more than its length allows."""


Finder = Callable[[str], Iterator[Span]]
PhoneFinder = Callable[[Sequence[str]], Iterator[Span]]  # of several readings of one text, which share its budget

# What a text must contain for a kind to be possible: small linear-time patterns over bytes, so that most rows skip the recognizers.
# Digits of other scripts are made ASCII's first (ascii_forms): their class would make the automaton a thousand times larger.
_NO_DIGITS = re.compile(r"\D+")
_SEVEN_DIGITS = r"[0-9](?:[-xX /()\[\].~\x80-\xff]*[0-9]){6}"
CARD_GAP = r"(?:[ \t]{1,4}|[-._/\n]| - )"  # between the groups of a card's number
IBAN_GAP = r"[ ._/\n-]{0,2}"  # and within an IBAN, which begins with at most four letters behind its check digits
IBAN_BEGIN = rf"[A-Za-z]{{2}} ?[0-9]{{2}}(?:{IBAN_GAP}[A-Za-z]){{0,4}}(?:{IBAN_GAP}[0-9]){{5}}"
PREFILTER = {
    "EMAIL_ADDRESS": r"@|[\[({<] ?(?:[Aa][Tt]|(?:\xc3\xa4|\xc3\x84)[Tt]|[Aa][Rr][Rr]?[Oo][Bb][AaEe][Ss]?[Ee]?) ?[\])}>]",
    "PHONE_NUMBER": _SEVEN_DIGITS,
    "CREDIT_CARD": r"[0-9](?:[ \t-]{0,2}[0-9]){11}"
    rf"|[0-9]{{4}}{CARD_GAP}(?:(?:[0-9]{{4}}{CARD_GAP}){{2}}[0-9]{{4}}|[0-9]{{6}}{CARD_GAP}[0-9]{{5}})",
    "IBAN_CODE": rf"[A-Za-z]{{2}}[0-9]{{2}}(?:[ -]?[A-Za-z0-9]{{4}}){{2}}|{IBAN_BEGIN}",
    "IP_ADDRESS": r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|::|(?:[0-9A-Fa-f]{1,4}:){6}",
    "URL": r"\.[A-Za-z\x80-\xff]|://",
    "CRYPTO": r"(?:[Bb][Cc]1|[13])[A-Za-z0-9]{25}",
    "MAC_ADDRESS": r"[0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.",
    "US_SSN": r"[0-9]{3}[- .]?[0-9]{2}[- .]?[0-9]{4}",
}
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
# As ASCII writes them: the full-width forms, and the hyphens, dashes, spaces and small forms of typography.
_FORMS = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_FORMS |= dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63", "-")
_FORMS |= dict.fromkeys("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " ")
_FORMS |= {"\ufe52": ".", "\uff61": ".", "\u3002": ".", "\ufe55": ":", "\ufe6b": "@"}
_OTHER_FORM = re.compile(rf"[^\D0-9]|[{re.escape(''.join(_FORMS))}]")


def ascii_digits(text: str) -> str:
    """The text with the digits of every script as ASCII's, each in its place: a number is found, and tagged, in any."""
    return text if text.isascii() else _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit.group())), text)


def digits_of(text: str) -> str:
    """The digits of a text, of whatever script, as ASCII has them."""
    return ascii_digits(_NO_DIGITS.sub("", text))


def ascii_forms(text: str) -> str:
    """As `ascii_digits`, with typography's hyphens, spaces and full-width characters as ASCII's too, each in its place."""
    return text if text.isascii() else _OTHER_FORM.sub(_ascii_form, text)


def _ascii_form(found: re.Match[str]) -> str:
    return _FORMS.get(found.group()) or str(unicodedata.decimal(found.group()))


def byte_patterns() -> re2.Options:
    """The options under which the prefilter's patterns are compiled: bytes, not characters, and room for the automaton."""
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 64 << 20
    return options
