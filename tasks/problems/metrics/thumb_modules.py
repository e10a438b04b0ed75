"""The metrics of good and bad answers as a local `evaluate.Metric` module; see `modules.py`."""

from __future__ import annotations

import numpy as np
from datasets import Value
from numpy.typing import NDArray

from tasks.problems.metrics.modules import InMemory
from tasks.problems.metrics.thumbs import balance, good_above_bad

COLUMNS = {"likelihoods": Value("float64"), "good": Value("int64")}


class GoodAndBad(InMemory):
    """How much likelier good answers are than bad ones, by token: the difference of means times their balance, and the AUC."""

    columns = COLUMNS

    def score(self, *, likelihoods: NDArray[np.float64], good: NDArray[np.int64]) -> dict[str, float]:
        own = np.asarray(good) == 1
        values = np.asarray(likelihoods)
        margin = balance(own) * float(values[own].mean() - values[~own].mean())
        return {"thumb_margin": margin, "thumb_auc": good_above_bad(values, own)}
