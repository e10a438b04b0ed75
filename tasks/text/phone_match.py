"""The phone numbers of several regions in one pass, where the library's matcher makes one for each region.

That matcher tries every group of digits in every region, and parses each: up to 200 ms a kilobyte of digits. Here a group is parsed
only in regions whose numbers have its form (phone_forms.py), and steps are counted: a text that takes more of them than one of its
length is given is given up.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import chain

import phonenumbers
from phonenumbers import phonenumbermatcher as library

from tasks.text.patterns import OverBudget
from tasks.text.phone_forms import PhoneForms, phone_forms

LEAST_DIGITS = 7
MOST_DIGITS = 40  # a number of 20 with its country's code, and an extension of 20
LONGEST = 80  # characters
PARSE_STEPS = 15  # a group that is looked at is one step (2 to 3 microseconds), one that is parsed is fifteen
FREE_STEPS, STEPS_PER_CHARACTER = 600, 1.8
_A_NUMBER = phonenumbers.PhoneNumber()  # which one it is is not asked
_MOST_TRIES = 10_000  # far more than a candidate has groups
_GAP = re.compile(r"(?<=\d)\D")
_SECOND_NUMBER = re.compile(r"[\\/] *x")
_NO_DIGITS = re.compile(r"\D+")
_MAYBE_EXTENSION = re.compile(r"[^\d\s().\[\]/+-]+")


class PhoneFinder:
    """Finds the numbers of these regions; made once, it may be asked for many texts."""

    def __init__(self, regions: tuple[str, ...], leniency: int) -> None:
        self._forms, self._leniency = phone_forms(regions), leniency

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of each number; raises OverBudget where that takes more steps than a text of this length is given."""
        return _Matcher(text, self._forms, self._leniency).matches(0, len(text))


class _Matcher(phonenumbers.PhoneNumberMatcher):
    """The library's matcher, its groups tried in the regions that could read them, in the regions' order."""

    def __init__(self, text: str, forms: PhoneForms, leniency: int) -> None:
        super().__init__(text, None, leniency)
        self._forms = forms
        self._steps = FREE_STEPS + int(STEPS_PER_CHARACTER * len(text))
        self._known: dict[str, dict[str, bool]] = {}

    def matches(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The numbers within [start, end); what stands before one in its stretch of digits is read for itself."""
        while (stretch := library._PATTERN.search(self.text, start, end)) is not None:
            self._take(4)
            first = stretch.start()
            candidate = _shortened(self._trim_after_first_match(_SECOND_NUMBER, stretch.group()))
            self._max_tries = _MOST_TRIES
            number = self._extract_match(candidate, first) if len(_NO_DIGITS.sub("", candidate)) >= LEAST_DIGITS else None
            if number is None:
                start = first + len(candidate)
                continue
            yield from self.matches(first, number.start)
            yield number.start, number.end
            start = number.end

    def _parse_and_verify(self, candidate: str, offset: int) -> phonenumbers.PhoneNumberMatch | None:
        """The group as a number of the first region that reads it as one."""
        self._take(1)
        regions = self._known.get(candidate)
        if regions is None:
            regions = self._known[candidate] = self._possible(candidate)
        for self.preferred_region, sure in regions.items():
            if sure:
                return (
                    phonenumbers.PhoneNumberMatch(offset, candidate, _A_NUMBER) if self._stands_alone(candidate, offset) else None
                )
            self._take(PARSE_STEPS)
            number = super()._parse_and_verify(candidate, offset)
            if number is not None:
                return number
        return None

    def _possible(self, group: str) -> dict[str, bool]:
        """The regions that may read a group as a number, in their order, and whether one surely does."""
        digits = _digits(group)
        if not LEAST_DIGITS <= len(digits) <= MOST_DIGITS:
            return {}
        self._take(1)
        if "+" in group or "\uff0b" in group:  # read alike in every region
            return {self._forms.regions[0]: False}
        heads = {_digits(group[: each.start()]) for each in _MAYBE_EXTENSION.finditer(group)}
        self._take(1 + len(heads))
        if not heads:
            possible = self._forms.possible(digits)
        else:
            possible = dict.fromkeys(chain.from_iterable(map(self._forms.possible, {digits, *heads})), False)
        return {region: possible[region] for region in self._forms.regions if region in possible}

    def _stands_alone(self, group: str, offset: int) -> bool:
        """The library's conditions on what stands in a group and beside it."""
        if not library._MATCHING_BRACKETS.fullmatch(group) or library._PUB_PAGES.search(group):
            return False
        before = self.text[offset - 1 : offset] if not library._LEAD_PATTERN.match(group) else ""
        after = self.text[offset + len(group) : offset + len(group) + 1]
        return not any(self._is_latin_letter(c) or self._is_invalid_punctuation_symbol(c) for c in before + after)

    def _take(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise OverBudget


def _shortened(candidate: str) -> str:
    """A long stretch of digits up to where one of its groups ends: no number is as long."""
    if len(candidate) <= LONGEST:
        return candidate
    ends = [each.start() for each in _GAP.finditer(candidate, LEAST_DIGITS, LONGEST)]
    return candidate[: ends[-1] if ends else LONGEST]


def _digits(group: str) -> str:
    """The digits of a group, of whatever script, as ASCII has them."""
    digits = _NO_DIGITS.sub("", group)
    return digits if digits.isascii() else "".join(str(unicodedata.decimal(digit)) for digit in digits)
