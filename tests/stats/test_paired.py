from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, special, stats
from simulations.trials import clustered, counts, most_allowed, scores
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from tasks.stats.arrays import group_codes
from tasks.stats.multiplicity import holm
from tasks.stats.paired import better_p, harm_p, not_worse_p
from tasks.stats.pairs import pair_scores
from tasks.stats.sign_flip import mcnemar_exact, sign_flip, sign_flip_exact
from tasks.stats.tango import tango_interval, tango_z

PAIRS = [(0, 0), (0, 3), (5, 0), (12, 1), (7, 7), (40, 22), (3, 19), (400, 350), (5000, 4800)]


@pytest.mark.parametrize(("wins", "losses"), PAIRS)
def test_exact_mcnemar_is_scipys_binomial_test(wins: int, losses: int) -> None:
    expected = stats.binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue if wins + losses else 1.0
    assert float(mcnemar_exact(wins, losses)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("wins", "losses"), [(12, 1), (40, 22), (3, 19), (400, 350)])
def test_twice_the_smaller_side_is_statsmodels_two_sided_exact_mcnemar(wins: int, losses: int) -> None:
    expected = mcnemar([[10, wins], [losses, 10]], exact=True).pvalue
    assert 2 * float(mcnemar_exact(max(wins, losses), min(wins, losses))) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("wins", "losses"), [(12, 1), (40, 22), (3, 19), (400, 350)])
def test_tangos_test_at_no_difference_is_statsmodels_asymptotic_mcnemar(wins: int, losses: int) -> None:
    expected = mcnemar([[10, wins], [losses, 10]], exact=False, correction=False).statistic
    assert float(tango_z(wins, losses, 1000, 0.0)) ** 2 == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("wins", "losses", "n", "at"), [(1, 7, 21, -0.1), (12, 5, 100, -0.05), (0, 4, 50, 0.08), (3, 3, 40, -0.3)])
def test_tangos_variance_is_the_one_of_greatest_likelihood_under_the_hypothesis(wins: int, losses: int, n: int, at: float) -> None:
    def cost(loss: float) -> float:
        return -float(
            special.xlogy(wins, loss + at) + special.xlogy(losses, loss) + special.xlogy(n - wins - losses, 1 - 2 * loss - at)
        )

    best = optimize.minimize_scalar(cost, bounds=(max(0.0, -at), (1 - at) / 2), method="bounded", options={"xatol": 1e-12}).x
    expected = (wins - losses - n * at) / np.sqrt(n * (2 * best + at - at**2))
    assert float(tango_z(wins, losses, n, at)) == pytest.approx(expected, abs=1e-4)


def test_tangos_interval_is_the_published_one_for_the_airway_data() -> None:
    """Bentur et al.: 1 against 7 of 21 children; Fagerland, Lydersen and Laake (2014) give -0.517 to -0.026."""
    low, high = tango_interval(1, 7, 21, 0.95)
    assert (round(float(low), 3), round(float(high), 3)) == (-0.517, -0.026)


def test_tangos_interval_holds_what_the_test_does_not_reject() -> None:
    low, high = tango_interval([3, 40, 0], [9, 22, 0], [100, 3000, 50], 0.9)
    for bound, z in ((low, 1.6448536), (high, -1.6448536)):
        assert tango_z([3, 40, 0], [9, 22, 0], [100, 3000, 50], bound) == pytest.approx(z, abs=1e-5)


def test_sign_flips_of_single_rows_are_mcnemars_test() -> None:
    sums = np.array([1.0] * 14 + [-1.0] * 5 + [0.0] * 80)
    assert sign_flip_exact(sums) == pytest.approx(float(mcnemar_exact(14, 5)), rel=1e-12)


def test_exact_sign_flips_by_group_are_the_enumeration_of_all_flips() -> None:
    sums = np.array([3, -1, 2, 2, -1, 0, 4, 1, -2], dtype=float)
    flips = np.array(np.meshgrid(*[[-1, 1]] * len(sums))).reshape(len(sums), -1)
    assert sign_flip_exact(sums) == pytest.approx(float(np.mean(sums @ flips >= sums.sum())), rel=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.25])
def test_sampled_sign_flips_agree_with_scipys_permutation_test(shift: float) -> None:
    sums = np.random.default_rng(3).normal(shift, 1, size=120)
    expected = stats.permutation_test(
        (sums, -sums),
        lambda first, _, axis: np.sum(first, axis=axis),
        permutation_type="samples",
        n_resamples=20_000,
        alternative="greater",
        rng=np.random.default_rng(1),
    )
    assert sign_flip(sums, 0.001) == pytest.approx(expected.pvalue, rel=5 / np.sqrt(50), abs=0.001)


def test_rows_told_three_times_weigh_as_much_as_told_once() -> None:
    first, second = scores(np.random.default_rng(0), 200, 0.15, 0.06)
    once, thrice = pair_scores(first, second), pair_scores(np.repeat(first, 3), np.repeat(second, 3), np.repeat(np.arange(200), 3))
    assert better_p(thrice, 0.05) == pytest.approx(better_p(once, 0.05), rel=1e-9)
    assert not_worse_p(thrice, 0.02, 0.05) == pytest.approx(not_worse_p(once, 0.02, 0.05), rel=1e-9)
    assert harm_p(thrice, 0.02, 0.05) == pytest.approx(harm_p(once, 0.02, 0.05), rel=1e-9)


def test_a_row_without_a_group_is_a_group_of_its_own() -> None:
    assert len(set(group_codes(["a", None, "a", None, float("nan"), "b"], 6).tolist())) == 5
    assert len(set(group_codes(["a", float("nan"), "a", float("nan")], 4).tolist())) == 3, "as a file gives it back"
    assert group_codes(np.array([7, 7, 3]), 3).tolist() == [1, 1, 0]


def test_equal_models_win_at_most_alpha_under_better() -> None:
    wins, losses = counts(np.random.default_rng(10), 2000, 600, 0.08, 0.0)
    assert np.sum(mcnemar_exact(wins, losses) <= 0.05) <= most_allowed(0.05, 2000)


def test_models_at_the_margin_pass_at_most_alpha_under_not_worse() -> None:
    wins, losses = counts(np.random.default_rng(11), 2000, 2000, 0.08, -0.01)
    assert np.sum(special.ndtr(-tango_z(wins, losses, 2000, -0.01)) <= 0.05) <= most_allowed(0.05, 2000)


@pytest.mark.parametrize("repeated", [0.0, 0.7, 1.0])
def test_equal_models_win_at_most_alpha_when_rows_come_in_groups(repeated: float) -> None:
    rng, trials = np.random.default_rng(12), 2000
    p = [better_p(pair_scores(*clustered(rng, rng.integers(1, 6, size=150), 0.1, 0.0, repeated)), 0.05) for _ in range(trials)]
    assert np.sum(np.array(p) <= 0.05) <= most_allowed(0.05, trials)


@pytest.mark.parametrize("repeated", [0.0, 0.7, 1.0])
def test_models_at_the_margin_pass_at_most_alpha_when_rows_come_in_groups(repeated: float) -> None:
    rng, trials = np.random.default_rng(13), 2000
    p = [
        not_worse_p(pair_scores(*clustered(rng, rng.integers(1, 6, size=300), 0.1, -0.02, repeated)), 0.02, 0.05)
        for _ in range(trials)
    ]
    assert np.sum(np.array(p) <= 0.05) <= most_allowed(0.05, trials)


def test_a_few_big_groups_do_not_hide_their_risk() -> None:
    """Group sizes with a heavy tail, all rows of a group alike: the variance between groups alone would pass 15 % here."""
    rng, trials = np.random.default_rng(14), 2000
    p = [
        not_worse_p(pair_scores(*clustered(rng, np.minimum(rng.zipf(1.7, size=300), 100), 0.06, -0.02, 1.0)), 0.02, 0.05)
        for _ in range(trials)
    ]
    assert np.sum(np.array(p) <= 0.05) <= most_allowed(0.05, trials)


def test_equal_models_win_at_most_alpha_on_real_scores_in_groups() -> None:
    rng, trials = np.random.default_rng(15), 2000
    won = 0
    for _ in range(trials):
        codes = np.repeat(np.arange(60), 3)
        first = rng.gamma(2, size=60)[codes] + rng.normal(size=180)
        second = rng.gamma(2, size=60)[codes] + rng.normal(size=180)
        won += better_p(pair_scores(first, second, codes, limit=20.0), 0.05) <= 0.05
    assert won <= most_allowed(0.05, trials)


def test_real_scores_at_the_margin_pass_at_most_alpha() -> None:
    rng, trials = np.random.default_rng(16), 2000
    won = 0
    for _ in range(trials):
        second = rng.normal(size=150)
        won += not_worse_p(pair_scores(second + rng.normal(-0.1, 0.5, size=150), second, limit=5.0), 0.1, 0.05) <= 0.05
    assert won <= most_allowed(0.05, trials)


def test_holm_rejects_what_statsmodels_rejects() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        p = rng.uniform(0, 0.06, size=rng.integers(1, 9)).tolist()
        assert holm(p, 0.05)[1] == multipletests(p, 0.05, method="holm")[0].tolist()


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([], 0.05) == ([], [])
