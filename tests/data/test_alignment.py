"""Spans outlive what is done to a text, and come back: the texts are those of the plain functions, on ugly Unicode too."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.alignment import Alignment, aligned_compose, aligned_normalise, join_aligned, replace_stretches
from tasks.data.normalise import compose_unicode, normalise_text
from tasks.data.redaction.placeholders import aligned_view, network_view
from tasks.data.redaction.redact import Redactor
from tasks.data.text_parts import MARK, join_parts, split_parts

REDACTOR = Redactor(("EMAIL_ADDRESS", "PHONE_NUMBER"), b"k" * 32)
UGLY = (
    "a\u0301\u0323e\u030a \t\n\r\u2028\u00a0\u200b\u00ad\ufeff\u1100\u1161\u11a8\uac00\u0915\u093c\u09c7\u09be\u0f73\u0344\ufb1d"
    "\u2126\u212b\u3099\u304b漢\U0001d15e\U00011131\U00011127<>@"
)
ugly_texts = st.text(
    st.one_of(st.sampled_from(UGLY), st.characters(exclude_categories=("Cs",), exclude_characters=MARK)), max_size=40
)
short = settings(derandomize=True, database=None, deadline=None, max_examples=100)


def spans_of(text):
    return [(start, end) for start in range(len(text)) for end in range(start + 1, min(len(text), start + 7) + 1)]


def check_spans(before, after, alignment):
    """What no edit touches stays itself, what one touches comes back whole, and of what is deleted nothing is left."""
    assert len(after) == len(before) + sum(length - (end - start) for start, end, length in alignment.edits)
    at = 0
    for start, end in [*((start, end) for start, end, _ in alignment.edits), (len(before), len(before))]:
        assert at <= start <= end
        assert at == start or before[at:start] == after[slice(*alignment.forward(at, start))]
        at = end
    deleted = {place for start, end, length in alignment.edits if not length for place in range(start, end)}
    for start, end in spans_of(before):
        new = alignment.forward(start, end)
        assert 0 <= new[0] <= new[1] <= len(after)
        left = [place for place in range(start, end) if place not in deleted]
        if left:
            old = alignment.back(*new)
            assert old[0] <= left[0] and left[-1] < old[1], (before, after, alignment, start, end)
            again = alignment.forward(*old)
            assert new[0] <= again[0] and again[1] <= new[1], "to go there and back grows a span once"
        else:
            assert new[0] == new[1]


@short
@given(ugly_texts, st.booleans())
def test_the_text_is_the_normalised_one_and_its_spans_come_back(text, layout):
    after, alignment = aligned_normalise(text, layout)
    assert after == normalise_text(text, layout)
    check_spans(text, after, alignment)
    assert aligned_normalise(after, layout) == (after, Alignment())


@short
@given(ugly_texts)
def test_composition_is_tracked_character_by_character(text):
    after, alignment = aligned_compose(text)
    assert after == compose_unicode(text) == unicodedata.normalize("NFC", text)
    check_spans(text, after, alignment)


def test_every_single_character_and_every_pair_that_composes_is_composed_as_unicode_has_it():
    every = [
        chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000 and not unicodedata.is_normalized("NFD", chr(code))
    ]
    texts = [f"a{unicodedata.normalize('NFD', each)}\u0323{each}" for each in every]
    texts += ["\u1100\u1161\u11a8" * 200, "a" + "\u0300\u0316" * 400 + "b\u0301" * 300]
    for text in texts:
        assert aligned_compose(text)[0] == compose_unicode(text)


def test_places_are_those_that_a_reader_points_at():
    text = "  Cafe\u0301  \u200bbei\r\nBob "
    after, alignment = aligned_normalise(text)
    assert after == "Caf\u00e9 bei\nBob"
    assert [after[slice(*alignment.forward(*span))] for span in [(2, 7), (10, 13), (15, 18), (5, 6)]] == [
        "Caf\u00e9",
        "bei",
        "Bob",
        "\u00e9",
    ]
    assert [text[slice(*alignment.back(*span))] for span in [(0, 4), (5, 8), (9, 12)]] == ["Cafe\u0301", "bei", "Bob"]
    assert alignment.forward(0, 2) == (0, 0), "of what is removed nothing is left"


def test_a_span_that_touches_a_replaced_value_covers_its_placeholder():
    text = "write to ann@example.org now"
    ((after, alignment),) = REDACTOR.redact_aligned([text])
    start, end = alignment.forward(text.index("example"), text.index("example") + 3)
    assert after[start:end].startswith("<EMAIL_ADDRESS:") and after[start:end].endswith(">")
    assert text[slice(*alignment.back(start + 1, start + 2))] == "ann@example.org"
    read, view = aligned_view(after)
    assert read == network_view([after])[0] and read[slice(*view.forward(start, end))] == "<EMAIL_ADDRESS>"
    whole = alignment.then(view)
    assert text[slice(*whole.back(read.index("<"), read.index(">")))] == "ann@example.org"
    assert whole.forward(*whole.back(read.index("now"), len(read))) == (read.index("now"), len(read))


@pytest.mark.parametrize(
    "text", ["plain", "ann@example.org and ben@example.org", join_parts(("call 030 9018200", "me\u0301 a@b.org"))]
)
def test_redaction_with_places_gives_the_texts_of_redaction(text):
    before = REDACTOR.counts.total()
    (aligned,) = REDACTOR.redact_aligned([text])
    values = REDACTOR.counts.total() - before
    assert aligned[0] == REDACTOR.redact_each([text])[0] and len(aligned[1].edits) == values
    check_spans(text, *aligned)


def test_a_text_over_its_budget_has_no_places_and_takes_its_input_with_it():
    redactor = Redactor(("PHONE_NUMBER", "US_SSN"), b"k" * 32)
    costly = "030 1234567 ~02079460958 123-45-6789\u0663(x" * 100
    assert redactor.redact_aligned([join_parts(("fine", costly)), "plain"]) == [None, ("plain", Alignment())]


@short
@given(ugly_texts, ugly_texts)
def test_the_texts_of_an_input_are_aligned_each_alone(first, second):
    text = join_parts((first, second))
    after, alignment = aligned_normalise(text)
    assert after == normalise_text(text) == MARK.join(normalise_text(part) for part in (first, second))
    mark = len(first)
    assert after[slice(*alignment.forward(mark, mark + 1))] == MARK
    assert join_aligned(split_parts(text), map(aligned_normalise, (first, second))) == (after, alignment)


stretches = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3), st.text("xyz", max_size=3)), max_size=6)


def replaced(text, gaps):
    """The text with stretches replaced, each so far behind the one before and so long, as what a pattern matches is."""
    places, at = [], 0
    for gap, length, new in gaps:
        start = at + gap
        if start + length > len(text):
            break
        places.append((start, start + length, new))
        at = start + length
    return replace_stretches(text, places)


@short
@given(st.text("abc", max_size=25), stretches, stretches)
def test_two_alignments_one_after_the_other_are_one(text, first, second):
    middle, one = replaced(text, first)
    after, two = replaced(middle, second)
    both = one.then(two)
    check_spans(text, after, both)
    for span in spans_of(text):
        step = two.forward(*one.forward(*span))
        start, end = both.forward(*span)
        if step[0] < step[1]:
            assert start <= step[0] and step[1] <= end, "grown at most: what overlaps is one edit"
    assert Alignment().then(one) == one == one.then(Alignment())


def test_the_cost_is_linear_in_the_text():
    text = "Cafe\u0301  \u200bx\r\n " * 20_000
    after, alignment = aligned_normalise(text)
    assert after == normalise_text(text) and len(alignment.edits) < 5 * 20_000
    assert text[slice(*alignment.back(len(after) - 1, len(after)))] == "x"
