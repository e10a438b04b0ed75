from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from simulations.trials import counts

from tasks.gate.power import min_detectable, power_better, power_not_worse, power_of_mean, rows_needed
from tasks.stats.sign_flip import mcnemar_exact
from tasks.stats.tango import tango_z

TRIALS = 2000
TOLERANCE = 3.3 * np.sqrt(0.25 / TRIALS)  # an estimate of a share is off by more once in a thousand runs


@pytest.mark.parametrize(
    ("n", "difference", "discordance", "alpha"), [(600, 0.03, 0.08, 0.05), (600, 0.05, 0.09, 0.001), (3000, 0.015, 0.06, 0.001)]
)
def test_power_of_better_at_a_planted_gain_agrees_with_theory(n: int, difference: float, discordance: float, alpha: float) -> None:
    wins, losses = counts(np.random.default_rng(1), TRIALS, n, discordance, difference)
    assert np.mean(mcnemar_exact(wins, losses) <= alpha) == pytest.approx(
        power_better(n, difference, discordance, alpha), abs=TOLERANCE
    )


@pytest.mark.parametrize(("n", "difference", "discordance", "margin"), [(3000, 0.0, 0.06, 0.01), (600, 0.01, 0.1, 0.02)])
def test_power_of_not_worse_agrees_with_theory(n: int, difference: float, discordance: float, margin: float) -> None:
    wins, losses = counts(np.random.default_rng(2), TRIALS, n, discordance, difference)
    found = np.mean(special.ndtr(-tango_z(wins, losses, n, -margin)) <= 0.05)
    assert found == pytest.approx(power_not_worse(n, difference, discordance, margin, 0.05), abs=TOLERANCE + 0.02)


def test_a_planted_gain_is_found_with_the_rows_that_were_said_to_be_needed() -> None:
    n = rows_needed(lambda rows: power_better(rows, 0.02, 0.06, 0.001), 0.8)
    assert n is not None
    wins, losses = counts(np.random.default_rng(3), TRIALS, n, 0.06, 0.02)
    assert np.mean(mcnemar_exact(wins, losses) <= 0.001) == pytest.approx(0.8, abs=TOLERANCE)


def test_the_detectable_gain_has_the_power_asked_for() -> None:
    gain = min_detectable(lambda difference: power_better(1000, difference, 0.08, 0.05), 0.8)
    assert gain is not None
    assert power_better(1000, gain, 0.08, 0.05) == pytest.approx(0.8, abs=0.01)


def test_a_gain_of_nothing_needs_more_rows_than_there_are() -> None:
    assert rows_needed(lambda rows: power_of_mean(rows, 0.0, 1.0, 0.05), 0.8) is None


def test_ten_rows_can_show_nothing_at_a_thousandth() -> None:
    assert power_better(9, 1.0, 1.0, 0.001) == 0.0
    assert min_detectable(lambda difference: power_better(9, difference, 0.2, 0.001), 0.8) is None
