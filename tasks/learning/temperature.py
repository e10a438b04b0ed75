"""One number that makes a classifier's confidence honest: it draws the logits towards the class shares before the softmax."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tasks.learning.collapse import SELDOM, hardly_varies
from tasks.problems.class_scores import calibrate_logits

LIMIT = 10.0  # temperatures lie between 1 / LIMIT and LIMIT
# Mean and standard deviation of log T before any row is seen: a network that was trained on few rows is too sure of itself.
USUAL, DOUBT = 0.4, 0.5
WITHIN = 0.99  # of the way from 1 to the highest temperature: a row on the edge would be answered by luck of rounding


def fit_temperature(logits: npt.ArrayLike, targets: Sequence[int] | npt.NDArray[np.int64], shares: Sequence[float] = ()) -> float:
    """The temperature that minimises the log loss of `targets` (n,) under `logits` (n, classes), near exp(USUAL) for few rows.

    It draws the logits towards class `shares` (see `calibrated`). Guo et al. (2017), 'On Calibration of Modern Neural Networks',
    with a log-normal prior: without one, rows that are all right would ask for a temperature of 0. Its mean says what networks are
    that were trained until a few held-out rows are answered well: too sure (chosen on seven sets of 300 to 1,000 rows). No rows: 1.
    """
    from scipy.optimize import minimize_scalar

    if len(targets) == 0:
        return 1.0

    def cost(log_temperature: float) -> float:
        surprise = ((log_temperature - USUAL) / DOUBT) ** 2 / 2
        return len(targets) * log_loss(logits, targets, float(np.exp(log_temperature)), shares) + surprise

    limit = float(np.log(LIMIT))
    best = minimize_scalar(cost, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(best.x))


def log_loss(
    logits: npt.ArrayLike, targets: Sequence[int] | npt.NDArray[np.int64], temperature: float, shares: Sequence[float] = ()
) -> float:
    """The mean log loss, in nats, of `targets` (n,), n > 0, under calibrated `logits` (n, classes)."""
    from scipy.special import logsumexp

    scaled = calibrate_logits(logits, temperature, shares)
    return float(np.mean(logsumexp(scaled, axis=1) - scaled[np.arange(len(targets)), np.asarray(targets, dtype=np.int64)]))


def highest_temperature(
    logits: npt.ArrayLike, targets: Sequence[int] | npt.NDArray[np.int64], shares: Sequence[float]
) -> float | None:
    """The highest temperature above 1 at which rows with these `targets` (n,) are not nearly all answered with one class, or None.

    As a temperature rises, logits (n, classes) are drawn towards the class `shares`, and fewer rows are answered with another class
    than the commonest, m: a row with logits l up to the temperature 1 + max_k (l_k - l_m) / log(share_m / share_k).
    """
    if not len(shares) or not len(targets):
        return None
    values, codes, logs = np.asarray(logits, dtype=np.float64), np.asarray(targets, dtype=np.int64), np.log(shares)
    common = int(np.argmax(logs))
    others = np.arange(len(logs)) != common
    draw = np.maximum(logs[common] - logs[others], np.finfo(np.float64).tiny)
    last = 1 + np.sort(((values[:, others] - values[:, [common]]) / draw).max(axis=1))[::-1]
    needed = int(np.ceil(SELDOM * (len(codes) - np.bincount(codes).max())))
    highest = 1 + WITHIN * (min(float(last[max(needed, 1) - 1]), LIMIT) - 1)
    if highest <= 1 or hardly_varies(calibrate_logits(values, highest, shares).argmax(1).tolist(), codes.tolist()):
        return None
    return highest
