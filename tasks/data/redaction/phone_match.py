"""The phone numbers of several regions in one pass, where the library's matcher makes one for each region.

That matcher tries every group of digits in every region, and parses each: up to 200 ms a kilobyte of digits. Here a group is parsed
only in regions whose numbers have its form (phone_forms.py), and what a step costs is counted: a text that costs more than one of
its length may is given up, the same text on every machine.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate, chain

import phonenumbers
from phonenumbers import phonenumbermatcher as library
from phonenumbers.phonenumberutil import _UNWANTED_END_CHAR_PATTERN

from tasks.data.redaction.patterns import OverBudget, digits_of
from tasks.data.redaction.phone_forms import LEAST_DIGITS, PhoneForms, likely_ends, phone_forms

SHORTEST = 6  # a local number of so few digits is none of a person, but a region may read on from behind it
MOST_DIGITS = 40  # a number of 20 with its country's code, and an extension of 20
LONGEST = 80  # characters
# Microseconds, as measured on one processor: of texts that cost much, the sum is right within a third.
READING_COST, STRETCH_COST, REST_COST, GROUP_COST, NOTE_COST, JUDGE_COST = 0.2, 5, 1, 0.5, 1.8, 1.8
FORM_COST, HEAD_COST, ACCEPT_COST, ALONE_COST, PARSE_COST = 7, 3, 4.5, 2, 52
FREE_COST, COST_PER_CHARACTER = 3_000, 2.3  # what a text may cost
Accepts = Callable[[str, int, int], bool]
_A_NUMBER = phonenumbers.PhoneNumber()  # a stand-in: the matcher does not use its value
_CUTS = (re.compile(r"\s+(?=[(+])"), re.compile(r"(?<=\d)\s"), re.compile(r"(?<=\d)\D"))  # the likeliest ends of a number first
_SECOND_NUMBER = re.compile(r"[\\/] *x")
_MAYBE_EXTENSION = re.compile(r"[^\d\s().\[\]/+-]+")


class PhoneMatcher:
    """Finds the numbers of these regions; built once, it searches many texts.

    `accepts` decides whether a region's number counts, by text, start and end; where it does not, shorter groups are tried.
    """

    def __init__(self, regions: tuple[str, ...], leniency: int, accepts: Accepts = lambda *_: True) -> None:
        self._forms, self._leniency, self._accepts = phone_forms(regions), leniency, accepts

    def find(self, *readings: str) -> Iterator[tuple[int, int]]:
        """Start and end of each number in readings of one text, in no order: where groups can be cut in two ways, numbers overlap.

        Readings have the same length and lines. Raises OverBudget where all of that costs more than a text of this length may.
        """
        first, *others = readings
        budget, known = Budget(len(first)), dict[str, dict[str, bool]]()
        yield from self._matcher(first, budget, known).matches(0, len(first))
        for text in others:
            matcher = self._matcher(text, budget, known)
            for start, end in _differing_lines(text, first):  # no number goes beyond its line
                yield from matcher.matches(start, end)

    def _matcher(self, text: str, budget: Budget, known: dict[str, dict[str, bool]]) -> _Matcher:
        budget.take(READING_COST * len(text))
        return _Matcher(text, self._forms, self._leniency, self._accepts, budget, known)


class Budget:
    """The budget left for a text of so many characters, in microseconds."""

    def __init__(self, characters: int) -> None:
        self._left = FREE_COST + COST_PER_CHARACTER * characters

    def take(self, cost: float) -> None:
        """Spends microseconds; raises OverBudget where fewer are left."""
        self._left -= cost
        if self._left < 0:
            raise OverBudget


class _Matcher(phonenumbers.PhoneNumberMatcher):
    """The library's matcher, its groups tried in the regions that could read them; each that is a number counts, not the first.

    `known` holds the regions that may read a group, of all readings of the text.
    """

    def __init__(
        self, text: str, forms: PhoneForms, leniency: int, accepts: Accepts, budget: Budget, known: dict[str, dict[str, bool]]
    ) -> None:
        super().__init__(text, None, leniency)
        self._forms, self._accepts, self._take, self._known = forms, accepts, budget.take, known
        self._spans: dict[tuple[int, int], bool | None] = {}  # the groups of the stretch at hand
        self._judged = dict(self._spans)  # of the whole text
        self._tried: set[tuple[int, int]] = set()
        self._inner: dict[int, tuple[int, dict[tuple[int, int], bool | None]]] = {}  # start and groups of a candidate, by its end
        self._digits_before = [0, *accumulate(map(str.isdecimal, text))]  # by place, up to the text's end

    def matches(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The numbers within [start, end); what stands before the first in its stretch of digits is read for itself.

        Regions differ in where a number ends, and each would read on from there: so does this while digits are left over.
        """
        while (stretch := library._PATTERN.search(self.text, start, end)) is not None:
            self._take(STRETCH_COST)
            first = stretch.start()
            if (first, end) in self._tried:
                return
            self._tried.add((first, end))
            candidate = _cut_to_longest(self._trim_after_first_match(_SECOND_NUMBER, stretch.group()))
            start = first + len(candidate)
            spans = self._read_groups(candidate, first)
            numbers = [span for span, is_number in spans.items() if is_number]
            yield from numbers
            left = self._last_unread_digit(first, start, numbers) if spans and (first, start) not in numbers else -1
            if left < 0:
                continue
            if numbers and self._may_hold_number(first, min(numbers)[0]):
                yield from self.matches(first, min(numbers)[0])
            stop = min(end, self._end_of_next_stretch(start))
            for each in sorted({span[1] for span in spans if span[1] <= left and self._may_hold_number(span[1], stop)}):
                yield from self.matches(each, stop)

    def _end_of_next_stretch(self, at: int) -> int:
        """Where the stretch ends that begins here, if one does: read from elsewhere, a number may reach into it."""
        following = library._PATTERN.search(self.text, at, at + LONGEST)
        return following.end() if following and following.start() <= at + 1 else at

    def _may_hold_number(self, start: int, end: int) -> bool:
        return self._count_digits(start, end) >= LEAST_DIGITS

    def _count_digits(self, start: int, end: int) -> int:
        """How many digits stand in [start, end)."""
        return self._digits_before[end] - self._digits_before[start] if end > start else 0

    def _read_groups(self, candidate: str, first: int) -> dict[tuple[int, int], bool]:
        """The groups of a stretch that a region may read as numbers, and whether each is one; the whole alone where it is."""
        self._spans = {}
        if self._may_hold_number(first, first + len(candidate)):
            self._extract_match(candidate, first)
        return {span: accepted for span, accepted in self._spans.items() if accepted is not None}

    def _last_unread_digit(self, start: int, end: int, numbers: list[tuple[int, int]]) -> int:
        """The last digit of a stretch that is in none of these numbers; -1 where all are."""
        self._take(REST_COST)
        for first, last in sorted(numbers, key=lambda number: -number[1]):
            if self._count_digits(last, end):
                break
            end = min(end, first)
        return bisect_left(self._digits_before, self._digits_before[end]) - 1 if self._count_digits(start, end) else -1

    def _extract_inner_match(self, candidate: str, offset: int) -> None:
        """Notes the groups that the library would try, but those of too few or too many digits for any region.

        Of a candidate that is the end of another, read before, they are those that begin with it, and the other's.
        """
        for size in likely_ends(candidate):
            self._try_group(candidate, offset, 0, size)
        end = offset + len(candidate)
        longer, groups = self._inner.get(end, (end, {}))
        is_read = longer <= offset
        for pattern in library._INNER_MATCHES:
            group = pattern.search(candidate)
            if group is not None:
                self._try_group(candidate, offset, 0, group.start())
            while group is not None and not is_read:
                self._try_group(candidate, offset, *group.span(1))
                group = pattern.search(candidate, group.start() + 1)
        if is_read:
            self._spans |= {span: number for span, number in groups.items() if span[0] >= offset}
        else:
            self._inner[end] = (offset, self._spans)

    def _try_group(self, candidate: str, offset: int, start: int, end: int) -> None:
        self._take(GROUP_COST)
        if SHORTEST <= self._count_digits(offset + start, offset + end) <= MOST_DIGITS:
            self._parse_and_verify(self._trim_after_first_match(_UNWANTED_END_CHAR_PATTERN, candidate[start:end]), offset + start)

    def _parse_and_verify(self, candidate: str, offset: int) -> phonenumbers.PhoneNumberMatch | None:
        """Notes what the group is, and goes on to the next unless it is the whole stretch, which comes first."""
        self._take(NOTE_COST)
        span, is_whole = (offset, offset + len(candidate)), not self._spans
        if span not in self._judged:
            self._take(JUDGE_COST)
            self._judged[span] = self._is_number(candidate, offset)
        self._spans[span] = self._judged[span]
        return phonenumbers.PhoneNumberMatch(offset, candidate, _A_NUMBER) if is_whole and self._spans[span] else None

    def _is_number(self, group: str, offset: int) -> bool | None:
        """Whether the group is accepted and a region reads it as a number; None where none does or could."""
        regions = self._known.get(group)
        if regions is None:
            regions = self._known[group] = self._possible_regions(group)
        if not regions:
            return False if SHORTEST <= len(digits_of(group)) < LEAST_DIGITS else None
        self._take(ACCEPT_COST)
        if not self._accepts(self.text, offset, offset + len(group)):
            return False
        return any(self._region_accepts(region, sure, group, offset) for region, sure in regions.items()) or None

    def _region_accepts(self, region: str, sure: bool, group: str, offset: int) -> bool:
        if sure:
            self._take(ALONE_COST)
            return self._stands_alone(group, offset)
        self._take(PARSE_COST)
        self.preferred_region = region
        return super()._parse_and_verify(group, offset) is not None

    def _possible_regions(self, group: str) -> dict[str, bool]:
        """The regions that may read a group as a number, in their order, and whether one surely does."""
        digits = digits_of(group)
        if not LEAST_DIGITS <= len(digits) <= MOST_DIGITS:
            return {}
        self._take(FORM_COST)
        heads = {digits_of(group[: each.start()]) for each in _MAYBE_EXTENSION.finditer(group)}
        if ("+" in group or "\uff0b" in group) and not digits.startswith("0"):  # read alike in every region
            plain = not heads and group.lstrip("([ ").startswith(("+", "\uff0b"))
            return self._forms.possible_abroad(digits) if plain else {self._forms.regions[0]: False}
        self._take(HEAD_COST * len(heads))
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


def _differing_lines(text: str, other: str) -> Iterator[tuple[int, int]]:
    """Start and end of the lines of a text that are not those of another of the same length and lines."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        if text[start:end] != other[start:end]:
            yield start, end
        start = end


def _cut_to_longest(candidate: str) -> str:
    """A long stretch of digits up to where a number in it may end: no number is as long."""
    if len(candidate) <= LONGEST:
        return candidate
    ends = ([each.start() for each in cut.finditer(candidate, LEAST_DIGITS, LONGEST)] for cut in _CUTS)
    return candidate[: next((places[-1] for places in ends if places), LONGEST)]
