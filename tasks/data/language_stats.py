"""Traits of texts, with the model of languages that the contracts use too; light, for another process does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def text_stats_of(texts: list[str], vocabulary: frozenset[str]) -> pd.DataFrame:
    """`tasks.data.text_stats.text_stats` of each text."""
    from expectations.measures import language_model
    from tasks.data.text_stats import text_stats

    model, _ = language_model()
    return text_stats(texts, vocabulary, lambda text: str(model.classify(text[:2000])[0]))
