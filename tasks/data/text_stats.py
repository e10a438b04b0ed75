"""What can be told of a text without a network: its length, its language, its words that are new, whether it is there at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from tasks.data.preparation.deduplicate import shingle_words

if TYPE_CHECKING:
    import pandas as pd

UNSURE = "(unsure)"  # fewer letters than tell a language
LETTERS = 20


def text_stats(texts: Sequence[str], vocabulary: Collection[str], language_of: Callable[[str], str]) -> pd.DataFrame:
    """One line a text: `length` in words; `language`; `vocabulary`, the share of its words outside `vocabulary` (NaN where it has
    none); `missing`. Equal texts are looked at once.
    """  # fmt: skip
    import pandas as pd

    known = frozenset(vocabulary)
    stats = {text: _text_stats(text, known, language_of) for text in dict.fromkeys(texts)}
    return pd.DataFrame([stats[text] for text in texts], columns=["length", "language", "vocabulary", "missing"])


def text_stats_of(texts: list[str], vocabulary: frozenset[str]) -> pd.DataFrame:
    """`text_stats` with the model of languages that the contracts use too; light, for another process does it."""
    from expectations.measures import language_model

    model, _ = language_model()
    return text_stats(texts, vocabulary, lambda text: str(model.classify(text[:2000])[0]))


def _text_stats(text: str, known: frozenset[str], language_of: Callable[[str], str]) -> tuple[float, str, float, bool]:
    words = shingle_words(text)
    new = sum(word not in known for word in words) / len(words) if words else float("nan")
    language = language_of(text) if sum(letter.isalpha() for letter in text) >= LETTERS else UNSURE
    return float(len(words)), language, new, not text.strip()
