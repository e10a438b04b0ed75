"""One form for every text."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.normalise import compose_unicode, key_text, normalise_text, unusable_reason


def test_accents_spaces_and_invisible_characters_get_one_form():
    assert normalise_text("cafe\u0301") == "caf\u00e9"
    assert normalise_text("a\u00a0\u2003 b\t c ") == "a b c"
    assert normalise_text("pay\u200bpal\ufeff \x00x\u202e") == "paypal x"
    assert normalise_text("a\r\n\r\n\r\n\r\nb \n c") == "a\n\nb\nc"


def test_the_layout_is_kept_where_it_counts():
    assert normalise_text("if x:\n    y = 1\n", layout=True) == "if x:\n    y = 1\n"


def test_joiners_that_spell_words_and_emoji_stay():
    assert normalise_text("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645") == "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"


@settings(derandomize=True, database=None)
@given(st.text(), st.booleans())
def test_normalising_twice_is_normalising_once(text, layout):
    once = normalise_text(text, layout)
    assert normalise_text(once, layout) == once
    assert unicodedata.is_normalized("NFC", once)


@settings(derandomize=True, database=None)
@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_the_quick_way_for_plain_texts_gives_what_the_long_way_gives(text):
    assert normalise_text(text) == normalise_text(f"\u200b{text}")


def test_the_key_ignores_case_and_spacing_only():
    assert key_text("  My  Card\n") == key_text("my card")
    assert key_text("my card") != key_text("my cards")


@pytest.mark.parametrize(
    "text",
    ["", " ", "\t\n", "\u200d", "\u200b\u200c\u200d", "\ufe0f", "\u2060 \ufeff", "\u00ad", "\u3164", "\uffa0\u115f", "\u2800",
     "\u034f", "\x07\x1b", "\u3000\u2028", "\U000e0020\U000e007f", "\u180e", "\u202e\u2066"],
)  # fmt: skip
def test_a_text_that_shows_nothing_is_empty(text):
    assert unusable_reason(text) == "is empty" and unusable_reason(f"{text}a") is None


@pytest.mark.parametrize("text", ["a", "?", "👩‍👩‍👧", "نمی\u200cدانم", "0", "\ufffd", "<EMAIL_ADDRESS>", "é"])
def test_a_text_that_shows_something_is_a_text(text):
    assert unusable_reason(text) is None


@pytest.mark.parametrize("text", ["\ud800", "hello \udfff", "\udc80"])
def test_half_of_a_surrogate_pair_is_no_text(text):
    assert "surrogate" in (unusable_reason(text) or "")


def test_of_a_long_run_of_marks_the_first_stay_and_all_else_is_composed_as_unicode_has_it():
    texts = ["e\u0301" * 600, "Fu\u0308\u00dfe " * 200, "\u1100\u1161\u11a8" * 300, "a" + "\u0301\u0323" * 15 + " b" * 400]
    for text in texts:
        assert len(text) > 500 and compose_unicode(text) == unicodedata.normalize("NFC", text)
    hostile = "a" + "\u0300\u0316" * 50_000 + "b"  # to compose it whole takes seconds
    assert compose_unicode(hostile) == unicodedata.normalize("NFC", "a" + "\u0300\u0316" * 16 + "b")
    assert normalise_text(normalise_text(hostile)) == normalise_text(hostile) and key_text(normalise_text(hostile)) == key_text(
        hostile
    )
