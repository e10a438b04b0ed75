from __future__ import annotations

import pytest

from tasks.stats.multiplicity import alpha_at_look


@pytest.mark.parametrize("looks", [1, 4, 12, 52, 365])
def test_however_many_looks_are_taken_no_more_than_alpha_is_spent(looks: int) -> None:
    spent = [alpha_at_look(0.05, looks, look) for look in range(1, 20 * looks + 200)]
    assert 0.0499 <= sum(spent) <= 0.05 + 1e-12


def test_a_look_late_in_the_year_may_spend_as_much_as_the_first() -> None:
    assert alpha_at_look(0.05, 52, 52) == alpha_at_look(0.05, 52, 1) == pytest.approx(0.9 * 0.05 / 52)


def test_a_weekly_schedule_that_slips_by_a_day_is_hardly_punished() -> None:
    assert alpha_at_look(0.05, 52, 53) > 0.8 * alpha_at_look(0.05, 52, 52)


def test_looks_far_beyond_the_declared_ones_may_spend_next_to_nothing() -> None:
    assert alpha_at_look(0.05, 52, 150) < 1e-6
