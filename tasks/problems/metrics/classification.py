"""The numbers of text-classification in numpy alone: a class is a code 0..c-1, every function takes whole columns at once.

They equal scikit-learn's under its defaults (the tests hold them to 1e-9): averages run over the classes that occur among targets
or predictions, and a ratio without a denominator is 0. Its import, which costs a second, is not needed for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
CALIBRATION_BINS = 15


class ClassCounts(NamedTuple):
    """Per class (c,): rows where target and prediction agree, rows predicted so, rows that are so."""

    hits: Codes
    predicted: Codes
    actual: Codes


def checked_codes(targets: ArrayLike, predictions: ArrayLike) -> tuple[Codes, Codes]:
    """Both columns as int64 (n,); ValueError where they are empty, differ in length, or hold a negative code."""
    t, p = np.asarray(targets), np.asarray(predictions)
    if t.ndim != 1 or t.shape != p.shape or t.size == 0:
        raise ValueError(f"targets {t.shape} and predictions {p.shape} must be two columns of the same length, at least one row")
    if t.dtype.kind not in "iub" or p.dtype.kind not in "iub":
        raise ValueError(
            f"targets ({t.dtype}) and predictions ({p.dtype}) must be class codes: whole numbers, not labels or scores"
        )
    if min(t.min(), p.min()) < 0:
        raise ValueError("a class code is negative: -1 marks a label that training never saw; such rows cannot be scored")
    return t.astype(np.int64), p.astype(np.int64)


def checked_probabilities(targets: ArrayLike, probabilities: ArrayLike) -> tuple[Codes, Floats]:
    """Codes (n,) and probabilities (n, c) as float64; ValueError unless each row is a finite distribution that covers the codes."""
    t, p = np.asarray(targets, dtype=np.int64), np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or t.shape != p.shape[:1] or t.size == 0:
        raise ValueError(f"probabilities {p.shape} must have one row per target {t.shape} and one column per class")
    if t.min() < 0 or t.max() >= p.shape[1]:
        raise ValueError(f"target code {t.max() if t.min() >= 0 else t.min()} has no column among {p.shape[1]} classes")
    wrong = ~(np.abs(p.sum(axis=1) - 1) < 1e-3) | (p.min(axis=1) < 0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"row {row} of the probabilities is no distribution (sum {p[row].sum():.6g}): apply softmax, and look for NaN"
        )
    return t, p


def class_counts(targets: Codes, predictions: Codes, classes: int | None = None) -> ClassCounts:
    """Count per class in one pass; never the (c, c) confusion matrix, which for 10,000 classes would be 800 MB."""
    c = classes if classes is not None else int(max(targets.max(), predictions.max())) + 1
    if max(targets.max(), predictions.max()) >= c:
        raise ValueError(f"class code {max(targets.max(), predictions.max())} does not fit {c} classes")
    return ClassCounts(
        np.bincount(targets[targets == predictions], minlength=c),
        np.bincount(predictions, minlength=c),
        np.bincount(targets, minlength=c),
    )


def safe_ratio(numerator: Codes, denominator: Codes) -> Floats:
    """Element by element, and 0 where the denominator is 0 (scikit-learn's zero_division=0)."""
    quotient: Floats = np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)
    return quotient


def precision_of(k: ClassCounts) -> Floats:
    return safe_ratio(k.hits, k.predicted)


def recall_of(k: ClassCounts) -> Floats:
    return safe_ratio(k.hits, k.actual)


def f1_of(k: ClassCounts) -> Floats:
    return safe_ratio(2 * k.hits, k.predicted + k.actual)


def macro_mean(values: Floats, k: ClassCounts) -> float:
    """The plain mean over classes that occur; one that is neither in the targets nor predicted has no value to add."""
    return float(values[(k.predicted + k.actual) > 0].mean())


def weighted_mean(values: Floats, k: ClassCounts) -> float:
    """The mean over classes, each as heavy as its rows."""
    return float((values * k.actual).sum() / k.actual.sum())


def accuracy(targets: Codes, predictions: Codes) -> float:
    return float((targets == predictions).mean())


def matthews_correlation(targets: Codes, predictions: Codes) -> float:
    """Gorodkin's R_K (2004), Matthews correlation for many classes; 0 where either side holds one class only."""
    k = class_counts(targets, predictions)
    n, hits = float(len(targets)), float(k.hits.sum())
    actual, predicted = k.actual.astype(np.float64), k.predicted.astype(np.float64)
    spread = (n**2 - predicted @ predicted) * (n**2 - actual @ actual)
    return float((hits * n - actual @ predicted) / np.sqrt(spread)) if spread > 0 else 0.0


def log_likelihoods(targets: Codes, probabilities: Floats) -> Floats:
    """Natural log of the true class's probability per row (n,), kept finite by float64's epsilon at both ends."""
    eps = np.finfo(np.float64).eps
    return np.log(np.clip(probabilities[np.arange(len(targets)), targets], eps, 1 - eps))


def log_loss(targets: Codes, probabilities: Floats) -> float:
    """Mean negative log-likelihood, in nats."""
    return float(-log_likelihoods(targets, probabilities).mean())


def brier(targets: Codes, probabilities: Floats) -> float:
    """Mean squared distance to the one-hot truth: 0..2 over many classes, halved to 0..1 for two (scikit-learn's rule)."""
    squares = np.einsum("ij,ij->i", probabilities, probabilities)
    distance = squares - 2 * probabilities[np.arange(len(targets)), targets] + 1
    return float(distance.mean() * (0.5 if probabilities.shape[1] < 3 else 1.0))


def top_k_accuracy(targets: Codes, probabilities: Floats, k: int = 3) -> float:
    """Share of rows whose class is among the k most probable; of equals the higher code ranks first (scikit-learn's order)."""
    own = probabilities[np.arange(len(targets)), targets][:, None]
    above = (probabilities > own).sum(axis=1)
    tied = ((probabilities == own) & (np.arange(probabilities.shape[1]) > targets[:, None])).sum(axis=1)
    return float((above + tied < k).mean())


def expected_calibration_error(targets: Codes, predictions: Codes, probabilities: Floats, bins: int = CALIBRATION_BINS) -> float:
    """Mean gap between confidence and accuracy, in 15 bins of equal width (lo, hi], weighted by their rows (Guo et al. 2017).

    The confidence is the probability of what was predicted. It depends on the binning and is biased upward on few rows: compare it
    at equal n only.
    """
    confidence = probabilities[np.arange(len(targets)), predictions]
    bin_of_row = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(bin_of_row, weights=(targets == predictions) - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(targets))
