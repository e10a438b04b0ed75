"""The baselines of ranking: scores of (query, document) rows by cheap rules, the same on every run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
RANDOM = "documents in random order"
K1, B = 1.2, 0.75  # of BM25, as Lucene has them
WORDS = r"(?u)\b\w+\b"


@dataclass(frozen=True, eq=False)
class RankingBaseline:
    """Scores of the test rows (n,), higher is better within a query, and the seconds to fit and score."""

    name: str
    scores: Floats
    seconds: float


def random_order(rows: int) -> RankingBaseline:
    """All candidates alike: metrics of ties are those of a random order."""
    return RankingBaseline(RANDOM, np.zeros(rows), 0.0)


def bm25(known: Sequence[str], queries: Sequence[str], documents: Sequence[str]) -> RankingBaseline:
    """BM25 (Robertson et al., 1994) of each query and the document beside it; words' rarity and the mean length are those of the
    distinct `known` documents."""
    from sklearn.feature_extraction.text import CountVectorizer

    began = time.perf_counter()
    vectorizer = CountVectorizer(token_pattern=WORDS)
    every = list(dict.fromkeys(known))
    try:
        counted = vectorizer.fit_transform(every)
    except ValueError:  # no word in any of them
        return RankingBaseline("BM25", np.zeros(len(queries)), time.perf_counter() - began)
    holders = np.asarray((counted > 0).sum(axis=0)).ravel()
    rarity = np.log1p((len(every) - holders + 0.5) / (holders + 0.5))
    mean_length = max(float(counted.sum()) / len(every), 1.0)
    words = vectorizer.transform(documents).astype(np.float64).tocsr()
    lengths = np.asarray(words.sum(axis=1)).ravel()
    saturation = np.repeat(K1 * (1 - B + B * lengths / mean_length), np.diff(words.indptr))
    words.data = words.data * (K1 + 1) / (words.data + saturation) * rarity[words.indices]
    scores = np.asarray(words.multiply(vectorizer.transform(queries)).sum(axis=1)).ravel()
    return RankingBaseline("BM25", scores, time.perf_counter() - began)


def tfidf_vectors(known: Sequence[str], *texts: Sequence[str]) -> tuple[tuple[csr_matrix, ...], float]:
    """TF-IDF vectors (n, d) of words, word pairs and letters, of length 1, fitted to the `known` texts; and the seconds for it."""
    from sklearn.preprocessing import normalize

    from tasks.problems.baselines.text_features import text_vectorizer

    began = time.perf_counter()
    vectorizer = text_vectorizer().fit(list(dict.fromkeys(known)))
    vectors = tuple(normalize(vectorizer.transform(list(each))) for each in texts)
    return vectors, time.perf_counter() - began


def tfidf_cosine(known: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> RankingBaseline:
    """The cosine of the TF-IDF vectors of each two texts."""
    (first, second), took = tfidf_vectors(known, firsts, seconds)
    return RankingBaseline("TF-IDF cosine", np.asarray(first.multiply(second).sum(axis=1), dtype=np.float64).ravel(), took)


def embedding_cosine(first: NDArray[np.floating], second: NDArray[np.floating]) -> RankingBaseline:
    """The cosine of the untouched base's embeddings (n, d) of each two texts, which read neither beside the other."""
    began = time.perf_counter()
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    scores = (first * second).sum(axis=1) / np.maximum(norms, 1e-12)
    return RankingBaseline("base embeddings, cosine", scores.astype(np.float64), time.perf_counter() - began)
