"""Two hundred champions under watch for a year; two thousand are by `make prove` (benchmarks/watch.py)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from drift_worlds import (
    KINDS,
    Life,
    Setting,
    in_parts,
    life_of_distances,
    life_of_numbers,
    life_of_shares,
    spent,
    traffic,
    unaware_life,
)
from trials import most_allowed

from configs.schema import Monitor
from tasks.judgement.drift import MONITORS, watch
from tasks.judgement.drift_tests import share_change

LIVES, SETTINGS = 200, Monitor()
ALONE = spent(SETTINGS) * len(MONITORS)  # as if one monitor were all there are: a year's alpha, seen in few lives
LIFE: dict[str, Life] = {
    "a share": partial(life_of_shares, share=0.3, least=0.10, alpha=ALONE),
    "a rare share": partial(life_of_shares, share=0.01, least=0.05, alpha=ALONE),
    "a number": partial(life_of_numbers, least=0.20, alpha=ALONE),
    "a distance": partial(life_of_distances, least=SETTINGS.effects.embedding, alpha=ALONE),
}


@pytest.mark.parametrize("name", LIFE)
@pytest.mark.parametrize("n_window", [100, 100_000])
def test_a_year_of_looks_holds_a_false_alarm_with_at_most_alpha(name: str, n_window: int) -> None:
    for n_reference in (600, 5000):
        for change in (0.0, 1.0):
            alarmed = in_parts(LIFE[name], LIVES, Setting(n_reference, n_window, change), seed=1)
            assert alarmed <= most_allowed(SETTINGS.alpha, LIVES), (n_reference, change)


def test_a_test_of_plain_equality_that_trusts_its_reference_alarms_in_nearly_every_life() -> None:
    life = partial(unaware_life, share=0.3, alpha=ALONE)
    assert in_parts(life, LIVES, Setting(600, 100_000, 0.0), seed=2) > 0.75 * LIVES


@pytest.mark.parametrize("kind", KINDS)
def test_small_lives_through_watch_itself_hold_no_more_false_alarms_than_alpha(kind: str) -> None:
    """40 lives of 3 looks of each kind, at an alpha of 0.2 for the three."""
    monitor, alarmed = Monitor(alpha=0.2, looks_per_year=3), 0
    for life in range(40):
        reference = traffic(1000 + life, 200, kind)
        looks = (watch(reference, traffic(9000 + 10 * life + look, 100, kind), monitor, look, look) for look in (1, 2, 3))
        alarmed += any(finding.alarm for findings in looks for finding in findings)
    assert alarmed <= most_allowed(monitor.alpha, 40)


def test_the_lives_of_shares_are_judged_as_watch_judges() -> None:
    rng, alpha, differing = np.random.default_rng(3), spent(SETTINGS), 0
    reference, window = traffic(5, 600), traffic(6, 300)
    for _ in range(20):
        was, now = rng.integers(0, 300), rng.integers(0, 300)
        found = watch(
            replace(reference, flags={"missing": np.arange(600) < was}, embeddings=None),
            replace(window, flags={"missing": np.arange(300) < now}, embeddings=None),
            SETTINGS.model_copy(update={"alpha": SETTINGS.alpha * 10 / 12}),  # two monitors fewer share it
            1,
            0,
        )[5]
        low, high = share_change(now, 300, was, 600, alpha / 2)
        differing += found.alarm != bool(low > 0.1 or high < -0.1)
    assert differing == 0
