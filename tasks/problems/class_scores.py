"""A classifier's calibrated probabilities, and the shares and weights of classes. numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ClassScores:
    """A classifier's answers to n rows: probabilities (n, labels) in float64 and the labels of its columns."""

    probabilities: npt.NDArray[np.float64]
    labels: tuple[str, ...]


def calibrate_logits(logits: npt.ArrayLike, temperature: float, shares: Sequence[float] = ()) -> npt.NDArray[np.float64]:
    """Logits (n, labels) divided by a temperature and drawn towards the class shares, if given.

    A temperature of 1 changes nothing; a very high one leaves the shares. Divided alone, logits are drawn towards equal classes,
    and a rare class is named too often.
    """
    divided = np.asarray(logits, dtype=np.float64) / temperature
    return divided + (1 - 1 / temperature) * np.log(shares) if len(shares) else divided


def class_shares(targets: Sequence[int], classes: int) -> tuple[float, ...]:
    """The share of each class among `targets`, as if each had one row more: none is 0."""
    counts = np.bincount(np.asarray(targets, dtype=np.int64), minlength=classes) + 1.0
    return tuple((counts / counts.sum()).tolist())


def class_weights(targets: Sequence[int], labels: int) -> npt.NDArray[np.float64]:
    """Weights (labels,) inverse to a class's share, scaled so that the rows' mean weight is 1."""
    counts = np.bincount(np.asarray(targets), minlength=labels).astype(np.float64)
    weights = np.where(counts > 0, len(targets) / np.maximum(counts, 1), 0.0)
    return np.asarray(weights * len(targets) / (weights * counts).sum())


def class_probabilities(
    logits: npt.NDArray[np.float32], labels: Sequence[str], temperature: float = 1.0, shares: Sequence[float] = ()
) -> ClassScores:
    """Softmax of calibrated logits (n, labels) in double precision.

    Columns of one label, which an old network may have under two spellings, are added up.
    """
    calibrated = calibrate_logits(logits, temperature, shares)
    exponents = np.exp(calibrated - calibrated.max(1, keepdims=True))
    probabilities, distinct = exponents / exponents.sum(1, keepdims=True), tuple(dict.fromkeys(labels))
    if len(distinct) < len(labels):
        names = np.array(labels)
        probabilities = np.stack([probabilities[:, names == label].sum(1) for label in distinct], axis=1)
    return ClassScores(probabilities, distinct)
