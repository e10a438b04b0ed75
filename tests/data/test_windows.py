"""A long text in windows is searched as a whole text is."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.schema import PATTERN_ENTITIES
from tasks.data.redaction.placeholders import PLACEHOLDER
from tasks.data.redaction.redact import Redactor
from tasks.data.redaction.windows import AFTER, WINDOW, end_of_word, text_windows

REDACTOR = Redactor((*PATTERN_ENTITIES, "URL"), b"k" * 32)
VALUES = [
    "anna.b@example.com",
    "+44 20 7946 0958",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "192.168.10.44",
    "123-45-6780",
]
VALUES += ["1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "00:1A:2B:3C:4D:5E", "https://example.com/a/b?c=d"]


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.text(alphabet="ab \n1.", max_size=400), st.integers(5, 60))
def test_every_place_is_the_first_of_one_window_that_reaches_beyond_it(text, size):
    seen = [place for each in text_windows(text, size) for place in range(each.first, each.last) if place < len(text)]
    assert seen == list(range(len(text)))
    for each in text_windows(text, size):
        assert each.start <= each.first < each.last or not text
        assert each.end == min(len(text), each.last + AFTER) or len(text) <= size


def test_values_at_every_edge_are_found_whole():
    draw = random.Random(3)
    for value in VALUES:
        for shift in range(-len(value) - 1, 2):
            words = "word " * (WINDOW // 5)
            text = f"{words[: WINDOW + shift].rstrip()} {value} {words}"
            (found,) = PLACEHOLDER.finditer(REDACTOR.redact([text])[0])
            assert value not in REDACTOR.redact([text])[0] and found, (value, shift)
    text = " and then ".join(draw.choice([*VALUES, "some plain words", "and, more;"]) for _ in range(1500))
    redacted = REDACTOR.redact([text])[0]
    assert not any(value in redacted for value in VALUES)
    parts = REDACTOR.redact(text.split(" and then "))
    assert [each.group() for each in PLACEHOLDER.finditer(redacted)] == [
        each.group() for part in parts for each in PLACEHOLDER.finditer(part)
    ]


def test_a_value_longer_than_a_window_reaches_is_replaced_to_its_end():
    text = f"see https://example.com/{'path/' * 2000}?u=anna and more"
    assert REDACTOR.redact([text])[0].startswith("see <URL:") and REDACTOR.redact([text])[0].endswith("> and more")
    assert end_of_word("ab cd", 0) == 2 and end_of_word("ab", 1) == 2


def test_addresses_of_pages_are_found_by_the_linear_engine_as_the_recognizer_finds_them():
    import regex

    from tasks.data.redaction.presidio import recognizer_classes
    from tasks.data.redaction.recognizers import pattern_finders

    recognizer = recognizer_classes(("URL",))["URL"]()
    for text in ('see https://example.com/?u=a and "http://a.org/b" or www.example.co.uk, not a.b', "x.com y.de/z?q=1 'a.net'"):
        theirs = {
            match.span()
            for each in recognizer.patterns
            for match in regex.finditer(each.regex, text, flags=recognizer.global_regex_flags)
        }
        assert {(span.start, span.end) for span in pattern_finders(("URL",))["URL"](text)} == theirs
    assert "3www" in REDACTOR.redact(["3www.www.x" * 10_000])[0]  # in which every dot might begin an ending


@pytest.mark.parametrize("value", ["a@b.c ", "<EMAIL_ADDRESS:0123abcd> a@b.org ", "192.168.1.1 ", "4111 1111 1111 1111 ", "::"])
def test_many_values_cost_each_the_same(value):
    from counting import calls

    REDACTOR.redact([value])
    short, long = (calls(REDACTOR.redact, [value * (size // len(value))]) for size in (10_000, 40_000))
    assert long < 5 * short + 1000


@pytest.mark.parametrize("before", [0, 10, 300, 400, 1000])
def test_an_address_is_found_wherever_it_stands_in_a_longer_text(before):
    text = f"{'word ' * (before // 5)}anna@example.com {'word ' * 300}"
    assert len(text) > 1280 and "<EMAIL_ADDRESS:" in REDACTOR.redact([text])[0]
