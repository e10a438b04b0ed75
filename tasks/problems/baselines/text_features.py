"""The words and letters that baselines without a network read of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.data.text_parts import MARK, split_parts

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


def text_features(train: Sequence[str], test: Sequence[str]) -> tuple[csr_matrix, csr_matrix]:
    """The features (m, d) and (n, d) of train and test texts, without those of train texts that cannot generalise.

    Of two texts side by side they are those of either, what they share, and by how much they differ.
    """
    vectorizer = text_vectorizer()
    if not any(MARK in text for text in train):
        known, test_features = vectorizer.fit_transform(train), vectorizer.transform(test)
    else:
        vectorizer.fit([part for text in train for part in split_parts(text)])
        known, test_features = (_pair_features(vectorizer, texts) for texts in (train, test))
    common = frequent_columns(known)
    return known[:, common], test_features[:, common]


def _pair_features(vectorizer: FeatureUnion, texts: Sequence[str]) -> csr_matrix:
    from scipy.sparse import csr_matrix, hstack

    pairs = [[*split_parts(text), ""][:2] for text in texts]
    first, second = (vectorizer.transform([pair[place] for pair in pairs]) for place in (0, 1))
    shared = first.multiply(second)
    sums = [csr_matrix(each.sum(axis=1)) for each in (shared, abs(first - second))]
    return hstack([first, second, shared, *sums], format="csr", dtype=np.float32)


def frequent_columns(features: csr_matrix) -> NDArray[np.int64]:
    """The columns that occur in two rows or more: the others cannot generalise, and leaving them out halves the fit.

    On few rows all stay. The vectorizer's own `min_df` would raise where no word occurs twice, as in a language without spaces.
    """
    occurs = features.getnnz(axis=0)
    least = 2 if features.shape[0] >= MANY_ROWS and occurs.max() >= 2 else 1
    return np.flatnonzero(occurs >= least)
