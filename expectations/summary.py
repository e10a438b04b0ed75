"""A million records in a few dozen bytes each, so that what concerns the whole can be asked once, over all chunks.

Free text is kept as a 64-bit hash: enough to find equals, too little to be shown or read back. Other columns become
categories while they have few values, hashes otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from expectations.measures import words_of

MANY = 10_000  # distinct values beyond which a column names no classes
WORDS, UNSEEN = ".words", ".unseen"  # suffixes of the columns that count a text's words


def compact_chunk(
    chunk: pd.DataFrame, free_text: Iterable[str], vocabulary: frozenset[str] | None, counted: Iterable[str]
) -> pd.DataFrame:
    """One chunk's rows, small; for each column of `counted` also how many words it has, and how many `vocabulary` lacks."""
    hidden = set(free_text)
    columns = {str(name): _compact_column(chunk[name], name in hidden, name == "id") for name in chunk.columns}
    if vocabulary is not None:
        for name in set(counted) & set(columns):
            columns[name + WORDS], columns[name + UNSEEN] = _count_words(chunk[name], vocabulary)
    return pd.DataFrame(columns)


def _compact_column(values: pd.Series, hide: bool, is_id: bool) -> pd.Series:
    if hide:
        return _hash_values(values)
    if is_id or not (pd.api.types.is_string_dtype(values.dtype) or isinstance(values.dtype, pd.CategoricalDtype)):
        return values
    category = values.astype("category")
    return _hash_values(values) if len(category.cat.categories) > MANY else category


def _hash_values(values: pd.Series) -> pd.Series:
    present = values.notna().to_numpy()
    hashes = pd.util.hash_array(values.astype(object).where(present, "").map(str).to_numpy(dtype=object), categorize=False).view(
        np.int64
    )
    return pd.Series(pd.arrays.IntegerArray(hashes, ~present), index=values.index)


def _count_words(texts: pd.Series, vocabulary: frozenset[str]) -> tuple[pd.Series, pd.Series]:
    words = [words_of(t) if isinstance(t, str) else [] for t in texts]
    counts = np.array([len(w) for w in words], dtype=np.int32)
    unseen = counts - np.array([sum(map(vocabulary.__contains__, w)) for w in words], dtype=np.int32)
    return pd.Series(counts, index=texts.index), pd.Series(unseen, index=texts.index)


def merge_summaries(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """All chunks' summaries as one frame with rows numbered from 0; a column hashed in one chunk is hashed in all."""
    columns: dict[str, pd.Series] = {}
    for name in dict.fromkeys(c for part in parts for c in part.columns):
        columns[name] = _join_pieces(
            [part[name] if name in part else pd.Series(pd.NA, index=part.index, dtype="str") for part in parts]
        )
    return pd.DataFrame(columns)


def _join_pieces(pieces: list[pd.Series]) -> pd.Series:
    categorical = [isinstance(p.dtype, pd.CategoricalDtype) for p in pieces]
    if all(categorical):
        joined = pd.Series(pd.api.types.union_categoricals(pieces))
        return _hash_values(joined) if len(joined.cat.categories) > MANY else _share_strings(joined)
    if any(categorical):
        pieces = [_hash_values(p) if c else p for p, c in zip(pieces, categorical, strict=True)]
    return pd.concat(pieces, ignore_index=True)


def _share_strings(values: pd.Series) -> pd.Series:
    """Categories as objects, one string for all equal rows: Great Expectations' metrics trip over categorical dtypes."""
    strings = np.array([*values.cat.categories, None], dtype=object)
    return pd.Series(strings[values.cat.codes.to_numpy()], dtype=object)
