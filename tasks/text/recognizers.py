"""Presidio's pattern recognizers, and what they leave: cards and phones they miss, weak matches that need a word beside them.

Presidio's package imports spaCy, torch and transformers (4 to 6 s) for its NLP engines, which no pattern needs. So its recognizer modules
are imported under bare stand-in packages, in 0.2 s.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from types import ModuleType
from typing import Any

import re2

# Where spans overlap, the earlier name wins: a checked number before a guessed one, a specific kind before a general one.
PRIORITY = (
    "EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD", "CRYPTO", "MAC_ADDRESS", "IP_ADDRESS", "US_SSN", "URL", "PHONE_NUMBER",
    "PERSON", "ORGANIZATION", "LOCATION",
)  # fmt: skip

_CLASSES = {
    "EMAIL_ADDRESS": ("email_recognizer", "EmailRecognizer"),
    "PHONE_NUMBER": ("phone_recognizer", "PhoneRecognizer"),
    "CREDIT_CARD": ("credit_card_recognizer", "CreditCardRecognizer"),
    "IBAN_CODE": ("iban_recognizer", "IbanRecognizer"),
    "IP_ADDRESS": ("ip_recognizer", "IpRecognizer"),
    "URL": ("url_recognizer", "UrlRecognizer"),
    "CRYPTO": ("crypto_recognizer", "CryptoRecognizer"),
    "MAC_ADDRESS": ("mac_recognizer", "MacAddressRecognizer"),
    "US_SSN": ("us_ssn_recognizer", "UsSsnRecognizer"),
}
# What the recognizer modules take from their package, in the order in which each needs those before it.
_PARTS = (
    ("analysis_explanation", "AnalysisExplanation"),
    ("recognizer_result", "RecognizerResult"),
    ("entity_recognizer", "EntityRecognizer"),
    ("local_recognizer", "LocalRecognizer"),
    ("pattern", "Pattern"),
    ("pattern_recognizer", "PatternRecognizer"),
)


@dataclass(frozen=True)
class Span:
    """A found value: characters [start, end) of a text and what kind it is."""

    start: int
    end: int
    entity: str
    score: float


Finder = Callable[[str], Iterator[Span]]

# What a text must contain for a kind to be possible, as linear-time patterns: most rows match none and skip the recognizers.
_SEVEN_DIGITS = r"\p{Nd}(?:\P{Nd}{0,5}\p{Nd}){6}"
PREFILTER = {
    "EMAIL_ADDRESS": r"@",
    "PHONE_NUMBER": _SEVEN_DIGITS,
    "CREDIT_CARD": r"\p{Nd}(?:[ -]?\p{Nd}){11}",
    "IBAN_CODE": r"(?i)[A-Z]{2}\p{Nd}{2}(?:[ -]?[A-Z0-9]{4}){2}",
    "IP_ADDRESS": r"\p{Nd}\.\p{Nd}{1,3}\.\p{Nd}|(?i:[0-9A-F]{0,4}:[0-9A-F]{0,4}:)",
    "URL": r"\.\pL|://",
    "CRYPTO": r"(?i)(?:bc1|[13])[A-Z0-9]{25}",
    "MAC_ADDRESS": r"(?i)[0-9A-F]{2}[:-][0-9A-F]{2}[:-]|[0-9A-F]{4}\.[0-9A-F]{4}\.",
    "US_SSN": r"\p{Nd}{3}[- .]?\p{Nd}{2}[- .]?\p{Nd}{4}",
}

_NEAR = 40  # characters before a match in which a word may vouch for it; half as many after
_CALL = re2.compile(
    r"(?i)\b(?:phones?|tel|telephone|call(?:ed|ing)?|mobile|cell(?:phone)?|fax|desk|office|home|hotline|dial|ring|sms|whatsapp|"
    r"reach(?:ed)?|contact|answering|messages?|callback|telefon|t[ée]l[ée]phone|handy|m[óo]vil)\b"
)
_CARD = re2.compile(r"(?i)\b(?:cards?|credit|debit|visa|master ?card|amex|cc|maestro|discover|jcb|diners|karte|carte|tarjeta)\b")
_SSN = re2.compile(r"(?i)\b(?:ssn|ssns|ssid|social|security)\b")
_DATE = re2.compile(
    r"(?:(?:19|20)\d\d[-/. ]\d{1,2}[-/. ]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ](?:19|20)\d\d|(?:19|20)\d\d ?[-–/] ?(?:19|20)\d\d)(?:\D.*)?"
)
_PHONE_LIKE = re2.compile(r"(?:\+|\(\+?)?\d(?:[ ()./\-–]{0,3}\d){6,14}(?: ?(?:x|ext\.?) ?\d{1,6})?")
_CARD_LIKE = re2.compile(r"\b\d(?:[ -]?\d){11,18}\b")
_UPPER = {ord(c): ord(c) - 32 for c in "abcdefghijklmnopqrstuvwxyz"}
_LONGEST_EMAIL = 320  # RFC 3696: 64 + @ + 255


def finders(entities: tuple[str, ...]) -> dict[str, Finder]:
    """One function per pattern entity: text in, spans out."""
    named = [name for name in entities if name in _CLASSES]
    classes = _presidio(named) if named else {}
    return {entity: _finder(entity, recognizer) for entity, recognizer in classes.items()}


def _finder(entity: str, recognizer: type[Any]) -> Finder:
    match entity:
        case "EMAIL_ADDRESS":
            return _emails(recognizer)
        case "IBAN_CODE":
            plain = _plain(entity, recognizer())
            return lambda text: chain(plain(text), plain(text.translate(_UPPER)))
        case "CREDIT_CARD":
            plain = _plain(entity, recognizer())
            return lambda text: chain(plain(text), _more_cards(text))
        case "PHONE_NUMBER":
            plain = _plain(entity, recognizer())
            return lambda text: chain((s for s in plain(text) if _is_phone(text, s)), _more_phones(text))
        case "US_SSN":
            plain = _plain(entity, recognizer())
            return lambda text: (s for s in plain(text) if _is_ssn(text, s))
        case _:
            plain = _plain(entity, recognizer())
            return lambda text: (s for s in plain(text) if s.score >= 0.3)


def _plain(entity: str, recognizer: Any) -> Finder:
    def find(text: str) -> Iterator[Span]:
        for result in recognizer.analyze(text, [entity], None):
            yield Span(result.start, result.end, entity, result.score)

    return find


def _emails(recognizer: type[Any]) -> Finder:
    """E-mail addresses, sought around each `@` only: the pattern's time grows with the square of a long unbroken text.

    Any alphabetic top-level domain will do (company.local is a person's address too), so no suffix list is read and no network asked.
    """

    class Recognizer(recognizer):  # type: ignore[misc]
        def validate_result(self, pattern_text: str) -> bool:
            last = pattern_text.rpartition(".")[2]
            return len(last) > 1 and (last.isalpha() or last.lower().startswith("xn--"))

    plain = _plain("EMAIL_ADDRESS", Recognizer())

    def find(text: str) -> Iterator[Span]:
        if len(text) <= 4 * _LONGEST_EMAIL:
            yield from plain(text)
            return
        for start, end in _windows(text, "@", _LONGEST_EMAIL):
            for span in plain(text[start:end]):
                yield Span(start + span.start, start + span.end, span.entity, span.score)

    return find


def _windows(text: str, mark: str, reach: int) -> Iterator[tuple[int, int]]:
    """Merged stretches of the text within `reach` of each mark."""
    start = end = -1
    at = text.find(mark)
    while at >= 0:
        if at - reach > end:
            if end >= 0:
                yield start, end
            start = max(0, at - reach)
        end = min(len(text), at + reach)
        at = text.find(mark, at + 1)
    if end >= 0:
        yield start, end


def _vouched(text: str, start: int, end: int, words: Any) -> bool:
    before, after = text[max(0, start - _NEAR) : start], text[end : end + _NEAR // 2]
    return bool(words.search(before)) or bool(words.search(after))


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())


def _is_phone(text: str, span: Span) -> bool:
    """Keep what presidio found unless it is a date, or a short bare number (an order, a sum) with no word of calling near it."""
    found = text[span.start : span.end]
    count = len(_digits(found))
    if count < 7 or _DATE.fullmatch(found):
        return False
    return count >= 10 or not found.isdigit() or _vouched(text, span.start, span.end, _CALL)


def _more_phones(text: str) -> Iterator[Span]:
    """Numbers of no region presidio looks at: written internationally, or in groups beside a word of calling."""
    for match in _PHONE_LIKE.finditer(text):
        start, end = match.span()
        found = match.group()
        if (start and text[start - 1].isalnum()) or (end < len(text) and text[end].isalnum()) or _DATE.fullmatch(found):
            continue
        abroad = found.startswith(("+", "(+", "00")) and len(_digits(found)) >= 9
        if abroad or _vouched(text, start, end, _CALL):
            yield Span(start, end, "PHONE_NUMBER", 0.4)


def _more_cards(text: str) -> Iterator[Span]:
    """Ranges that presidio's pattern leaves out, by the issuers' own prefixes and lengths, with the Luhn check."""
    for match in _CARD_LIKE.finditer(text):
        number = _digits(match.group())
        sure, possible = _issued(number)
        if possible and _luhn(number) and (sure or _vouched(text, *match.span(), _CARD)):
            yield Span(*match.span(), "CREDIT_CARD", 1.0)


def _issued(number: str) -> tuple[bool, bool]:
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


def _luhn(number: str) -> bool:
    doubled = [2 * int(d) - 9 * (int(d) > 4) for d in number[-2::-2]]
    return (sum(doubled) + sum(int(d) for d in number[-1::-2])) % 10 == 0


def _is_ssn(text: str, span: Span) -> bool:
    """Nine digits alone are no SSN; nor are groups parted by spaces, unless a word says so."""
    sure = span.score >= 0.5 and " " not in text[span.start : span.end]
    return sure or _vouched(text, span.start, span.end, _SSN)


def _presidio(entities: list[str]) -> dict[str, type[Any]]:
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    root = "presidio_analyzer"
    if root not in sys.modules:
        with _bare_package(root):
            return {name: _recognizer_class(root, name) for name in entities}
    return {name: _recognizer_class(root, name) for name in entities}


def _recognizer_class(root: str, entity: str) -> type[Any]:
    module, name = _CLASSES[entity]
    place = "country_specific.us" if entity == "US_SSN" else "generic"
    found: type[Any] = getattr(importlib.import_module(f"{root}.predefined_recognizers.{place}.{module}"), name)
    return found


@contextmanager
def _bare_package(root: str) -> Iterator[None]:
    """Stand empty packages in for presidio's, whose `__init__` would import the NLP engines; take them away afterwards."""
    spec = importlib.util.find_spec(root)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("presidio_analyzer is not installed: run `make install`")
    folder = spec.submodule_search_locations[0]
    try:
        for name in (
            "",
            ".predefined_recognizers",
            ".predefined_recognizers.generic",
            ".predefined_recognizers.country_specific.us",
        ):
            _stand_in(root + name, folder + name.replace(".", "/"))
        _stand_in(f"{root}.predefined_recognizers.country_specific", f"{folder}/predefined_recognizers/country_specific")
        _stand_in(f"{root}.nlp_engine", f"{folder}/nlp_engine").NlpArtifacts = object  # type: ignore[attr-defined]
        for module, name in _PARTS:
            setattr(sys.modules[root], name, getattr(importlib.import_module(f"{root}.{module}"), name))
        yield
    finally:
        for name in [m for m in sys.modules if m == root or m.startswith(f"{root}.")]:
            del sys.modules[name]


def _stand_in(name: str, path: str) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = [path]
    sys.modules[name] = module
    return module
