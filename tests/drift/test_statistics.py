"""The two-sample tests: their chance of a false alarm summed exactly where it can be, simulated where not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from simulations.drift_traffic import KINDS, texts
from simulations.trials import most_allowed

from tasks.drift.distinct_texts import PERMUTATIONS, DistinctTexts, texts_of
from tasks.drift.mmd import EXACT, judge_distance, kernel_space, mean_space
from tasks.drift.statistics import any_difference_p, judge_mean, judge_share, mean_contrast, permutation_p, share_change

ONE_OF_MANY = 0.9 * 0.05 / 365 / 12  # what one of twelve monitors may spend at one of 365 looks


def singles(n_reference: int, n_window: int) -> DistinctTexts:
    codes = np.random.default_rng(0).permutation(n_reference + n_window)
    return texts_of(codes[:n_reference], codes[n_reference:])


@pytest.mark.parametrize("alpha", [ONE_OF_MANY, 0.001, 0.05])
@pytest.mark.parametrize(("n_window", "n_reference"), [(30, 600), (100, 600), (100, 5000), (600, 600)])
@pytest.mark.parametrize("least", [0.05, 0.10])
def test_a_share_at_the_minimum_alarms_with_at_most_alpha_summed_over_all_outcomes(
    alpha: float, n_window: int, n_reference: int, least: float
) -> None:
    """Counts of the window in full, of the reference in as many steps as carry all but 1e-12 of it."""
    now = np.arange(n_window + 1.0)
    for share in (0.001, 0.02, 0.1, 0.5, 0.85):
        for before, after in ((share, share + least), (share + least, share)):
            few, many = stats.binom.ppf([1e-12, 1 - 1e-12], n_reference, before)
            was = np.arange(few, many + 1)
            low, high = share_change(now[:, None], n_window, was[None, :], n_reference, alpha)
            alarm = low > least if after > before else high < -least
            chance = stats.binom.pmf(now, n_window, after) @ alarm @ stats.binom.pmf(was, n_reference, before)
            assert chance <= alpha, (share, before, after)


def test_the_p_value_of_a_share_is_the_level_at_which_its_band_leaves_the_minimum() -> None:
    held = singles(600, 300)
    was, now = np.arange(600) < 60, np.arange(300) < 90
    contrast = mean_contrast(held, was.astype(float), now.astype(float))
    p = judge_share(contrast, (0.1, 0.3), held, 0.1, 0.05, sides=2).p
    assert judge_share(contrast, (0.1, 0.3), held, 0.1, p, sides=2).low == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mean_at_the_minimum_alarms_with_at_most_alpha_whatever_is_repeated(kind: str) -> None:
    """3,000 pairs of samples of a long-tailed number that belongs to the text, at 0.01."""
    rng, alarms, trials, least = np.random.default_rng(1), 0, 1500, 0.3
    stock = np.exp(0.6 * np.random.default_rng(2).standard_normal(300))
    for _ in range(trials):
        held = texts_of(texts(rng, 300, kind), texts(rng, 150, kind))
        values = np.exp(0.6 * rng.standard_normal(held.n))
        popular = held.codes < 300
        values[popular] = stock[held.codes[popular]]
        window = values[held.of_window] + least
        contrast = mean_contrast(held, values[held.of_reference], window)
        alarms += judge_mean(contrast, held, least, 0.01, sides=1).p <= 0.01
    assert alarms <= most_allowed(0.01, trials)


def test_forgetting_that_rows_are_repeated_would_alarm_often() -> None:
    rng, alarms, trials = np.random.default_rng(3), 0, 300
    for _ in range(trials):
        held = texts_of(texts(rng, 300, "bursts"), texts(rng, 300, "bursts"))
        values = rng.standard_normal(held.n)
        was, now = values[held.of_reference], values[held.of_window]
        alarms += stats.ttest_ind(was, now).pvalue <= 0.01
    assert alarms / trials > 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_without_drift_permutations_reject_with_alpha(kind: str) -> None:
    """400 pairs of samples, at 0.05."""
    rng, trials, found = np.random.default_rng(4), 400, []
    stock = np.random.default_rng(5).standard_normal(300)
    for trial in range(trials):
        held = texts_of(texts(rng, 200, kind), texts(rng, 100, kind))
        values = rng.standard_normal(held.n)
        popular = held.codes < 300
        values[popular] = stock[held.codes[popular]]
        was, now = values[held.of_reference], values[held.of_window]
        found.append(any_difference_p(held, mean_contrast(held, was, now), was, now, trial))
    assert np.sum(np.array(found) <= 0.05) <= most_allowed(0.05, trials)


@pytest.mark.parametrize("directions", [3, 50])
def test_beyond_the_last_permutation_the_tail_errs_to_the_side_of_silence(directions: int) -> None:
    """Squares summed over directions of falling weight, as permuted distances are, held against their true level of 1e-5."""
    rng, weight = np.random.default_rng(6), 0.9 ** np.arange(directions)
    truth = np.quantile((rng.standard_normal((1_000_000, directions), dtype=np.float32) ** 2) @ weight.astype(np.float32), 1 - 1e-5)
    found = [permutation_p(truth, (rng.standard_normal((PERMUTATIONS, directions)) ** 2) @ weight) for _ in range(200)]
    assert 1e-6 < np.median(found) < 1e-3
    assert np.mean(np.array(found) < 1e-6) < 0.02
    assert permutation_p(0.0, rng.standard_normal(PERMUTATIONS) ** 2) == 1.0


@pytest.mark.parametrize(("kind", "direction"), [("each text once", 0), ("each text once", 7), ("bursts", 0), ("popular texts", 0)])
def test_a_distance_at_the_minimum_alarms_with_at_most_alpha(kind: str, direction: int) -> None:
    """250 pairs, at 0.05, along the widest axis or the narrowest."""
    rng, trials, alarms = np.random.default_rng(8), 250, 0
    spread = np.exp(-0.3 * np.arange(8))
    stock = np.random.default_rng(9).standard_normal((300, 8))
    for trial in range(trials):
        held = texts_of(texts(rng, 300, kind), texts(rng, 150, kind))
        vectors = rng.standard_normal((held.n, 8))
        popular = held.codes < 300
        vectors[popular] = stock[held.codes[popular]]
        vectors *= spread
        apart = (held.window > 0) & ~popular  # what everybody sends is what it was
        vectors[apart, direction] += 0.15 * np.sqrt(np.sum(spread**2))
        alarms += judge_distance(mean_space(vectors.astype(np.float32)), held, 0.15, 0.05, trial)[0].p <= 0.05
    assert alarms <= most_allowed(0.05, trials)


def test_random_features_find_the_distance_of_the_whole_kernel() -> None:
    rng, n = np.random.default_rng(10), EXACT // 2
    held = singles(n, n)
    vectors = rng.standard_normal((held.n, 20)).astype(np.float32)
    vectors[held.window > 0, 0] += 1.2
    whole = judge_distance(kernel_space(vectors, held.reference), held, 0.1, 0.05, 0)
    more = singles(n + 1, n)
    vectors = rng.standard_normal((more.n, 20)).astype(np.float32)
    vectors[more.window > 0, 0] += 1.2
    features = judge_distance(kernel_space(vectors, more.reference), more, 0.1, 0.05, 0)
    assert features[0].effect == pytest.approx(whole[0].effect, rel=0.1)
    assert max(whole[1], features[1]) < 1e-10


def test_the_distance_is_in_standard_deviations_of_the_reference() -> None:
    rng = np.random.default_rng(11)
    held = singles(3000, 3000)
    vectors = 7 * rng.standard_normal((held.n, 10)).astype(np.float32)
    vectors[held.window > 0, 3] += 7 * 0.5 * np.sqrt(10)
    tested, _ = judge_distance(mean_space(vectors), held, 0.1, 0.001, 0)
    assert tested.effect == pytest.approx(0.5, abs=0.03)
    assert 0.4 < tested.low < 0.5 < tested.high < 0.6


def test_design_counts_repetition_in_one_sample_and_not_popularity_in_both() -> None:
    rng = np.random.default_rng(12)
    fresh = rng.integers(1000, 2**62, 500)
    assert singles(500, 500).design == pytest.approx(1)
    assert texts_of(fresh, np.repeat(rng.integers(1000, 2**62, 50), 10)).design == pytest.approx(5.5)
    popular = texts_of(texts(rng, 20_000, "popular texts"), texts(rng, 20_000, "popular texts"))
    assert popular.design < 1.3
