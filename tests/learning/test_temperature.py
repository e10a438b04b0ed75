"""A temperature makes confidence honest, and is drawn from thin air by no handful of rows."""

import numpy as np
import pytest

from tasks.learning.collapse import hardly_varies
from tasks.learning.temperature import LIMIT, USUAL, fit_temperature, highest_temperature, log_loss
from tasks.problems.class_scores import calibrate_logits, class_probabilities, class_shares


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


def test_a_temperature_draws_logits_towards_the_class_shares():
    logits, shares = np.array([[1.0, -1.0], [-3.0, 3.0]], np.float32), class_shares([0] * 79 + [1] * 19, 2)
    assert shares == pytest.approx((0.8, 0.2))
    assert np.allclose(calibrate_logits(logits, 1.0, shares), logits)
    assert np.allclose(class_probabilities(logits, ("a", "b"), 1e9, shares).probabilities, [[0.8, 0.2]] * 2)
    assert np.allclose(class_probabilities(logits, ("a", "b"), 1e9).probabilities, 0.5)
    assert np.allclose(
        class_probabilities(logits, ("a", "b"), 2.0, (0.5, 0.5)).probabilities,
        class_probabilities(logits, ("a", "b"), 2.0).probabilities,
    )


def test_a_class_without_a_row_has_a_share():
    assert class_shares([0, 0], 3) == pytest.approx((0.6, 0.2, 0.2))


def test_of_rare_classes_and_weak_signs_answers_drawn_to_the_shares_are_better_than_those_drawn_to_equal_classes():
    """A network that took noise for signs, 1 of 5 rows of the rare class: 4,000 rows, 50 draws, the temperature from 200 others."""
    accuracy, losses = [], []
    for seed in range(50):
        draw = np.random.default_rng(seed)
        targets = (draw.random(4200) < 0.2).astype(int)
        sign = 0.5 * targets + draw.standard_normal(4200)  # all that is known of a row
        honest = np.log(0.2 / 0.8) + 0.5 * sign - 0.125
        logits = np.stack([np.zeros(4200), honest + 1.5 * draw.standard_normal(4200)], axis=1)
        shares = class_shares(targets[:200], 2)
        for drawn_to, sums in ((shares, (1, 1)), ((), (-1, -1))):
            temperature = fit_temperature(logits[:200], targets[:200], drawn_to)
            answers = calibrate_logits(logits[200:], temperature, drawn_to).argmax(1)
            accuracy.append(sums[0] * float((answers == targets[200:]).mean()))
            losses.append(sums[1] * log_loss(logits[200:], targets[200:], temperature, drawn_to))
    assert 2 * np.mean(accuracy) > 0.02, "points of accuracy won"
    assert 2 * np.mean(losses) < -0.02, "nats won"


@pytest.mark.parametrize("classes", [2, 5])
def test_the_highest_temperature_is_that_of_a_search_for_it(classes):
    shares, compared = [0.8] + [0.2 / (classes - 1)] * (classes - 1), 0
    for seed in range(60):
        draw = np.random.default_rng(seed)
        targets = draw.choice(classes, 30, p=shares)
        logits = draw.normal(0, 2, (30, classes)) + np.eye(classes)[0] * draw.uniform(0, 4)

        def varies(temperature, logits=logits, targets=targets):
            return not hardly_varies(calibrate_logits(logits, temperature, shares).argmax(1).tolist(), targets.tolist())

        searched = [temperature for temperature in np.linspace(1.001, LIMIT, 400) if varies(temperature)]
        if np.bincount(targets).max() <= 27:  # else there are too few rare rows to tell
            found, compared = highest_temperature(logits, targets, shares), compared + 1
            assert (found is None) == (not searched)
            assert found is None or (varies(found) and found == pytest.approx(max(searched), abs=0.13))
    assert compared > 40


def test_equal_shares_and_no_rows_have_no_highest_temperature():
    logits = np.array([[0.0, 1.0]] * 4)
    assert highest_temperature(logits, [0, 1, 0, 1], ()) is None  # divided alone, logits keep their answers
    assert highest_temperature(logits[:0], [], (0.8, 0.2)) is None
    assert highest_temperature(-logits, [0, 0, 0, 1], (0.8, 0.2)) is None  # the network itself answers one class
