"""A training that went wrong for good is told from one that is slow, noisy or just had a spike."""

import numpy as np
import pytest

from tasks.learning.collapse import answers_one_class, climbed_back, constant_loss, hardly_varies, learned_nothing, sample_rows

ENTRIES = 60


def falling(entries=ENTRIES, start=0.69, end=0.1, noise=0.03, seed=0):
    """Losses that fall towards `end`, with the luck of batches on them."""
    curve = end + (start - end) * np.exp(-np.arange(entries) / (entries / 8))
    return (curve * (1 + noise * np.random.default_rng(seed).standard_normal(entries))).tolist()


def first_alarm(losses, untrained=0.69, entries=ENTRIES):
    """The entry at which a training is stopped, and why; a long one is looked at after every fifth entry."""
    for seen in range(1, len(losses) + 1, 5 if entries > 100 else 1):
        if (reason := climbed_back(losses[:seen], entries, untrained)) is not None:
            return seen, reason
    return None


def test_a_loss_that_fell_and_jumped_back_to_where_it_began_is_noticed_within_a_tenth_of_the_training():
    seen, reason = first_alarm([*falling()[:30], *[0.7] * 30])
    assert 30 < seen <= 36 and "climbed back to 0." in reason and "had fallen to 0.1" in reason


@pytest.mark.parametrize("spike", [1, 2])
def test_a_spike_that_falls_again_is_no_matter(spike):
    losses = falling()
    losses[30 : 30 + spike] = [3.0] * spike
    assert first_alarm(losses) is None


@pytest.mark.parametrize("untrained", [0.69, 4.34, 0.2])
@pytest.mark.parametrize("noise", [0.05, 0.3])
@pytest.mark.parametrize("entries", [35, 60, 200])
def test_noisy_trainings_that_learn_are_left_alone(untrained, noise, entries):
    """300 trainings each; at most 1 % may be stopped, and of 300 with a rate of 1 % more than 8 would come once in 500 times."""
    stopped = sum(
        first_alarm(falling(entries, untrained, end * untrained, noise, seed), untrained, entries) is not None
        for seed in range(100)
        for end in (0.1, 0.5, 0.9)
    )
    assert stopped <= 8


@pytest.mark.parametrize("entries", [35, 60, 200])
def test_few_rare_rows_in_a_batch_make_losses_jump_and_stop_nothing(entries):
    """A share of 5 % of a class that costs 3 nats, 32 rows a batch: the loss of a batch is 0.05 or 0.4 by chance alone."""
    draw = np.random.default_rng(0)
    untrained = 0.198
    curves = [(0.05 + 2.5 * draw.binomial(32, 0.05, entries) / 32).tolist() for _ in range(300)]
    assert sum(first_alarm(curve, untrained, entries) is not None for curve in curves) <= 8


def test_a_skewed_task_may_start_far_above_its_constant_answer():
    losses = [*np.linspace(0.69, 0.2, 20), *np.linspace(0.2, 0.1, 40)]
    assert first_alarm(losses, untrained=0.198) is None


def test_a_loss_that_never_fell_and_stays_above_no_learning_at_all_is_stopped_at_half():
    seen, reason = first_alarm([5.0 + 0.1 * (step % 3) for step in range(ENTRIES)])
    assert seen == 30 and "where an answer without any training has 0.69" in reason


def test_without_classes_the_first_losses_are_what_no_learning_gives():
    assert first_alarm([*falling(start=3.0, end=1.0)[:30], *[2.9] * 30], untrained=None) is not None
    assert first_alarm(falling(start=3.0, end=2.5), untrained=None) is None


def test_the_constant_answer_costs_the_entropy_of_the_shares():
    assert constant_loss([0, 0, 0, 1], 2, 0.0, None) == pytest.approx(0.5623, abs=1e-4)
    assert constant_loss([0, 0, 0, 1], 2, 0.0, [2 / 3, 2.0]) == pytest.approx(np.log(2))  # balanced: as if classes were equal
    assert constant_loss([0, 0, 0, 0], 2, 0.2, None) == pytest.approx(0.3251, abs=1e-4)  # smoothed: 0.9 and 0.1


def test_nothing_is_learned_where_the_loss_is_that_of_a_constant_answer():
    assert learned_nothing([0.1] * 50 + [0.68] * 10, 60, 0.69) and not learned_nothing([0.69] * 50 + [0.5] * 10, 60, 0.69)


def test_a_network_is_asked_about_rows_of_all_classes_alike():
    targets = np.array([0] * 500 + [1] * 5 + [2] * 100)[np.random.default_rng(0).permutation(605)]
    sample = sample_rows(targets)
    assert len(sample) == 64 and np.bincount(targets[sample]).tolist() == [30, 5, 29]
    assert sample.tolist() == sample_rows(targets).tolist() == sorted(set(sample.tolist()))


def test_one_class_for_rows_of_several_is_one_class_too_few():
    assert answers_one_class([1, 1, 1], [0, 1, 2]) and not answers_one_class([1, 1, 1], [1, 1, 1])
    assert not answers_one_class([1, 0], [0, 0])


@pytest.mark.parametrize(
    ("rare_answers", "rare", "hardly"),
    [(0, 21, True), (2, 21, True), (3, 21, False), (21, 21, False), (0, 0, False), (0, 2, False), (0, 3, True), (1, 5, False)],
)
def test_answers_hardly_vary_where_rare_classes_are_named_at_less_than_a_tenth_of_their_rate(rare_answers, rare, hardly):
    answers, targets = ([1] * many + [0] * (100 - many) for many in (rare_answers, rare))
    assert hardly_varies(answers, targets) == hardly
