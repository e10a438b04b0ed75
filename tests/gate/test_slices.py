from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import recall_score

from tasks.gate.slices import by_slice, recall_by_class
from tasks.stats.intervals import wilson


def test_each_slice_has_its_mean_its_rows_and_wilsons_interval() -> None:
    scores = np.array([1.0] * 40 + [0.0] * 10 + [1.0] * 5)
    found = by_slice(scores, {"region": ["eu"] * 50 + ["us"] * 5})
    assert [(s.name, s.value, s.n, s.mean, s.judged) for s in found] == [
        ("region", "eu", 50, 0.8, True),
        ("region", "us", 5, 1.0, False),
    ]
    assert (found[0].low, found[0].high) == pytest.approx(tuple(float(bound) for bound in wilson(40, 50)))


def test_a_slice_counts_its_groups_not_its_rows() -> None:
    found = by_slice(np.ones(60), {"region": ["eu"] * 60}, groups=np.repeat(np.arange(20), 3), min_n=30)
    assert (found[0].n, found[0].n_groups, found[0].judged) == (60, 20, False)


def test_recall_by_class_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    target, guess = rng.integers(0, 4, 300), rng.integers(0, 4, 300)
    found = recall_by_class(target == guess, target)
    assert [s.mean for s in found] == pytest.approx(recall_score(target, guess, average=None))
