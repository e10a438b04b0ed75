"""Metrics of answers that are good or bad by themselves, by how likely a model finds them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.problems.metrics.lazily import lighten_evaluate


def thumb_metrics(likelihoods: NDArray[np.floating], good: NDArray[np.bool_]) -> dict[str, float]:
    """thumb_margin and thumb_auc of (n,) log-likelihoods a token, in nats, of answers that are good or not."""
    lighten_evaluate()
    from tasks.problems.metrics.thumb_modules import GoodAndBad

    columns = {"likelihoods": np.asarray(likelihoods, dtype=np.float64), "good": np.asarray(good, dtype=np.int64)}
    scores: dict[str, float] = GoodAndBad().compute(**columns)
    return scores


def balance(good: NDArray[np.bool_]) -> float:
    """Twice the share of the rarer kind: 1 where as many answers are good as bad."""
    return float(2 * min(good.mean(), 1 - good.mean()))


def good_above_bad(likelihoods: NDArray[np.float64], good: NDArray[np.bool_]) -> float:
    """The chance that a good answer is likelier than a bad one; half of equal ones count (the area under the ROC curve)."""
    from scipy.stats import rankdata

    n = int(good.sum())
    above = rankdata(likelihoods)[good].sum() - n * (n + 1) / 2
    return float(above / (n * (len(good) - n)))
