"""What is said of texts is right on texts made for it."""

import pandas as pd
import pytest

from expectations import measures


@pytest.mark.parametrize(
    "text", ["", "  \n", "n/a", "N/A.", "test", "?!", "<EMAIL_ADDRESS:1f3a9c2b>", " <PERSON:aa> - <IBAN_CODE:0b12> "]
)
def test_a_text_that_says_nothing_is_recognised(text: str) -> None:
    assert not measures.says_something(text)


@pytest.mark.parametrize("text", ["no", "42", "Über", "mail <EMAIL_ADDRESS:1f3a9c2b>", "नमस्ते", "testing the new lock"])
def test_a_short_text_still_says_something(text: str) -> None:
    assert measures.says_something(text)


@pytest.mark.parametrize("sound", ["naïve café", "ÀÉÎÕÜ ß – “quoted” … €5", "Âge", "Ã", "Привет", "漢字", "emoji 👍🏽"])
def test_damage_is_what_a_wrong_code_page_makes_of_a_text_and_nothing_else(sound: str) -> None:
    assert not measures.is_damaged(sound)
    broken = "".join(bytes([b]).decode("cp1252", "ignore") or chr(b) for b in sound.encode())
    assert broken == sound or measures.is_damaged(broken)
    assert measures.is_damaged(sound + "\ufffd")


def test_damage_by_column_is_damage_by_text() -> None:
    texts = pd.Series(["plain", "cafÃ©", "Âge", "x\ufffd", "â€œquotedâ€\u009d"], index=[7, 3, 9, 1, 4])
    found = measures.damaged_rows(texts)
    assert list(found.index) == list(texts.index)
    assert found.tolist() == [measures.is_damaged(t) for t in texts] == [False, True, False, True, True]


def test_only_long_texts_of_which_the_identifier_is_sure_are_foreign() -> None:
    texts = pd.Series(
        [
            "Dies ist ein langer deutscher Satz, der sicher nicht Englisch ist.",
            "Nein danke",
            "My router is off since the storm of last night.",
        ]
    )
    assert measures.foreign_rows(texts, ["en"], 40, 0.9).tolist() == [True, False, False]
    assert not measures.foreign_rows(texts, ["en", "de"], 40, 0.9).any()


def test_an_unknown_language_code_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="english"):
        measures.foreign_rows(pd.Series(["some text"]), ["english"], 5, 0.5)


def test_words_leave_out_digits_and_redacted_values() -> None:
    assert measures.words_of("Order 123 for <EMAIL_ADDRESS:1f3a9c2b> is LATE, très late") == [
        "order",
        "for",
        "is",
        "late",
        "très",
        "late",
    ]


def test_total_variation_is_the_share_of_rows_to_relabel() -> None:
    assert measures.total_variation({"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.5}) == 0
    assert measures.total_variation({"a": 1.0}, {"b": 1.0}) == 1
    assert measures.total_variation({"a": 0.6, "b": 0.4}, {"a": 0.5, "b": 0.5}) == pytest.approx(0.1)
