"""Phone numbers in one pass are those that the library's matcher finds region by region, at a cost that is counted."""

import random
import re
from itertools import permutations

import phonenumbers
import pytest
from counting import calls
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.redaction.patterns import OverBudget
from tasks.data.redaction.phone_card_rules import is_phone
from tasks.data.redaction.phone_forms import phone_forms
from tasks.data.redaction.phone_match import PhoneMatcher

REGIONS = ("US", "GB", "DE", "FR", "IL", "IN", "CA", "BR")
FINDER = PhoneMatcher(REGIONS, 1)
SEVEN = re.compile(r"\d(?:[^\w\n]{0,6}x?[^\w\n]{0,3}\d){6}", re.IGNORECASE)
WRITTEN = [
    "+44 20 7946 0958", "(212) 555-0123", "00 49 30 901820", "030 1234567", "0800 555 0123", "02079460958", "2125550123",
    "09876 543210", "+55 11 91234-5678", "03-1234567 x12", "01 42 68 53 00", "+1 (212) 555-0123 ext. 45", "1-800-555-0199",
    "2024-01-15", "12:30:45", "055 1234567;ext=12", "\uff10\uff12\uff10 7946 0958", "+91 98765 43210", "0 800 555 0199",
]  # fmt: skip


def by_regions(text):
    """The spans that the library finds, region after region in what is left."""
    spans = []
    for region in REGIONS:
        blank = list(text)
        for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=1):
            spans.append((match.start, match.end))
            blank[match.start : match.end] = "_" * (match.end - match.start)
        text = "".join(blank)
    return spans


def digits_in(text, spans):
    """The places of digits that lie in numbers of at least seven."""
    long = [(start, end) for start, end in spans if SEVEN.search(text[start:end])]
    return {place for start, end in long for place in range(start, end) if text[place].isdigit()}


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(WRITTEN), max_size=4), st.sampled_from(["; ", " or ", ", ", "\n", " call "]))
def test_in_text_it_finds_what_the_library_finds(numbers, joint):
    text = joint.join(numbers)
    assert digits_in(text, FINDER.find(text)) == digits_in(text, by_regions(text))


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from([*WRITTEN, "1", "22/", "(3", ") ", "-", "4711 ", "+", "x", " ext 5"]), max_size=6))
def test_in_a_jumble_of_digits_it_finds_at_least_as_much_wherever_numbers_can_be_told_apart(pieces):
    """Of groups that could be cut in two ways another number may be seen: in 1 of 100 it leaves digits that the library takes."""
    text = " ".join(pieces)
    mine, theirs = digits_in(text, FINDER.find(text)), digits_in(text, by_regions(text))
    assert len(theirs - mine) <= 12


JOINTS = [" ", ", ", "; ", "\n", " / ", "/", " - ", "-", ".", " call ", " or ", "/1 ", " (", "x", " ext 5 "]
JUDGING = PhoneMatcher(REGIONS, 1, is_phone)


def drawn(draw):
    """A text of one to four numbers, some of other digits, some with a character too many, however joined."""
    pieces = [draw.choice(["", "call ", "mobil ", "order "])]
    for _ in range(draw.randint(1, 4)):
        number = draw.choice([*WRITTEN, "077-123-4567", "0121.234.5678", "07400 123456", "01512 3456789", "0 801 23 45 67"])
        if draw.random() < 0.5:
            number = "".join(draw.choice("0123456789") if c.isdigit() and draw.random() < 0.3 else c for c in number)
        if draw.random() < 0.3:
            place = draw.randrange(len(number))
            number = number[:place] + draw.choice(" /-.()10") + number[place:]
        pieces += [number, draw.choice(JOINTS)]
    return "".join(pieces)


def test_no_digit_stays_that_the_library_finds_in_any_region_and_that_is_a_phones():
    left = {}
    for seed in range(1500):
        text = drawn(random.Random(seed))
        matches = (match for region in REGIONS for match in phonenumbers.PhoneNumberMatcher(text, region, leniency=1))
        accepted = [(match.start, match.end) for match in matches if is_phone(text, match.start, match.end)]
        left[text] = digits_in(text, accepted) - digits_in(text, JUDGING.find(text))
    assert not {text: places for text, places in left.items() if places}


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("01512 3456789/1", "/1"),
        ("unter 01512 3456789/7", "unter /7"),
        ("07400 123456 / 1", " / 1"),
        ("0 801 23 45 67 / 1", " / 1"),
        ("077-123-4567 0121.234.5678", ""),
    ],
)
def test_what_a_region_reads_too_widely_is_read_on_in_shorter_groups(text, rest):
    places = {place for span in JUDGING.find(text) for place in range(*span)}
    left = "".join(c for place, c in enumerate(text) if place not in places)
    assert left.split() == rest.split()


def test_every_number_that_the_library_takes_has_a_form_and_those_of_national_form_are_sure():
    draw, forms = random.Random(7), phone_forms(REGIONS)
    matchers = {region: phonenumbers.PhoneNumberMatcher("", region, leniency=1) for region in REGIONS}
    abroad = {region: phonenumbers.PhoneMetadata.metadata_for_region(region).international_prefix for region in REGIONS}
    prefixes = ["", "", "0", "00", "1", "01", "011", "44", "49", "0044", "90", "015", "0031", "91", "972", "55", "33"]
    sure = wrong = 0
    for _ in range(3000):
        digits = draw.choice(prefixes) + "".join(draw.choices("0123456789", k=draw.choice((6, 7, 8, 9, 10, 11))))
        possible = forms.possible(digits)
        for region, matcher in matchers.items():
            taken = matcher._parse_and_verify(digits, 0) is not None
            alike = {other for other in REGIONS if abroad[other] == abroad[region] and re.match(abroad[region], digits)}
            assert not taken or possible.keys() & {region, *alike}, (digits, region)
            sure += possible.get(region, False)
            wrong += possible.get(region, False) and not taken
    assert sure > 1000 and wrong <= 0.02 * sure


@pytest.mark.parametrize(
    "part", ["1 ", "1/", "030 1234567 ", "1(", "1 x ", "1.", "12345 ", "2125550123 ", "+4", "0044 1", "1 ext 1 "]
)
def test_the_work_grows_with_the_text_or_is_given_up(part):
    def find(text):
        try:
            return list(FINDER.find(text))
        except OverBudget:
            return None

    find("call +44 20 7946 0958 or 0049 30 901820 ext 5")
    short, long = (calls(find, part * (size // len(part))) for size in (4_000, 16_000))
    assert long < 5 * short + 1000 and short < 60 * 4_000


def test_lists_of_numbers_are_within_the_budget_however_long_and_costly_forms_up_to_seventy():
    draw = random.Random(1)
    for joint in ("\n", ", ", "; "):
        numbers = [f"0{draw.randrange(20, 90)} {draw.randrange(10**6, 10**7)}" for _ in range(500)]
        assert len(list(FINDER.find(joint.join(numbers)))) > 400
        abroad = [f"+{draw.choice((1212555, 44207946, 4930123, 3314268))}{draw.randrange(10**3, 10**4)}" for _ in range(1000)]
        assert len(list(FINDER.find(joint.join(abroad)))) > 700
        halves = [f"0{draw.randrange(1000, 9999)} {draw.randrange(10**6, 10**7)}/1" for _ in range(70)]
        assert len(list(JUDGING.find(joint.join(halves)))) > 48
        extended = [f"{draw.randrange(201, 990)}-{draw.randrange(200, 999)}-{draw.randrange(1000, 9999)}x42" for _ in range(70)]
        assert len(list(JUDGING.find(joint.join(extended)))) > 52
        behind_00 = [f"00{draw.choice((1212555, 44207946, 4930123, 3314268))}{draw.randrange(10**3, 10**4)}" for _ in range(100)]
        assert len(list(JUDGING.find(joint.join(behind_00)))) > 70


def test_a_text_that_costs_too_much_is_given_up():
    text = "0171 2345678, " * 40
    assert len(list(FINDER.find(text))) == 40
    with pytest.raises(OverBudget):
        list(FINDER.find(*(text.replace("5678", str(end)) for end in range(1000, 1010))))  # readings of one text have one budget
    with pytest.raises(OverBudget):
        list(FINDER.find("030 1234567 ~02079460958 123-45-6789\u0663(x" * 100))
    assert len(list(FINDER.find("030 1234567 ~02079460958 123-45-6789\u0663(x"))) == 3


def test_what_is_passed_over_behind_a_plus_is_no_number_to_the_library():
    """All codes of countries, with digits that lie at the edge of what their numbers are, and with prefixes before them."""
    draw, forms, passed = random.Random(0), phone_forms(REGIONS), 0
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code][:2]:
            example = phonenumbers.example_number(region) or phonenumbers.example_number_for_non_geo_entity(code)
            known = phonenumbers.PhoneMetadata.metadata_for_region(region)
            prefixes = ["", "0", "1", "8", *([known.national_prefix] if known and known.national_prefix else [])]
            for _ in range(12):
                number = list(str(example.national_number))
                number[draw.randrange(len(number))] = draw.choice("0123456789")
                digits = f"{code}{draw.choice(prefixes)}{''.join(number)}{draw.choice(['', '', '', '7'])}"
                if forms.possible_abroad(digits):
                    continue
                passed += 1
                try:
                    found = phonenumbers.parse(f"+{digits}")
                except phonenumbers.NumberParseException:
                    continue
                assert not phonenumbers.is_valid_number(found), digits
    assert passed > 500


NATIONAL = ("0171 2345678", "030 23125000", "(212) 555-0123", "415-555-2671", "020 7946 0958", "2125550123", "01 42 68 53 00")
ABROAD = ("+49 30 23125000", "+1 415 555 2671", "+44 20 7946 0958", "+91 98765 43210", "+55 11 91234-5678")


@pytest.mark.parametrize("gap", [" ", "  ", "\t", "-"])
def test_of_two_numbers_with_nothing_but_a_gap_between_no_digit_stays(gap):
    for first, second in permutations((*NATIONAL, *ABROAD), 2):
        text = f"call {first}{gap}{second} now"
        found = {place for start, end in JUDGING.find(text) for place in range(start, end)}
        assert not [place for place, sign in enumerate(text) if sign.isdigit() and place not in found], text
