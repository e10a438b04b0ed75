"""What a fine-tuned model must beat to be worth its cost: cheap rules fitted on the train rows alone, the same on every run.

scikit-learn is imported where it is used: its second is paid only by the baseline that needs it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.data.redaction.placeholders import network_view

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
MANY_ROWS = 1000
MAJORITY, UNIGRAM = "majority class", "unigram"
TRIVIAL = {"text-classification": MAJORITY, "text-generation": UNIGRAM}  # what has learned nothing from any text


@dataclass(frozen=True, eq=False)
class Baseline:
    """Per test row the code said (n,), probabilities (n, c) or None, 1 where right (n,); and the seconds to fit and predict."""

    name: str
    predictions: Codes
    probabilities: Floats | None
    correct: NDArray[np.int8]
    seconds: float

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())


@dataclass(frozen=True, eq=False)
class TokenBaseline:
    """Per test row the summed log-likelihood of its tokens in nats (n,) and their number (n,): the units of the model's scores."""

    name: str
    log_likelihood: Floats
    tokens: Codes
    seconds: float


def fit_lexical(problem: str, train: Sequence[Path], test: Path) -> tuple[Baseline, ...]:
    """The baselines that need no network, from the Parquet files of a snapshot, read as networks do: a job for another process."""
    import pandas as pd

    if problem != "text-classification":
        return ()
    rows, held_out = pd.concat([pd.read_parquet(file) for file in train], ignore_index=True), pd.read_parquet(test)
    known, wanted, labels = encode_labels(rows["target"], held_out["target"])
    texts = [network_view(frame["text"].tolist()) for frame in (rows, held_out)]
    return (
        majority_class(known, wanted, len(labels)),
        tfidf_logistic(texts[0], known, texts[1], wanted, len(labels)),
    )


def encode_labels(train: Iterable[str], test: Iterable[str]) -> tuple[Codes, Codes, list[str]]:
    """The labels of train and test rows as codes, and what they stand for: all labels of both, in order."""
    given = [list(train), list(test)]
    labels = sorted({*given[0], *given[1]})
    code = {label: place for place, label in enumerate(labels)}
    known, wanted = (np.array([code[label] for label in part], dtype=np.int64) for part in given)
    return known, wanted, labels


def few_of_each(codes: Codes, most: int) -> Codes:
    """The places of at most `most` rows of each class, evenly spread over its rows, in order."""
    places = (np.flatnonzero(codes == code) for code in np.unique(codes))
    spread = [each[np.arange(min(most, len(each))) * len(each) // min(most, len(each))] for each in places]
    return np.sort(np.concatenate(spread))


def majority_class(train: Codes, test: Codes, classes: int, clock: Callable[[], float] = time.perf_counter) -> Baseline:
    """Always the most frequent class of the train rows (the lowest code of equals), with the classes' shares as probabilities.

    `train` and `test` are codes (m,) and (n,). The shares are add-one smoothed: a class new in test stays possible.
    """
    began = clock()
    known = _counted(train, classes)
    predictions = np.full(len(test), known.argmax(), dtype=np.int64)
    shares = np.tile((known + 1) / (known + 1).sum(), (len(test), 1))
    return _scored(MAJORITY, predictions, shares, test, clock() - began)


def tfidf_logistic(
    train_texts: Sequence[str],
    train: Codes,
    test_texts: Sequence[str],
    test: Codes,
    classes: int,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> Baseline:
    """TF-IDF of words, word pairs and 2-4 letters within words, under a multinomial logistic regression: what no GPU can do.

    A serious opponent: on banking77 as good as a linear SVM (0.915), which has no probabilities to compare. C was chosen on 15 % of
    its train rows.
    """
    began = clock()
    present = np.flatnonzero(_counted(train, classes))
    if len(present) == 1:
        return _scored("TF-IDF + logistic regression", np.full(len(test), present[0], dtype=np.int64), None, test, clock() - began)
    vectorizer = _vectorizer()
    features = vectorizer.fit_transform(train_texts)
    common = _not_rare(features)
    model = _fitted(features[:, common], train, seed)
    probabilities = np.zeros((len(test), classes))
    probabilities[:, model.classes_] = model.predict_proba(vectorizer.transform(test_texts)[:, common])
    return _scored("TF-IDF + logistic regression", probabilities.argmax(axis=1), probabilities, test, clock() - began)


def nearest_centroid(
    train_embeddings: NDArray[np.floating[Any]],
    train: Codes,
    test_embeddings: NDArray[np.floating[Any]],
    test: Codes,
    classes: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Baseline:
    """The class whose mean direction is nearest by cosine, in the untouched base model's embeddings (m, d) and (n, d).

    Zero training: what fine-tuning adds is what the model has beyond this. No probabilities: cosines are none. A class without
    a train row is never said.
    """
    began = clock()
    known = _counted(train, classes)
    rows, queries = _directions(train_embeddings), _directions(test_embeddings)
    sums = np.zeros((classes, rows.shape[1]))
    np.add.at(sums, train, rows)
    similarity = queries @ _directions(sums).T
    similarity[:, known == 0] = -np.inf
    return _scored("nearest class centroid", similarity.argmax(axis=1), None, test, clock() - began)


def unigram_scores(
    train: Sequence[Sequence[int]], test: Sequence[Sequence[int]], vocabulary: int, clock: Callable[[], float] = time.perf_counter
) -> TokenBaseline:
    """Each token at its add-one share in the train completions, whatever stands before it: the floor of perplexity.

    `train` and `test` hold each row's completion as token ids below `vocabulary`, just as the model is scored on them.
    """
    began = clock()
    flat, lengths = _flat(test, vocabulary)
    likelihood = np.log(_token_shares(_flat(train, vocabulary)[0], vocabulary))[flat]
    return TokenBaseline(UNIGRAM, _row_sums(likelihood, lengths), lengths, clock() - began)


def bigram_scores(
    train: Sequence[Sequence[int]], test: Sequence[Sequence[int]], vocabulary: int, clock: Callable[[], float] = time.perf_counter
) -> TokenBaseline:
    """Each token given the one before it, falling back on `unigram_scores` by Witten and Bell's rule (1991): no tuning.

    P(w|v) = (count(v, w) + kinds(v) P(w)) / (count(v) + kinds(v)), kinds(v) being how many different tokens followed v. A row's
    first token follows a start mark, for the prompt is not looked at.
    """
    began = clock()
    known, known_lengths = _flat(train, vocabulary)
    asked, lengths = _flat(test, vocabulary)
    shares = _token_shares(known, vocabulary)
    pairs, times = np.unique(_pairs(known, known_lengths, vocabulary), return_counts=True)
    kinds = np.bincount(pairs // vocabulary, minlength=vocabulary + 1)
    followed = np.bincount(pairs // vocabulary, weights=times, minlength=vocabulary + 1)
    wanted = _pairs(asked, lengths, vocabulary)
    where = np.minimum(np.searchsorted(pairs, wanted), max(len(pairs) - 1, 0))
    seen = np.where(pairs[where] == wanted, times[where], 0) if len(pairs) else np.zeros(len(wanted))
    before = wanted // vocabulary
    weight = np.maximum(kinds[before], 1)  # after a token never seen to be followed, the unigram alone speaks
    likelihood = np.log((seen + weight * shares[asked]) / (followed[before] + weight))
    return TokenBaseline("bigram", _row_sums(likelihood, lengths), lengths, clock() - began)


def _counted(train: Codes, classes: int) -> Codes:
    """Train rows per class (c,); ValueError where there are none or a code has no class."""
    if len(train) == 0 or train.min() < 0 or train.max() >= classes:
        raise ValueError(
            f"a baseline needs train rows with codes 0..{classes - 1}: got {len(train)} rows, {set(train[:5].tolist())}..."
        )
    return np.bincount(train, minlength=classes)


def _scored(name: str, predictions: Codes, probabilities: Floats | None, test: Codes, seconds: float) -> Baseline:
    return Baseline(name, predictions.astype(np.int64), probabilities, (predictions == test).astype(np.int8), seconds)


def _vectorizer() -> Any:
    """Words, word pairs and punctuation beside the letters within words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    words = {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b|[^\w\s]"}
    letters = {"analyzer": "char_wb", "ngram_range": (2, 4)}
    return make_union(*(TfidfVectorizer(sublinear_tf=True, dtype=np.float32, **kind) for kind in (words, letters)))


def _not_rare(features: Any) -> NDArray[np.int64]:
    """The columns that occur in two rows or more: the others cannot generalise, and leaving them out halves the fit.

    On few rows all stay. The vectorizer's own `min_df` would raise where no word occurs twice, as in a language without spaces.
    """
    occurs = features.getnnz(axis=0)
    least = 2 if features.shape[0] >= MANY_ROWS and occurs.max() >= 2 else 1
    return np.flatnonzero(occurs >= least)


def _fitted(features: Any, train: Codes, seed: int) -> Any:
    """L-BFGS ends in about 40 steps; where 100 do not suffice, the remaining difference is no longer one of accuracy."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=30.0, max_iter=100, random_state=seed).fit(features, train)


def _directions(vectors: NDArray[Any]) -> Floats:
    """Rows at length 1; a zero row stays zero and is near to nothing."""
    v = np.asarray(vectors, dtype=np.float64)
    if v.ndim != 2 or not np.isfinite(v).all():
        raise ValueError(f"embeddings {v.shape} must be a finite matrix (rows, dimensions)")
    length = np.linalg.norm(v, axis=1, keepdims=True)
    return np.asarray(v / np.where(length > 0, length, 1.0))


def _flat(rows: Sequence[Sequence[int]], vocabulary: int) -> tuple[Codes, Codes]:
    """All token ids in one column, and the length of each row; ValueError where an id is outside the vocabulary."""
    lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
    flat = np.fromiter((token for row in rows for token in row), dtype=np.int64, count=int(lengths.sum()))
    if flat.size and (flat.min() < 0 or flat.max() >= vocabulary):
        raise ValueError(f"token ids run from {flat.min()} to {flat.max()}, but the vocabulary has {vocabulary} entries")
    return flat, lengths


def _token_shares(flat: Codes, vocabulary: int) -> Floats:
    return np.asarray((np.bincount(flat, minlength=vocabulary) + 1) / (len(flat) + vocabulary))


def _pairs(flat: Codes, lengths: Codes, vocabulary: int) -> Codes:
    """Each token with the one before it, as before * vocabulary + token; `vocabulary` itself stands before a row's first."""
    before = np.concatenate([[vocabulary], flat[:-1]]) if flat.size else flat
    starts = np.cumsum(lengths) - lengths
    before[starts[lengths > 0]] = vocabulary
    return np.asarray(before * vocabulary + flat)


def _row_sums(values: Floats, lengths: Codes) -> Floats:
    return np.bincount(np.repeat(np.arange(len(lengths)), lengths), weights=values, minlength=len(lengths)).astype(np.float64)
