"""The baselines of classifiers: cheap rules fitted on the train rows alone, the same on every run.

scikit-learn is imported where it is used: its second is paid only by the baseline that needs it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.problems.baselines.text_features import text_features

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
MAJORITY = "majority class"


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


def encode_labels(train: Iterable[str], test: Iterable[str]) -> tuple[Codes, Codes, list[str]]:
    """The labels of train and test rows as codes, and what they stand for: all labels of both, in order."""
    columns = [list(train), list(test)]
    labels = sorted({*columns[0], *columns[1]})
    code = {label: place for place, label in enumerate(labels)}
    train_codes, test_codes = (np.array([code[label] for label in part], dtype=np.int64) for part in columns)
    return train_codes, test_codes, labels


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
    known = _rows_per_class(train, classes)
    predictions = np.full(len(test), known.argmax(), dtype=np.int64)
    shares = np.tile((known + 1) / (known + 1).sum(), (len(test), 1))
    return _new_baseline(MAJORITY, predictions, shares, test, clock() - began)


def tfidf_logistic(
    train_texts: Sequence[str],
    train: Codes,
    test_texts: Sequence[str],
    test: Codes,
    classes: int,
    seed: int = 0,
) -> Baseline:
    """TF-IDF of words, word pairs and 2-4 letters within words, under a multinomial logistic regression, without a GPU.

    A serious opponent: on banking77 as good as a linear SVM (0.915), which has no probabilities to compare. C was chosen on 15 % of
    its train rows.
    """
    began = time.perf_counter()
    present = np.flatnonzero(_rows_per_class(train, classes))
    if len(present) == 1:
        always = np.full(len(test), present[0], dtype=np.int64)
        return _new_baseline("TF-IDF + logistic regression", always, None, test, time.perf_counter() - began)
    features, test_features = text_features(train_texts, test_texts)
    model = _fit_logistic_regression(features, train, seed)
    probabilities = np.zeros((len(test), classes))
    probabilities[:, model.classes_] = model.predict_proba(test_features)
    likeliest = probabilities.argmax(axis=1)
    return _new_baseline("TF-IDF + logistic regression", likeliest, probabilities, test, time.perf_counter() - began)


def nearest_centroid(
    train_embeddings: NDArray[np.floating],
    train: Codes,
    test_embeddings: NDArray[np.floating],
    test: Codes,
    classes: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Baseline:
    """The class whose mean direction is nearest by cosine, in the untouched base model's embeddings (m, d) and (n, d).

    Zero training: what fine-tuning adds is what the model has beyond this. No probabilities: cosines are none. A class without
    a train row is never said.
    """
    began = clock()
    known = _rows_per_class(train, classes)
    rows, queries = _unit_vectors(train_embeddings), _unit_vectors(test_embeddings)
    sums = np.zeros((classes, rows.shape[1]))
    np.add.at(sums, train, rows)
    similarity = queries @ _unit_vectors(sums).T
    similarity[:, known == 0] = -np.inf
    return _new_baseline("nearest class centroid", similarity.argmax(axis=1), None, test, clock() - began)


def _rows_per_class(train: Codes, classes: int) -> Codes:
    """Train rows per class (c,); ValueError where there are none or a code has no class."""
    if len(train) == 0 or train.min() < 0 or train.max() >= classes:
        raise ValueError(
            f"a baseline needs train rows with codes 0..{classes - 1}: got {len(train)} rows, {set(train[:5].tolist())}..."
        )
    return np.bincount(train, minlength=classes)


def _new_baseline(name: str, predictions: Codes, probabilities: Floats | None, test: Codes, seconds: float) -> Baseline:
    return Baseline(name, predictions.astype(np.int64), probabilities, (predictions == test).astype(np.int8), seconds)


def _fit_logistic_regression(features: csr_matrix, train: Codes, seed: int) -> LogisticRegression:
    """L-BFGS ends in about 40 steps; where 100 do not suffice, the remaining difference is no longer one of accuracy."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=30.0, max_iter=100, random_state=seed).fit(features, train)


def _unit_vectors(vectors: NDArray[np.floating]) -> Floats:
    """Rows at length 1; a zero row stays zero and is near to nothing."""
    v = np.asarray(vectors, dtype=np.float64)
    if v.ndim != 2 or not np.isfinite(v).all():
        raise ValueError(f"embeddings {v.shape} must be a finite matrix (rows, dimensions)")
    length = np.linalg.norm(v, axis=1, keepdims=True)
    return np.asarray(v / np.where(length > 0, length, 1.0))
