"""Phone numbers in one pass are those that the library's matcher finds region by region, at a cost that is counted."""

import random
import re

import phonenumbers
import pytest
from counting import calls
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.text.patterns import OverBudget
from tasks.text.phone_forms import phone_forms
from tasks.text.phone_match import PhoneFinder

REGIONS = ("US", "GB", "DE", "FR", "IL", "IN", "CA", "BR")
FINDER = PhoneFinder(REGIONS, 1)
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


def test_every_number_that_the_library_takes_has_a_form_and_those_of_national_form_are_sure():
    draw, forms = random.Random(7), phone_forms(REGIONS)
    matchers = {region: phonenumbers.PhoneNumberMatcher("", region, leniency=1) for region in REGIONS}
    prefixes = ["", "", "0", "00", "1", "01", "011", "44", "49", "0044", "90", "015", "0031", "91", "972", "55", "33"]
    sure = wrong = 0
    for _ in range(3000):
        digits = draw.choice(prefixes) + "".join(draw.choices("0123456789", k=draw.choice((6, 7, 8, 9, 10, 11))))
        possible = forms.possible(digits)
        for region, matcher in matchers.items():
            taken = matcher._parse_and_verify(digits, 0) is not None
            assert not taken or region in possible, (digits, region)
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


def test_lists_of_numbers_are_within_the_budget_however_long():
    draw = random.Random(1)
    for joint in ("\n", ", ", "; "):
        numbers = [f"0{draw.randrange(20, 90)} {draw.randrange(10**6, 10**7)}" for _ in range(500)]
        assert len(list(FINDER.find(joint.join(numbers)))) > 400
        abroad = [f"+{draw.choice((1212555, 4420794, 4930123, 3314268))}{draw.randrange(10**3, 10**4)}" for _ in range(1000)]
        assert len(list(FINDER.find(joint.join(abroad)))) > 700


def test_a_text_that_takes_too_many_steps_is_given_up():
    with pytest.raises(OverBudget):
        list(FINDER.find("030 1234567 ~02079460958 123-45-6789\u0663(x" * 100))
    assert len(list(FINDER.find("030 1234567 ~02079460958 123-45-6789\u0663(x"))) == 3
