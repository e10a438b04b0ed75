"""The numbers of multi-label classification in numpy alone: targets and predictions are (n, labels), 1 where a label applies.

They equal scikit-learn's (the tests hold them to 1e-9), but for rows without any label on either side, which are right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def checked_flags(references: ArrayLike, predictions: ArrayLike) -> tuple[Flags, Flags]:
    """Both as (n, labels), n > 0; ValueError where they differ in shape."""
    targets, answers = np.asarray(references, dtype=bool), np.asarray(predictions, dtype=bool)
    if targets.ndim != 2 or targets.shape != answers.shape or len(targets) == 0:
        raise ValueError(
            f"targets {targets.shape} and predictions {answers.shape} must be two tables of one shape, at least one row"
        )
    return targets, answers


def row_f1(targets: Flags, predictions: Flags) -> Floats:
    """Of each row (n,): F1 of the labels answered against those that apply, 1 where neither has any."""
    shared_labels, sizes = (targets & predictions).sum(axis=1), targets.sum(axis=1) + predictions.sum(axis=1)
    return np.asarray(np.where(sizes > 0, 2 * shared_labels / np.maximum(sizes, 1), 1.0), dtype=np.float64)


def label_scores(targets: Flags, predictions: Flags) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of each label (labels,), 0 where undefined."""
    right, answers, wanted_rows = (targets & predictions).sum(axis=0), predictions.sum(axis=0), targets.sum(axis=0)
    f1 = 2 * right / np.maximum(answers + wanted_rows, 1)
    return right / np.maximum(answers, 1), right / np.maximum(wanted_rows, 1), f1


def set_scores(targets: Flags, predictions: Flags) -> dict[str, float]:
    """f1_rows (mean of rows), subset_accuracy (whole sets right), f1_micro, precision_micro, recall_micro (over all decisions) and
    f1_macro (mean of the labels that occur among targets or predictions)."""
    right, answers, wanted_rows = int((targets & predictions).sum()), int(predictions.sum()), int(targets.sum())
    occurs = targets.any(axis=0) | predictions.any(axis=0)
    return {
        "f1_rows": float(row_f1(targets, predictions).mean()),
        "subset_accuracy": float((targets == predictions).all(axis=1).mean()),
        "f1_micro": 2 * right / (answers + wanted_rows) if answers + wanted_rows else 1.0,
        "f1_macro": float(label_scores(targets, predictions)[2][occurs].mean()) if occurs.any() else 1.0,
        "precision_micro": right / answers if answers else 0.0,
        "recall_micro": right / wanted_rows if wanted_rows else 0.0,
    }
