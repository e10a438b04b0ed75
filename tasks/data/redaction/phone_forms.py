"""Which regions could read a string of digits as a valid phone number: one linear pass, before the library parses anything.

The forms come from the library's metadata: it would refuse what none fits. A parse takes 30 to 50 microseconds, and a text
of digits has hundreds of groups a kilobyte, each of them to be tried for every region.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from phonenumbers import PhoneMetadata

LEAST_DIGITS, LONG, MOST_DIALLED = 7, 10, 17  # digits: of any number, of a long one, of 15 behind an international prefix of two
_GROUP, _BEGINS = re.compile(r"\d+"), ("", "+", "(", "(+", "+(")
_SWALLOWED = r"(\d{10,11})"


def likely_ends(digits: str) -> list[int]:
    """Where in a stretch of digits one number may end and the next begin, with nothing but a gap between.

    Either both parts are long, or the first is an international number, or behind the gap stands what a number begins with (`0`,
    `+` or a bracket), or groups as long as those before it.
    """
    groups, total = list[tuple[int, int]](), 0
    for match in _GROUP.finditer(digits):
        groups.append(match.span())
        total += match.end() - match.start()
        if total > 2 * MOST_DIALLED:
            break
    sizes, ends, before = [end - start for start, end in groups], list[int](), 0
    abroad = digits.lstrip("([ ").startswith("+")
    for place, size in enumerate(sizes[:-1], 1):
        before += size
        if before > MOST_DIALLED or total - before < LEAST_DIGITS:
            break
        if before < LEAST_DIGITS:
            continue
        end, start = groups[place - 1][1], groups[place][0]
        gap = digits[end:start].strip(" \t-")
        begins = abroad or gap or digits[start] == "0" or sizes[:place] == sizes[place : 2 * place]
        if gap in _BEGINS and (begins or min(before, total - before) >= LONG):
            ends.append(end)
    return ends


class PhoneForms:
    """The forms of some regions, compiled once; `regions` keeps their order."""

    def __init__(self, regions: tuple[str, ...]) -> None:
        from phonenumbers import PhoneMetadata

        self.regions = regions
        self._forms: list[tuple[str, str]] = []  # region and kind, by place in the set
        self._set = re2.Set.FullMatchSet()
        self._formats: dict[str, _Formats] = {}
        self._prefixes: dict[str, str] = {}
        for region in regions:
            known: Any = PhoneMetadata.metadata_for_region(region)
            self._formats[region], self._prefixes[region] = _Formats(known), known.international_prefix
            for kind, pattern in _patterns(known).items():
                self._forms.append((region, kind))
                self._set.Add(pattern)
        self._set.Compile()

    def possible(self, digits: str) -> dict[str, bool]:
        """The regions in which these ASCII digits, dialled as they stand, may be a valid number, and whether they surely are.

        National numbers that match are valid; behind a country's code the library has rules of its own, and has to decide.
        Behind an international prefix a number is read alike in all regions of that prefix: the first is enough.
        """
        regions: dict[str, bool] = {}
        abroad: set[str] = set()
        for place in self._set.Match(digits) or ():
            region, kind = self._forms[place]
            prefix = self._prefixes[region]
            if kind == "abroad":
                if prefix not in abroad:
                    regions[region] = regions.get(region, False) or self._is_international_prefix(prefix, digits)
                abroad.add(prefix)
            elif kind != "bare" or not self._formats[region].want_prefix(digits):
                regions[region] = regions.get(region, False) or kind in ("bare", "national")
        return regions

    def _is_international_prefix(self, prefix: str, digits: str) -> bool:
        return prefix.isdecimal() and self.is_international(digits.removeprefix(prefix))

    def is_international(self, digits: str) -> bool:
        """Whether these ASCII digits, dialled behind a plus, surely are a valid number: a country's code and a number of it."""
        return any(_is_valid(digits[:size], digits[size:]) for size in (1, 2, 3))

    def possible_abroad(self, digits: str) -> dict[str, bool]:
        """`possible` of ASCII digits behind a plus, which are read alike in every region: the first stands for all."""
        sure = self.is_international(digits)
        may_be = sure or any(_may_be_valid(digits[:size], digits[size:]) for size in (1, 2, 3))
        return {self.regions[0]: sure} if may_be else {}


def _is_valid(code: str, number: str) -> bool:
    pattern = _international_pattern(code)
    return pattern is not None and pattern.fullmatch(number) is not None


def _may_be_valid(code: str, number: str) -> bool:
    pattern = _possible_pattern(code)
    return pattern is not None and pattern.fullmatch(number) is not None


@cache
def _international_pattern(code: str) -> re2._Regexp | None:
    """The numbers behind a country's code, None where no country has it."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    known = code.isdecimal() and not code.startswith("0") and int(code) in COUNTRY_CODE_TO_REGION_CODE
    return re2.compile(_valid_numbers(int(code))) if known else None


@cache
def _possible_pattern(code: str) -> re2._Regexp | None:
    """What the library may read as a number behind a country's code, None where no country has it.

    That is a valid number, with the national prefix or without; anything where a country has rules of its own for what is dialled.
    """
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

    valid = _international_pattern(code)
    if valid is None:
        return None
    known: Any = PhoneMetadata.metadata_for_region(COUNTRY_CODE_TO_REGION_CODE[int(code)][0])
    if known is None or known.national_prefix_transform_rule:
        return re2.compile(r"\d*")
    prefix = known.national_prefix_for_parsing
    return re2.compile(f"(?:{_prefix_without_number(prefix)}){{0,2}}{valid.pattern}") if prefix else valid


class _Formats:
    """How a region writes its numbers: the first format that fits says whether the national prefix has to be there."""

    def __init__(self, known: PhoneMetadata) -> None:
        self._formats = known.number_format
        self._starts, self._wholes = re2.Set.MatchSet(), re2.Set.FullMatchSet()
        for each in self._formats:
            leading = each.leading_digits_pattern
            self._starts.Add(leading[-1] if leading else "")
            self._wholes.Add(each.pattern)
        if self._formats:
            self._starts.Compile()
            self._wholes.Compile()

    def want_prefix(self, number: str) -> bool:
        if not self._formats:
            return False
        fitting = set(self._starts.Match(number) or ()) & set(self._wholes.Match(number) or ())
        if not fitting:
            return False
        first = self._formats[min(fitting)]
        rule = (first.national_prefix_formatting_rule or "").replace("\\1", "")  # what it puts beside the first group
        return not first.national_prefix_optional_when_formatting and any(map(str.isdigit, rule))


@cache
def phone_forms(regions: tuple[str, ...]) -> PhoneForms:
    """The forms of these regions, built once for each choice."""
    return PhoneForms(regions)


def _patterns(known: Any) -> dict[str, str]:
    """Bare; after the national prefix; after the country's own code, with and without that prefix; abroad."""
    number, code = _valid_numbers(known.country_code), str(known.country_code)
    prefix = _prefix_without_number(known.national_prefix_for_parsing) if known.national_prefix_for_parsing else None
    forms = {"bare": number, "code": f"{code}{number}"}
    if prefix:
        forms |= {"national": f"{prefix}{number}", "code and prefix": f"{code}{prefix}{{1,2}}{number}"}
    if known.international_prefix:
        forms["abroad"] = f"(?:{known.international_prefix})[1-9][0-9]{{6,19}}"
    return forms


def _valid_numbers(code: int) -> str:
    """The national numbers of all regions that share a country's code, of every type that the library knows."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

    types = (
        "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail",
    )  # fmt: skip
    regions = [PhoneMetadata.metadata_for_region(region) for region in COUNTRY_CODE_TO_REGION_CODE[code]]
    described = (getattr(region, name) for region in regions if region for name in types)
    return f"(?:{'|'.join(sorted({each.national_number_pattern for each in described if each and each.national_number_pattern}))})"


def _prefix_without_number(prefix: str) -> str:
    """A prefix that may swallow the number it precedes (a carrier's code does) without that number."""
    return f"(?:{prefix.replace(_SWALLOWED, '')})"
