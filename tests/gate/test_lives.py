"""A hundred lives of 52 looks of each kind; thousands are lived by `make prove` (benchmarks/gate.py)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from simulations.gate_lives import (
    WORLDS,
    BusyYear,
    World,
    agreement,
    at_the_margin,
    better,
    live,
    live_busily,
    not_worse,
    spent_per_look,
    steady,
)

from configs.schema import Gate

LIVES, SETTINGS = 100, Gate().at_scale()
MOST = stats.poisson.ppf(0.999, LIVES * SETTINGS.alpha)  # wrong promotions in all lives that alpha per life explains


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_wrong_promotions_in_a_life_of_52_looks_are_at_most_alpha(world: World) -> None:
    assert live(world, better(spent_per_look(SETTINGS)), LIVES, seed=1).wrong.sum() <= MOST


def test_without_spending_a_life_would_surely_hold_a_wrong_promotion() -> None:
    assert live(WORLDS[0], better(SETTINGS.alpha), LIVES, seed=2).wrong.mean() > 0.8


def test_a_sudden_shift_is_answered_within_weeks() -> None:
    outcome = live(WORLDS[3], better(spent_per_look(SETTINGS)), LIVES, seed=3)
    assert np.mean(outcome.first_right <= 34) > 0.95
    assert outcome.accuracy.mean() > 0.89


def test_challengers_at_the_margin_pass_at_most_alpha_in_a_life_under_not_worse() -> None:
    world = World("at the margin", steady, at_the_margin, rows_a_week=300)
    judge = not_worse(spent_per_look(SETTINGS), SETTINGS.margin, anchored=True)
    assert live(world, judge, LIVES, seed=4, margin=SETTINGS.margin).wrong.sum() <= MOST


def test_the_lives_are_judged_as_the_gate_itself_judges() -> None:
    differing, made = agreement(WORLDS[3], lives=4, seed=5, settings=SETTINGS)
    assert (differing, made) == (0, 208)


def test_a_cron_and_triggers_with_a_new_champion_each_quarter_promote_wrongly_at_most_alpha_a_year() -> None:
    """A life has at most alpha wrong promotions on average: those of all lives stay under a Poisson's 99.9 % quantile."""
    lives = 400
    most = stats.poisson.ppf(0.999, lives * SETTINGS.alpha)
    wrong, right = live_busily(BusyYear(), SETTINGS, lives, seed=6)
    assert wrong.sum() <= most and right.mean() > 3.8
    wrong, _ = live_busily(BusyYear(), SETTINGS, lives, seed=6, per_champion=True)
    assert wrong.sum() > most  # what an alpha for each champion would cost: the simulation can tell
