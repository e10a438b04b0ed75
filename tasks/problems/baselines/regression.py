"""The baselines of regressors: cheap rules fitted on the train rows alone, the same on every run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.problems.baselines.text_features import text_features

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
MEDIAN = "median of the training rows"
PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0)
HELD_BACK = 0.15  # of the train rows, to choose the penalty by


@dataclass(frozen=True, eq=False)
class NumberBaseline:
    """Predictions of the test rows (n,), and the seconds to fit and predict."""

    name: str
    predictions: Floats
    seconds: float


def inner_range(numbers: Floats) -> tuple[float, float]:
    """The ends of the central 98 % of numbers (n,), n > 0; of few the least and the greatest are left out."""
    return float(np.quantile(numbers, 0.01, method="higher")), float(np.quantile(numbers, 0.99, method="lower"))


def cut_outliers(numbers: Floats) -> Floats:
    """Numbers (n,), each cut off at a width of the inner range beyond it: one huge stand-in for an unknown number is no scale."""
    low, high = inner_range(numbers)
    width = high - low
    return np.clip(numbers, low - width, high + width) if width > 0 else numbers


def constant_baselines(train: Floats, rows: int) -> tuple[NumberBaseline, ...]:
    """The same answer to all of `rows`: the mean, which has the least squared error of all constants, and the median, which has the
    least absolute one."""
    answers = {"mean of the training rows": train.mean(), MEDIAN: np.median(train)}
    return tuple(NumberBaseline(name, np.full(rows, value, dtype=np.float64), 0.0) for name, value in answers.items())


def tfidf_ridge(train_texts: Sequence[str], train: Floats, test_texts: Sequence[str], seed: int = 0) -> NumberBaseline:
    """TF-IDF of words, word pairs and 2-4 letters within words, under a ridge regression."""
    began = time.perf_counter()
    features, test_features = text_features(train_texts, test_texts)
    predictions = _fit_ridge(features, train, test_features, seed)
    return NumberBaseline("TF-IDF + ridge regression", predictions, time.perf_counter() - began)


def embedding_ridge(
    train_vectors: NDArray[np.floating], train: Floats, test_vectors: NDArray[np.floating], seed: int = 0
) -> NumberBaseline:
    """A ridge regression on the untouched base model's embeddings (m, d) and (n, d): what fine-tuning adds is beyond this."""
    began = time.perf_counter()
    centre, spread = train_vectors.mean(axis=0), train_vectors.std(axis=0) + 1e-9
    scaled = [(vectors - centre) / spread / np.sqrt(vectors.shape[1]) for vectors in (train_vectors, test_vectors)]
    predictions = _fit_ridge(scaled[0], train, scaled[1], seed)
    return NumberBaseline("base embeddings + ridge regression", predictions, time.perf_counter() - began)


def _fit_ridge(features: csr_matrix | NDArray[Any], train: Floats, test_features: csr_matrix | NDArray[Any], seed: int) -> Floats:
    """Predictions (n,) of `test_features`; the penalty is the one with the least absolute error on rows held back from `train`.

    Outliers among the targets are cut off for the fit, as squared errors follow a few far ones.
    """
    from sklearn.linear_model import Ridge

    cut = cut_outliers(train)
    middle = float(np.median(cut))
    unit = float(np.abs(cut - middle).mean()) or 1.0
    targets = (cut - middle) / unit  # the fit is in the features' single precision
    order = np.random.default_rng(seed).permutation(len(train))
    held_back, fitted = np.split(order, [max(1, round(HELD_BACK * len(train)))])
    errors = []
    for penalty in PENALTIES if len(fitted) > 1 else PENALTIES[:1]:
        own = fitted if len(fitted) > 1 else order
        model = Ridge(alpha=penalty, random_state=seed).fit(features[own], targets[own])
        errors.append(float(np.abs(model.predict(features[held_back]) - targets[held_back]).mean()))
    best = Ridge(alpha=PENALTIES[int(np.argmin(errors))], random_state=seed).fit(features, targets)
    return np.asarray(best.predict(test_features), dtype=np.float64) * unit + middle
