"""One finder per entity: presidio's recognizer, with rules for values that it misses and checks of its weak matches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from tasks.data.redaction.other_spellings import is_top_level_domain, more_emails, more_ibans
from tasks.data.redaction.patterns import Finder, PhoneFinder, Span
from tasks.data.redaction.phone_card_rules import is_ssn, more_cards, phone_finder_of
from tasks.data.redaction.presidio import CLASSES, recognizer_classes

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer, PatternRecognizer

_UPPER = {ord(c): ord(c) - 32 for c in "abcdefghijklmnopqrstuvwxyz"}
_LONGEST_EMAIL = 320  # RFC 3696: 64 + @ + 255
_SURE = 0.3


def pattern_finders(entities: tuple[str, ...]) -> dict[str, Finder]:
    """One function per pattern entity but phones: text in, spans out."""
    kinds = tuple(name for name in entities if name in CLASSES and name != "PHONE_NUMBER")
    classes = recognizer_classes(kinds) if kinds else {}
    return {entity: _finder_for(entity, recognizer) for entity, recognizer in classes.items()}


def phone_finder() -> PhoneFinder:
    """Of phones, whose readings are several."""
    return phone_finder_of(recognizer_classes(("PHONE_NUMBER",))["PHONE_NUMBER"]())


def _finder_for(entity: str, recognizer: type[PatternRecognizer]) -> Finder:
    match entity:
        case "EMAIL_ADDRESS":
            emails = _email_finder(recognizer)
            return lambda text: chain(emails(text), more_emails(text))
        case "IBAN_CODE":
            ibans = recognizer()
            analyze = _presidio_finder(entity, ibans)  # it has a way of its own
            return lambda text: chain(analyze(text), analyze(text.translate(_UPPER)), more_ibans(text, ibans.validate_result))
        case "CREDIT_CARD":
            matches = pattern_matches(entity, recognizer())
            return lambda text: chain(matches(text), more_cards(text))
        case "US_SSN":
            matches = pattern_matches(entity, recognizer())
            return lambda text: (s for s in matches(text) if is_ssn(text, s))
        case "URL":
            return _url_finder(recognizer())
        case _:
            matches = pattern_matches(entity, recognizer())
            return lambda text: (s for s in matches(text) if s.score >= _SURE)


def _presidio_finder(entity: str, recognizer: EntityRecognizer) -> Finder:
    def find(text: str) -> Iterator[Span]:
        for result in recognizer.analyze(text, [entity], None):
            yield Span(result.start, result.end, entity, result.score)

    return find


def pattern_matches(entity: str, recognizer: PatternRecognizer) -> Finder:
    """What the recognizer's patterns match and it validates, as its `analyze` finds it, without a record of why for each."""
    import regex

    patterns = [(regex.compile(each.regex, recognizer.global_regex_flags), each.score) for each in recognizer.patterns]

    def find(text: str) -> Iterator[Span]:
        for pattern, score in patterns:
            for match in pattern.finditer(text):
                if (value := match.group()) and not recognizer.invalidate_result(value):
                    is_valid = recognizer.validate_result(value)
                    if is_valid is not False and (is_valid or score > 0):
                        yield Span(match.start(), match.end(), entity, 1.0 if is_valid else score)

    return find


def _url_finder(recognizer: PatternRecognizer) -> Finder:
    """Addresses of pages, by presidio's own patterns in linear time: each names 1,400 endings, tried at every dot and length."""
    import re2

    options = re2.Options()
    options.case_sensitive, options.max_mem = False, 64 << 20
    patterns = [(re2.compile(pattern.regex.removeprefix("(?i)"), options), pattern.score) for pattern in recognizer.patterns]

    def find(text: str) -> Iterator[Span]:
        for pattern, score in patterns:
            for match in pattern.finditer(text):
                yield Span(match.start(), match.end(), "URL", score)

    return find


def _email_finder(recognizer: type[PatternRecognizer]) -> Finder:
    """E-mail addresses, sought around each `@` only: the pattern's time grows with the square of a long unbroken text.

    Any alphabetic top-level domain will do (company.local is an address too), so no suffix list is read and no network asked.
    """

    class Recognizer(recognizer):  # type: ignore[misc]
        def validate_result(self, pattern_text: str) -> bool:
            return is_top_level_domain(pattern_text.rpartition(".")[2])

    matches = pattern_matches("EMAIL_ADDRESS", Recognizer())

    def find(text: str) -> Iterator[Span]:
        if len(text) <= 4 * _LONGEST_EMAIL:
            yield from matches(text)
            return
        for start, end in _stretches_around(text, "@", _LONGEST_EMAIL):
            for span in matches(text[start:end]):
                yield Span(start + span.start, start + span.end, span.entity, span.score)

    return find


def _stretches_around(text: str, mark: str, reach: int) -> Iterator[tuple[int, int]]:
    """Merged stretches of the text within `reach` of each mark."""
    start, end = 0, -1
    at = text.find(mark)
    while at >= 0:
        if end < 0 or at - reach > end:
            if end >= 0:
                yield start, end
            start = max(0, at - reach)
        end = min(len(text), at + reach)
        at = text.find(mark, at + 1)
    if end >= 0:
        yield start, end
