"""The baseline of pairs of answers: which of two texts people prefer, told by their length, without any network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from tasks.problems.baselines.classification import Baseline, Floats

Pairs = tuple[Sequence[str], Sequence[str]]  # preferred answers, and the rejected ones


def length_rule(train: Pairs, test: Pairs, clock: Callable[[], float] = time.perf_counter) -> Baseline:
    """The longer answer, or the shorter one, as most training pairs have it: characters are counted, and no word is read.

    What people prefer is often length alone (Singhal et al. 2023, arXiv:2310.03716). Equal lengths are answered wrong, as by a
    network that finds both answers equally likely.
    """
    began = clock()
    direction = 1.0 if np.sign(_lengths(train)).sum() >= 0 else -1.0
    right = (direction * _lengths(test) > 0).astype(np.int8)
    name = "longer answer" if direction > 0 else "shorter answer"
    return Baseline(name, right.astype(np.int64), None, right, clock() - began)


def _lengths(pairs: Pairs) -> Floats:
    """Characters of the preferred answers less those of the rejected ones, (n,)."""
    return np.array([len(chosen) - len(rejected) for chosen, rejected in zip(*pairs, strict=True)], dtype=np.float64)
