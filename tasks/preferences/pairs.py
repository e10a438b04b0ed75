"""Judgements of pairs: each asked in both orders, where a preference that turns with the order is a tie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from tasks.preferences.prompt import TURNED, AnswerPair, PairPreference

Floats = NDArray[np.float64]
MOST_UNREADABLE = 0.2  # of pairs: a judge of which more cannot be read counts for nothing


@dataclass(frozen=True)
class Judgements:
    """By pair: the answer that is preferred, None where a judgement cannot be read; `turned` counts those that follow the order."""

    preferred: tuple[PairPreference | None, ...]
    turned: int

    @property
    def unreadable(self) -> int:
        return self.preferred.count(None)

    @property
    def is_readable(self) -> bool:
        """Whether nearly all of them could be read."""
        return self.unreadable <= MOST_UNREADABLE * len(self.preferred)

    @property
    def scores(self) -> Floats:
        """(n,) 1 where answer a is preferred, 0 where b is, 0.5 for a tie, NaN where nothing can be read."""
        values: dict[PairPreference | None, float] = {"a": 1.0, "b": 0.0, "tie": 0.5, None: np.nan}
        return np.array([values[preference] for preference in self.preferred], dtype=np.float64)


def judge_pairs(pairs: Sequence[AnswerPair], ask_preference: Callable[[AnswerPair], PairPreference | None]) -> Judgements:
    """Each pair in both orders; equal answers are a tie, and nobody is asked."""
    preferred: list[PairPreference | None] = []
    turned = 0
    for pair in pairs:
        if pair.a == pair.b:
            preferred.append("tie")
            continue
        first, second = ask_preference(pair), ask_preference(pair.turned)
        if first is None or second is None:
            preferred.append(None)
            continue
        same = first == TURNED[second]
        turned += not same
        preferred.append(first if same else "tie")
    return Judgements(tuple(preferred), turned)


@dataclass(frozen=True)
class AgreementResult:
    """How often a judge and people say the same of pairs: the share, its exact lower bound, and Cohen's kappa.

    `kappa` (Cohen 1960) is None where chance alone would give full agreement.
    """

    n: int
    share: float
    low: float
    kappa: float | None
    minimum: float
    unreadable: int

    @property
    def holds(self) -> bool:
        return self.n > 0 and self.low >= self.minimum


def agreement_of(
    judged: Sequence[PairPreference | None], people: Sequence[PairPreference], minimum: float, confidence: float
) -> AgreementResult:
    """Agreement over all pairs; a judgement that cannot be read agrees with nobody."""
    n = len(people)
    same = sum(one == other for one, other in zip(judged, people, strict=True))
    ours, theirs = Counter[PairPreference | None](judged), Counter[PairPreference | None](people)
    chance = sum(ours[preference] * theirs[preference] for preference in get_args(PairPreference)) / max(1, n) ** 2
    share = same / max(1, n)
    kappa = (share - chance) / (1 - chance) if chance < 1 else None
    return AgreementResult(n, share, lower_bound(same, n, confidence), kappa, minimum, list(judged).count(None))


def lower_bound(successes: int, n: int, confidence: float) -> float:
    """The exact one-sided lower bound of a share (Clopper and Pearson 1934); 0 where nothing succeeded."""
    from scipy.special import betaincinv

    return float(betaincinv(successes, n - successes + 1, 1 - confidence)) if successes else 0.0
