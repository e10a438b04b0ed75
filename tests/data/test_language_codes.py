"""Codes of languages: one spelling, what is none, and which are told apart."""

import pytest

from tasks.data.language_codes import LEAST_ROWS, MOST_LANGUAGES, canonical_code, told_apart


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("EN", "en"),
        (" pt_br ", "pt-BR"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("sl-rozaj", "sl-rozaj"),
        ("gsw", "gsw"),
    ],
)
def test_a_code_has_one_spelling(cell, code):
    assert canonical_code(cell) == code


@pytest.mark.parametrize("cell", ["english", "e", "en-", "ann@example.org", "e1", "en us", "030 1234567", "", "x" * 40, "de;fr"])
def test_what_has_not_the_form_of_a_code_is_refused(cell):
    with pytest.raises(ValueError, match="no code"):
        canonical_code(cell)


def test_rare_languages_and_those_beyond_the_bound_are_not_told_apart():
    assert told_apart({"en": 500, "de": LEAST_ROWS, "fr": LEAST_ROWS - 1}) == {"en", "de"}
    assert len(told_apart({f"a{n}": 100 + n for n in range(200)})) == MOST_LANGUAGES
