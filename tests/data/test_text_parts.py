"""Inputs of two texts: kept apart through normalisation, comparison and redaction, and never made by whoever writes a text."""

import pytest

from tasks.data.normalise import key_text, normalise_text, unusable_reason
from tasks.data.redaction.redact import Redactor
from tasks.data.text_parts import MARK, join_parts, map_parts, shown_parts, split_parts

KEY = b"k" * 32


def test_the_texts_of_an_input_come_back_and_a_mark_within_one_makes_no_part():
    assert split_parts(join_parts(("one", "two"))) == ["one", "two"]
    assert split_parts(join_parts((f"one{MARK}more", "two"))) == ["one more", "two"]
    assert split_parts("plain") == ["plain"] and join_parts(("plain",)) == "plain"
    assert map_parts(str.upper, join_parts(("a", "b"))) == join_parts(("A", "B")) and map_parts(str.upper, "a") == "A"
    assert MARK not in shown_parts(join_parts(("a", "b")))


def test_each_text_is_normalised_alone():
    assert normalise_text(join_parts(("  a  b ", "c\r\nd "))) == join_parts(("a b", "c\nd"))


@pytest.mark.parametrize("parts", [("", "b"), ("a", " \u200b")])
def test_an_input_with_an_empty_text_is_unusable(parts):
    assert unusable_reason(join_parts(parts)) == "is empty in one of its parts"
    assert unusable_reason(join_parts(("a", "b"))) is None


def test_texts_that_are_parted_elsewhere_are_other_inputs():
    assert key_text(join_parts(("a b", "c"))) != key_text(join_parts(("a", "b c")))
    assert key_text(join_parts(("A", "b "))) == key_text(join_parts(("a", "B")))


def test_each_text_is_redacted_and_no_value_reaches_from_one_into_the_next():
    redactor = Redactor(("EMAIL_ADDRESS", "PHONE_NUMBER"), KEY)
    both = redactor.redact([join_parts(("write to ann@example.org", "or call +49 30 901820"))])[0]
    first, second = split_parts(both)
    assert first.startswith("write to <EMAIL_ADDRESS:") and second.startswith("or call <PHONE_NUMBER:")
    apart = join_parts(("room 030", "9018 2000"))
    assert redactor.redact([apart]) == [MARK.join(redactor.redact(["room 030", "9018 2000"]))]


def test_one_text_over_its_budget_takes_its_input_with_it():
    redactor = Redactor(("PHONE_NUMBER", "US_SSN"), KEY)
    costly = "030 1234567 ~02079460958 123-45-6789\u0663(x" * 100
    assert redactor.redact_each([costly]) == [None]
    assert redactor.redact_each([join_parts(("fine", costly)), "plain"]) == [None, "plain"]
