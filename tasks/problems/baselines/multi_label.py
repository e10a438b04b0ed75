"""The baselines of multi-label classifiers: cheap rules fitted on the train rows alone, the same on every run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.problems.baselines.text_features import text_features
from tasks.problems.metrics.multi_label import row_f1

Flags = NDArray[np.bool_]
COMMONEST = "commonest set of labels"
THRESHOLDS = tuple(np.round(np.arange(0.1, 0.91, 0.05), 2).tolist())
HELD_BACK = 0.15  # of the train rows, to choose the threshold by


@dataclass(frozen=True, eq=False)
class LabelSetBaseline:
    """Predictions of the test rows (n, labels), and the seconds to fit and predict."""

    name: str
    predictions: Flags
    seconds: float


def commonest_set(train: Flags, rows: int) -> LabelSetBaseline:
    """The commonest set of the train rows, for all of `rows`; of equally common ones the first."""
    sets, counts = np.unique(train, axis=0, return_counts=True)
    return LabelSetBaseline(COMMONEST, np.tile(sets[int(counts.argmax())], (rows, 1)), 0.0)


def tfidf_each_label(train_texts: Sequence[str], train: Flags, test_texts: Sequence[str], seed: int = 0) -> LabelSetBaseline:
    """TF-IDF of words, word pairs and 2-4 letters within words, under a logistic regression for each label.

    The probability from which a label is answered is the one with the highest F1 of rows that are held back from the train rows.
    """
    began = time.perf_counter()
    features, test_features = text_features(train_texts, test_texts)
    order = np.random.default_rng(seed).permutation(len(train))
    held_back, fitted = np.split(order, [max(1, round(HELD_BACK * len(train)))])
    likely = _label_probabilities(features[fitted], train[fitted], features[held_back], seed) if len(fitted) else None
    threshold = 0.5 if likely is None else best_threshold(likely, train[held_back])
    predictions = _label_probabilities(features, train, test_features, seed) >= threshold
    return LabelSetBaseline("TF-IDF + logistic regression of each label", predictions, time.perf_counter() - began)


def nearest_row(train_vectors: NDArray[np.floating], train: Flags, test_vectors: NDArray[np.floating]) -> LabelSetBaseline:
    """The labels of the train row whose embedding by the untouched base model is nearest by cosine: zero training."""
    began = time.perf_counter()
    known, unit_test = (
        vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12) for vectors in (train_vectors, test_vectors)
    )
    parts = np.array_split(unit_test, max(1, len(unit_test) // 1000))
    nearest = np.concatenate([(part @ known.T).argmax(axis=1) for part in parts])
    return LabelSetBaseline("nearest training row", train[nearest], time.perf_counter() - began)


def best_threshold(probabilities: NDArray[np.floating], targets: Flags) -> float:
    """The probability from which labels are answered with the highest F1 of rows, of equals the nearest to a half."""
    scores = [float(row_f1(targets, probabilities >= threshold).mean()) for threshold in THRESHOLDS]
    best = max(zip(scores, THRESHOLDS, strict=True), key=lambda each: (round(each[0], 12), -abs(each[1] - 0.5)))
    return float(best[1])


def _label_probabilities(features: object, train: Flags, test_features: object, seed: int) -> NDArray[np.float64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    out = np.empty((test_features.shape[0], train.shape[1]))  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for label, flags in enumerate(train.T):
            if flags.all() or not flags.any():
                out[:, label] = float(flags.all())
                continue
            model = LogisticRegression(C=30.0, max_iter=100, random_state=seed).fit(features, flags)
            out[:, label] = model.predict_proba(test_features)[:, 1]
    return out
