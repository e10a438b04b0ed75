"""A temperature makes confidence honest, and is drawn from thin air by no handful of rows."""

import numpy as np
import pytest

from tasks.learning.temperature import LIMIT, USUAL, fit_temperature


def overconfident(n, factor, classes=5, seed=0):
    """Logits (n, classes) whose softmax is `factor` times as sure as it should be, and targets drawn from the honest shares."""
    draw = np.random.default_rng(seed)
    honest = 2 * draw.standard_normal((n, classes))
    shares = np.exp(honest) / np.exp(honest).sum(1, keepdims=True)
    targets = [int(draw.choice(classes, p=row)) for row in shares]
    return factor * honest, targets


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_factor_by_which_a_network_is_too_sure_is_found(factor):
    assert fit_temperature(*overconfident(4000, factor)) == pytest.approx(factor, rel=0.08)


def test_few_rows_that_are_all_right_do_not_make_a_network_certain():
    logits, targets = np.array([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]]), [0, 1, 0]
    assert 0.8 < fit_temperature(logits, targets) < np.exp(USUAL)


@pytest.mark.parametrize("right", [True, False])
def test_a_network_that_is_always_or_never_right_has_a_temperature_within_bounds(right):
    logits = np.tile([30.0, 0.0], (2000, 1))
    assert 1 / LIMIT <= fit_temperature(logits, [0 if right else 1] * 2000) <= LIMIT


def test_no_rows_leave_confidence_as_it_is():
    assert fit_temperature(np.empty((0, 3)), []) == 1.0


def test_ten_rows_move_the_log_loss_of_others_by_little_and_a_hundred_make_it_better():
    """Of 200 draws each; what is measured is on 4,000 other rows of the same network."""
    logits, targets = overconfident(4000, 1.5, seed=1)

    def loss(temperature):
        scaled = logits / temperature
        return float(np.mean(np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(targets)), targets]))

    for rows, bound in ((10, 0.01), (100, 0.0)):
        losses = [loss(fit_temperature(*overconfident(rows, 1.5, seed=seed))) for seed in range(2, 202)]
        assert np.mean(losses) - loss(1.0) < bound
