"""Spellings of mail addresses and IBANs that presidio's patterns leave out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

import re2

from tasks.data.redaction.patterns import IBAN_BEGIN, IBAN_GAP, Span

_DOMAIN = r"[\pL\pN-]+(?:\.[\pL\pN-]+)*\.\pL[\pL\pM\pN-]*[\pL\pM\pN]"
_NAME = r"[\pL\pN_.+-]+"
_OPEN, _CLOSE = r" ?[\[({<] ?", r" ?[\])}>] ?"
_AT, _DOT = f"{_OPEN}(?:at|ät|arroba|arobase){_CLOSE}", rf"(?:\.|{_OPEN}(?:dot|punkt|punto|point){_CLOSE})"
_EMAILS = (
    re2.compile(rf'"[^"\s@,:;{{}}\[\]\\][^"\n@,:;{{}}\[\]\\]*"@{_DOMAIN}'),  # a name in quotation marks
    re2.compile(rf"[\pL\pN_.+-]*\.@{_DOMAIN}"),  # a dot before the sign, as some phone companies gave
    re2.compile(rf"{_NAME}@\[(?:IPv6:)?[0-9A-Fa-f.:]+\]"),
    re2.compile(rf"(?i){_NAME}{_AT}[\pL\pN-]+(?:{_DOT}[\pL\pN-]+)*{_DOT}\pL[\pL\pN-]+"),
)
_IBAN = re.compile(rf"{IBAN_BEGIN}(?:{IBAN_GAP}[A-Z0-9]){{2,25}}", re.IGNORECASE | re.ASCII)
_IBAN_START = re.compile(r"(?<![A-Z0-9])[A-Z]{2} ?[0-9]{2}", re.IGNORECASE | re.ASCII)
_LENGTHS = {  # letters and digits of an IBAN, and the countries whose IBANs have as many
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK",
    21: "CH HR LI LV PT",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PS QA",
    26: "IS TR",
    27: "FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB MU PL",
    29: "BR EG UA",
    30: "JO KW",
    31: "MT SC",
    32: "LC",
}
_IBAN_LENGTH = {country: length for length, countries in _LENGTHS.items() for country in countries.split()}
_GAP = re.compile(r"[^A-Z0-9]+")
_PART_OF_IBAN = re.compile(r"[A-Za-z0-9]")


def more_emails(text: str) -> Iterator[Span]:
    """Addresses with a quoted name, a dot before the sign, an IP address behind it, or words for it: `anna [at] example.com`."""
    for pattern in _EMAILS:
        for match in pattern.finditer(text):
            yield Span(match.start(), match.end(), "EMAIL_ADDRESS", 0.5)


def is_top_level_domain(label: str) -> bool:
    """Whether the last label of a domain may be one: of two letters or more, of any script and with its marks."""
    letters = label.rstrip("_\u200c\u200d")
    is_word = all(letter.isalpha() or letter in "\u200c\u200d" or unicodedata.category(letter)[0] == "M" for letter in letters)
    return len(letters) > 1 and (is_word or letters.lower().startswith("xn--"))


def more_ibans(text: str, is_iban: Callable[[str], bool | None]) -> Iterator[Span]:
    """IBANs whose groups are parted by other signs or are of other lengths; `is_iban` checks one without gaps."""
    for start in _IBAN_START.finditer(text):
        length = _IBAN_LENGTH.get(start.group()[:2].upper())
        match = _IBAN.match(text, start.start()) if length else None
        if length and match and (size := _size_of(match.group(), length, is_iban)):
            yield Span(match.start(), match.start() + size, "IBAN_CODE", 1.0)


def _size_of(candidate: str, length: int, is_iban: Callable[[str], bool | None]) -> int:
    """How many characters of a candidate an IBAN of so many letters and digits takes; 0 where it is none."""
    plain = _GAP.sub("", candidate.upper())[:length]
    if len(plain) < length or not is_iban(plain):
        return 0
    return [match.end() for match in _PART_OF_IBAN.finditer(candidate)][length - 1]
