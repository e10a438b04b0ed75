"""Rules for numbers: the phones and cards that presidio's patterns miss, and the words that must stand beside a weak match."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import re2

from tasks.data.redaction.kind_words import (
    CARD_WORDS,
    PHONE_WORDS,
    PHONE_WORDS_OF_OTHER_SCRIPTS,
    PHONE_WORDS_WITHOUT_SPACES,
    SSN_WORDS,
)
from tasks.data.redaction.patterns import CARD_GAP, PhoneFinder, Span, digits_of

if TYPE_CHECKING:
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

_NEAR = 40  # characters before a match in which a word may vouch for it; half as many after
_ANSWER_WORDS = "called|calling|desk|office|home|ring|reach(?:ed)?|contact|answering|messages?|callback"
CALL = re2.compile(
    rf"(?i)\b(?:{'|'.join(PHONE_WORDS)}|{_ANSWER_WORDS})\b|(?:^|\PL)(?:{'|'.join(PHONE_WORDS_OF_OTHER_SCRIPTS)})(?:\PL|$)|"
    f"{'|'.join(PHONE_WORDS_WITHOUT_SPACES)}"
)
_REFERENCE = re2.compile(
    r"(?i)\b(?:orders?|tickets?|invoices?|case|ref(?:erence)?|accounts?|tracking|serial|"
    r"policy|booking|transaction|id|isbn|licen[cs]e)\b"
)
_CARD = re2.compile(rf"(?i)\b(?:{'|'.join(CARD_WORDS)})\b")
_SSN = re2.compile(rf"(?i)\b(?:{'|'.join(SSN_WORDS)})\b")
_DATE = re.compile(  # of a few characters each, and linear: re is faster there
    r"(?:(?:19|20)\d\d[-/. ]\d{1,2}[-/. ]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ](?:19|20)\d\d|"
    r"(?:19|20)\d\d ?[-–/] ?(?:19|20)\d\d)(?:\D.*)?"
)
_SUM_BEFORE = re.compile(r"(?:[=*^$€£¥]|<<) ?$")
_PHONE_EQUALS = re2.compile(rf"(?i)(?:{'|'.join(PHONE_WORDS)})\w*=$")  # a field's name
_SUM_AFTER = re.compile(r"^ ?[=*^%€£¥]")
_SUM_INSIDE = re.compile(r"/| - |\.\d{1,2}-")
_PHONE_LIKE = re2.compile(r"(?:\+|\(\+?)?\d(?:[ ()./\-–]{0,3}\d){6,14}(?: ?(?:x|ext\.?) ?\d{1,6})?")
_SEVEN = re.compile(r"\d(?>[^\w\n]{0,6}x?[^\w\n]{0,3}\d){6}", re.IGNORECASE)
_CARD_LIKE = re2.compile(r"\b\d(?:[ \t-]{0,2}\d){11,18}\b")
_GROUPED_CARD = re.compile(  # groups of a card's own lengths: what touches their ends is no part of it
    rf"(?<![0-9])[0-9]{{4}}{CARD_GAP}(?:(?:[0-9]{{4}}{CARD_GAP}){{2}}[0-9]{{4}}|[0-9]{{6}}{CARD_GAP}[0-9]{{5}})(?![0-9])"
)
_DOUBLED = str.maketrans("0123456789", "0246813579")  # twice a digit, the digits of that added up
_AREA_CODE = re.compile(r"0[1-9]\d{1,4} ?/ ?\d{4,8}")  # as Germans and Austrians write it: no sum begins with 0


def _has_word_nearby(text: str, start: int, end: int, words: re2._Regexp) -> bool:
    before, after = text[max(0, start - _NEAR) : start], text[end : end + _NEAR // 2]
    return bool(words.search(before)) or bool(words.search(after))


def _has_calling_word(text: str, start: int, end: int) -> bool:
    """A word of calling stands by, and none that makes the number an order's, an account's..."""
    return _has_word_nearby(text, start, end, CALL) and not _REFERENCE.search(text[max(0, start - _NEAR // 2) : start])


def phone_finder_of(recognizer: PhoneRecognizer) -> PhoneFinder:
    """Phone numbers of presidio's regions, and those of other regions that words beside them vouch for."""
    from tasks.data.redaction.phone_match import PhoneMatcher

    matcher = PhoneMatcher(tuple(recognizer.supported_regions), recognizer.leniency, is_phone)
    score = recognizer.SCORE

    def find(readings: Sequence[str]) -> Iterator[Span]:
        yield from (Span(start, end, "PHONE_NUMBER", score) for start, end in matcher.find(*readings))
        for text in readings:
            yield from _phones_of_other_regions(text)

    return find


def is_phone(text: str, start: int, end: int) -> bool:
    """Whether what a region reads as a number is one: no date, part of a sum, or short bare number without a word of calling."""
    number = text[start:end]
    if not _SEVEN.search(number) or _is_date_or_sum(text, start, end):
        return False
    is_sum = _SUM_INSIDE.search(number) and not _AREA_CODE.fullmatch(number)
    sure = (len(digits_of(number)) >= 10 or not number.isdigit()) and not is_sum
    return sure or _has_calling_word(text, start, end)


def _is_date_or_sum(text: str, start: int, end: int) -> bool:
    number, before, after = text[start:end], text[max(0, start - 3) : start], text[end : end + 2]
    return bool(_DATE.fullmatch(number) or _SUM_AFTER.search(after)) or (
        _SUM_BEFORE.search(before) is not None and not _is_value_of_field(text, start, number)
    )


def _is_value_of_field(text: str, start: int, number: str) -> bool:
    """Whether it is a phone by how it begins, as no sum's numbers do, or by the name before its sign of equality."""
    if text[start - 1] != "=":
        return False
    begins = number.startswith(("+", "(", "0")) and len(digits_of(number)) >= 10
    return begins or _PHONE_EQUALS.search(text[max(0, start - _NEAR) : start]) is not None


def _phones_of_other_regions(text: str) -> Iterator[Span]:
    """Numbers of no region presidio looks at: written internationally, or in groups beside a word of calling."""
    for match in _PHONE_LIKE.finditer(text):
        start, end = match.span()
        number = match.group()
        if (start and text[start - 1].isalnum()) or (end < len(text) and text[end].isalnum()) or _is_date_or_sum(text, start, end):
            continue
        abroad = number.startswith(("+", "(+", "00")) and len(digits_of(number)) >= 9
        if abroad or _has_calling_word(text, start, end):
            yield Span(start, end, "PHONE_NUMBER", 0.4)


def more_cards(text: str) -> Iterator[Span]:
    """Ranges that presidio's pattern leaves out, by the issuers' own prefixes and lengths, with the Luhn check.

    A number in groups may touch words, and have dots, strokes or one line's end between its groups.
    """
    for match in _CARD_LIKE.finditer(text):
        sure, possible = _match_card_schemes(digits_of(match.group()))
        vouched = sure or (possible and _has_word_nearby(text, match.start(), match.end(), _CARD))
        yield from _card_span(match) if vouched else ()
    for match in _GROUPED_CARD.finditer(text):
        sure, _ = _match_card_schemes(digits_of(match.group()))
        yield from _card_span(match) if sure and match.group().count("\n") < 2 else ()


def _card_span(match: re.Match[str] | re2._Match[str]) -> Iterator[Span]:
    if _passes_luhn(digits_of(match.group())):
        yield Span(match.start(), match.end(), "CREDIT_CARD", 1.0)


def _match_card_schemes(number: str) -> tuple[bool, bool]:
    """Whether prefix and length are a scheme's for sure, and whether they may be one's (then a word must vouch)."""
    n, four = len(number), int(number[:4])
    visa = number[0] == "4" and n in (13, 16, 19)
    mastercard = n == 16 and (5100 <= four <= 5599 or 2221 <= four <= 2720)
    amex = n == 15 and number[:2] in ("34", "37")
    jcb = (n == 16 and 3528 <= four <= 3589) or (n == 15 and number[:4] in ("2131", "1800"))
    diners = n == 14 and (3000 <= four <= 3059 or number[:2] in ("36", "38", "39"))
    discover = n == 16 and (number[:4] == "6011" or 6440 <= four <= 6599)
    maestro = number[:2] in ("50", "56", "57", "58") or number[0] == "6"
    sure = (visa and n == 16) or mastercard or amex or jcb or diners or discover
    return sure, sure or visa or maestro


def _passes_luhn(number: str) -> bool:
    return sum(map(int, number[::-2] + number[-2::-2].translate(_DOUBLED))) % 10 == 0


def is_ssn(text: str, span: Span) -> bool:
    """Nine digits alone are no SSN; nor are groups parted by spaces, unless a word says so."""
    sure = span.score >= 0.5 and " " not in text[span.start : span.end]
    return sure or _has_word_nearby(text, span.start, span.end, _SSN)
