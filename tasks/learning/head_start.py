"""A head that begins as a logistic regression on the vectors of the base: it knows the classes before the first step.

With few rows a class most of a training goes into finding a head; begun from a random one, it drags the encoder along.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

INVERSE_PENALTIES = (1.0, 10.0, 100.0)  # of the weights' squares; chosen by cross-validation
USUAL_PENALTY = 10.0  # where a class has too few rows for it
FOLDS = 3
ITERATIONS = 300


class LinearHead(NamedTuple):
    """Weights (classes, width) and biases (classes,) of a linear layer."""

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]


def logistic_head(vectors: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], classes: int) -> LinearHead:
    """The multinomial logistic regression of vectors (n, width) on classes, its penalty chosen by cross-validated log loss.

    Classes without a row get no weights, and the lowest bias.
    """
    fitted = _fit(vectors, targets, _best_penalty(vectors, targets))
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:  # one row of weights, of the second class against the first
        coefficients, intercepts = np.vstack([-coefficients, coefficients]) / 2, np.concatenate([-intercepts, intercepts]) / 2
    weight = np.zeros((classes, vectors.shape[1]), np.float32)
    bias = np.full(classes, intercepts.min(), np.float32)
    weight[fitted.classes_], bias[fitted.classes_] = coefficients, intercepts
    return LinearHead(weight, bias)


def set_head(model: Any, head: LinearHead) -> None:
    """Put it into a classifier (tasks/problems/classifier.py)."""
    import torch

    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(head.weight))
        model.head.bias.copy_(torch.from_numpy(head.bias))


def _best_penalty(vectors: npt.NDArray[np.float32], targets: npt.NDArray[np.int64]) -> float:
    """The inverse penalty with the lowest log loss over folds of the rows."""
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedKFold

    known, counts = np.unique(targets, return_counts=True)
    if counts.min() < FOLDS:
        return USUAL_PENALTY
    losses = dict.fromkeys(INVERSE_PENALTIES, 0.0)
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(vectors, targets):
        for penalty in INVERSE_PENALTIES:
            probabilities = _fit(vectors[train], targets[train], penalty).predict_proba(vectors[test])
            losses[penalty] += log_loss(targets[test], probabilities, labels=known) * len(test)
    return min(losses, key=losses.__getitem__)


def _fit(vectors: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], inverse_penalty: float) -> LogisticRegression:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a start need not be the optimum
        return LogisticRegression(C=inverse_penalty, max_iter=ITERATIONS).fit(vectors, targets)
