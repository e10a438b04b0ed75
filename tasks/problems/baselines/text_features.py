"""The words and letters that baselines without a network read of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.pipeline import FeatureUnion

MANY_ROWS = 1000


def text_vectorizer() -> FeatureUnion:
    """TF-IDF of words, word pairs and punctuation beside the letters within words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    words = {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b|[^\w\s]"}
    letters = {"analyzer": "char_wb", "ngram_range": (2, 4)}
    return make_union(*(TfidfVectorizer(sublinear_tf=True, dtype=np.float32, **kind) for kind in (words, letters)))


def frequent_columns(features: csr_matrix) -> NDArray[np.int64]:
    """The columns that occur in two rows or more: the others cannot generalise, and leaving them out halves the fit.

    On few rows all stay. The vectorizer's own `min_df` would raise where no word occurs twice, as in a language without spaces.
    """
    occurs = features.getnnz(axis=0)
    least = 2 if features.shape[0] >= MANY_ROWS and occurs.max() >= 2 else 1
    return np.flatnonzero(occurs >= least)
