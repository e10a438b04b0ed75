from __future__ import annotations

import numpy as np
import pytest
from counting import calls
from scipy import stats
from simulations.trials import clustered
from sklearn.metrics import accuracy_score, f1_score
from statsmodels.stats.proportion import proportion_confint

from tasks.stats.intervals import (
    IntervalSettings,
    accuracy_of,
    difference_interval,
    f1_by_class,
    macro_f1,
    mean_interval,
    metric_interval,
    ratio_interval,
    wilson,
)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (93, 100), (1, 3000)])
def test_wilsons_interval_is_statsmodels(k: int, n: int) -> None:
    low, high = wilson(k, n, 0.9)
    assert (float(low), float(high)) == pytest.approx(proportion_confint(k, n, 0.1, method="wilson"), abs=1e-12)


def test_the_interval_of_a_share_is_wilsons() -> None:
    interval = mean_interval(np.array([1.0] * 93 + [0.0] * 7))
    assert (interval.low, interval.high) == pytest.approx(proportion_confint(93, 100, 0.05, method="wilson"))


def test_all_right_is_not_said_to_be_certain() -> None:
    interval = mean_interval(np.ones(90), groups=np.repeat(np.arange(30), 3))
    assert interval.low == pytest.approx(float(wilson(30, 30, freedom=29)[0]))
    assert interval.low < float(wilson(30, 30)[0])


def test_the_interval_of_real_scores_is_close_to_scipys_bootstrap() -> None:
    scores = np.random.default_rng(0).gamma(2, size=300)
    expected = stats.bootstrap(
        (scores,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    interval = mean_interval(scores, how=IntervalSettings(resamples=20_000))
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_the_interval_of_a_ratio_of_sums_is_close_to_scipys_bootstrap_of_the_pairs() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(5, 200, size=300)
    losses = tokens * rng.gamma(20, 0.1, size=300)
    expected = stats.bootstrap(
        (losses, tokens), lambda a, b, axis: a.sum(axis) / b.sum(axis), paired=True, n_resamples=20_000, method="BCa",
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    interval = ratio_interval(losses, tokens, how=IntervalSettings(resamples=20_000))
    assert interval.value == pytest.approx(losses.sum() / tokens.sum())
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=0.005)


def test_the_same_seed_gives_the_same_interval() -> None:
    scores = np.random.default_rng(0).normal(size=100)
    first, again, other = (mean_interval(scores, how=IntervalSettings(seed=seed)) for seed in (5, 5, 6))
    assert first == again != other


def test_one_group_alone_has_no_interval() -> None:
    interval = mean_interval(np.array([0.3, 0.9]), groups=["a", "a"])
    assert (interval.low, interval.high) == (None, None)


def test_intervals_of_grouped_shares_cover_the_truth_as_often_as_they_say() -> None:
    """400 trials at 90 %: at least 340 must cover, the 0.001 quantile of Binomial(400, 0.9) being 341."""
    rng, covered = np.random.default_rng(3), 0
    for _ in range(400):
        first, _, codes = clustered(rng, rng.integers(1, 6, size=150), 0.2, 0.0, 0.8)
        interval = mean_interval(first, codes, IntervalSettings(0.9))
        covered += (interval.low or 0) <= 0.9 <= (interval.high or 0)
    assert covered >= 340


def test_intervals_of_grouped_real_scores_cover_the_truth_as_often_as_they_say() -> None:
    """400 trials at 90 %. At 100 groups the bootstrap covers a point or two less; the bar is the 0.001 quantile at 88 %, 331."""
    rng, covered = np.random.default_rng(4), 0
    for _ in range(400):
        codes = np.repeat(np.arange(100), rng.integers(1, 6, size=100))
        interval = mean_interval(rng.gamma(2, size=100)[codes] + rng.normal(size=len(codes)), codes, IntervalSettings(0.9, 400))
        covered += (interval.low or 0) <= 2 <= (interval.high or 0)
    assert covered >= 331


def test_the_interval_of_a_difference_turns_with_its_sign() -> None:
    first, second, codes = clustered(np.random.default_rng(5), np.full(100, 2), 0.2, 0.05, 0.5)
    one, other = difference_interval(first, second, codes), difference_interval(second, first, codes)
    assert one.low is not None and other.high is not None
    assert one.low == pytest.approx(-other.high, abs=1e-9)


def test_macro_f1_is_scikit_learns() -> None:
    rng = np.random.default_rng(6)
    target, guess = rng.integers(0, 7, 400), rng.integers(0, 7, 400)
    guess[rng.random(400) < 0.7] = target[rng.random(400) < 0.7][:1]
    confusion = np.zeros((1, 9, 9))
    np.add.at(confusion[0], (target, guess), 1)
    assert macro_f1(confusion)[0] == pytest.approx(f1_score(target, guess, average="macro"), abs=1e-12)
    assert accuracy_of(confusion)[0] == pytest.approx(accuracy_score(target, guess), abs=1e-12)
    assert f1_by_class(confusion)[0][:7] == pytest.approx(f1_score(target, guess, average=None), abs=1e-12)


def test_the_interval_of_a_metric_agrees_with_resampling_rows_one_by_one() -> None:
    rng = np.random.default_rng(7)
    target = rng.integers(0, 5, 400)
    guess = np.where(rng.random(400) < 0.8, target, rng.integers(0, 5, 400))
    drawn = [rng.integers(0, 400, 400) for _ in range(1000)]
    expected = np.quantile([f1_score(target[rows], guess[rows], average="macro") for rows in drawn], [0.025, 0.975])
    interval = metric_interval(target, guess, macro_f1, how=IntervalSettings(resamples=4000))
    assert (interval.low, interval.high) == pytest.approx(tuple(expected), abs=0.008)


def test_rows_told_three_times_give_the_metric_the_interval_of_rows_told_once() -> None:
    rng = np.random.default_rng(8)
    target = rng.integers(0, 5, 300)
    guess = np.where(rng.random(300) < 0.8, target, rng.integers(0, 5, 300))
    once = metric_interval(target, guess, macro_f1, how=IntervalSettings(resamples=4000))
    thrice = metric_interval(
        np.repeat(target, 3), np.repeat(guess, 3), macro_f1, np.repeat(np.arange(300), 3), IntervalSettings(resamples=4000)
    )
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high), abs=0.006)


def test_resampling_works_on_whole_arrays_however_many_rows_there_are() -> None:
    rng = np.random.default_rng(9)
    counted = []
    for rows in (300, 300, 3000):  # the first call imports
        target = rng.integers(0, 77, rows)
        guess = np.where(rng.random(rows) < 0.9, target, rng.integers(0, 77, rows))
        counted.append((calls(mean_interval, rng.normal(size=rows)), calls(metric_interval, target, guess, macro_f1)))
    assert counted[1] == counted[2] and sum(counted[2]) < 1000  # no call for each row, nor for each resample
