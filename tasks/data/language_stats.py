"""Traits of texts, with the model of languages that the contracts use too; light, for another process does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def traits_of(texts: list[str], vocabulary: frozenset[str]) -> pd.DataFrame:
    """`tasks.data.text_stats.traits` of each text."""
    from expectations.measures import identifier
    from tasks.data.text_stats import traits

    model, _ = identifier()
    return traits(texts, vocabulary, lambda text: str(model.classify(text[:2000])[0]))
