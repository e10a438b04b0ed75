"""Groups of very unequal size: a few that hold most rows, small ones that gain while large ones lose."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from simulations.trials import Floats, most_allowed, scores

from configs.schema import Gate, Guards
from tasks.gate.evidence import Evidence
from tasks.gate.gate import judge_challenger
from tasks.gate.slices import by_slice
from tasks.stats.arrays import Codes, effective_size
from tasks.stats.intervals import IntervalSettings, difference_interval, mean_interval
from tasks.stats.paired import better_p, gain_bound_p, harm_p, not_worse_p
from tasks.stats.pairs import Pairs, pair_scores
from tasks.stats.sign_flip import mcnemar_exact, sign_flip_exact
from tasks.stats.tango import tango_p, tango_z

LOOK = 0.9 * 0.05 / 52  # what one of 52 looks may spend of 0.05
ONE_CUSTOMER = np.array([300] + [1] * 120)
FIVE_CUSTOMERS = np.array([100] * 5 + [1] * 95)


def at_the_margin(rng: np.random.Generator, sizes: Codes, mean: float) -> tuple[Floats, Floats, Codes]:
    """Right/wrong scores that differ on a fifth of the rows; each group has its own true difference, normal about `mean`."""
    codes = np.repeat(np.arange(len(sizes)), sizes)
    gain = np.clip(rng.normal(mean, 0.1, len(sizes)), -0.2, 0.2)[codes]
    drawn = rng.random(len(codes))
    wins, losses = drawn < (0.2 + gain) / 2, drawn > 1 - (0.2 - gain) / 2
    return (~losses).astype(float), (~wins).astype(float), codes


def test_the_effective_number_of_groups_is_their_number_where_sizes_are_equal_and_small_where_one_is_large() -> None:
    assert effective_size(np.full(40, 3.0)) == pytest.approx(40)
    assert effective_size(ONE_CUSTOMER.astype(float)) == pytest.approx(420**2 / (300**2 + 120))
    assert effective_size(np.zeros(0)) == 0


def test_one_customer_of_300_rows_beside_120_single_ones_decides_nothing() -> None:
    """At a true difference of the margin, the score test by groups' count alone promoted 89 of 400."""
    rng, settings = np.random.default_rng(0), Gate(rule="not_worse", min_rows=2)
    promoted = passed = 0
    for _ in range(400):
        first, second, codes = at_the_margin(rng, ONE_CUSTOMER, -0.01)
        pairs = pair_scores(first, second, codes)
        passed += not_worse_p(pairs, 0.01, LOOK) <= LOOK
        promoted += float(stats.norm.sf(tango_z(*(x / pairs.design for x in (pairs.wins, pairs.losses, pairs.n)), -0.01))) <= LOOK
    assert passed <= most_allowed(LOOK, 400)
    assert promoted > 20  # what the normal quantile would have passed
    verdict = judge_challenger(Evidence(first, second, groups=codes), settings)
    assert verdict.verdict == "INCONCLUSIVE"
    assert verdict.n_effective == pytest.approx(1.96, abs=0.01)
    assert "420 fair rows in 121 groups, which count as 1 effective row," in verdict.reasons[0]
    assert "a few groups hold most rows" in verdict.reasons[0]


def test_five_customers_of_a_hundred_rows_are_held_to_the_level() -> None:
    rng, trials, passed, vetoed = np.random.default_rng(1), 1000, 0, 0
    for _ in range(trials):
        first, second, codes = at_the_margin(rng, FIVE_CUSTOMERS, -0.01)
        pairs = pair_scores(first, second, codes)
        passed += not_worse_p(pairs, 0.01, 0.05) <= 0.05
        vetoed += harm_p(pairs, 0.01, LOOK) <= LOOK
    assert passed <= most_allowed(0.05, trials)
    assert vetoed <= most_allowed(LOOK, trials)


def test_the_minimum_of_the_gate_and_of_its_guards_counts_effective_rows() -> None:
    first, second = np.tile([1.0, 1.0, 0.0], 140), np.tile([1.0, 0.0, 0.0], 140)
    groups = np.repeat(np.arange(len(ONE_CUSTOMER)), ONE_CUSTOMER)
    verdict = judge_challenger(Evidence(first, second, groups=groups, slices={"region": np.repeat("eu", 420)}), Gate())
    assert verdict.verdict == "INCONCLUSIVE"
    assert verdict.comparisons[1].outcome == "too few rows"
    assert any("1 with fewer than 30 effective rows are reported, not judged" in reason for reason in verdict.reasons)
    settings = Gate(min_rows=1, guards=Guards(min_n=1))
    judged = judge_challenger(Evidence(first, second, groups=groups, slices={"region": np.repeat("eu", 420)}), settings)
    assert judged.comparisons[1].outcome == "no harm shown"


def test_rows_needed_for_the_minimum_grow_with_the_unevenness_of_groups() -> None:
    first, second = np.tile([1.0, 1.0, 1.0, 0.0], 105), np.tile([1.0, 0.0, 1.0, 0.0], 105)
    groups = np.repeat(np.arange(len(ONE_CUSTOMER)), ONE_CUSTOMER)
    verdict = judge_challenger(Evidence(first, second, groups=groups), Gate())
    assert verdict.rows_needed is not None and verdict.rows_needed >= 100 * 420 / 1.96


def test_a_slice_is_judged_by_its_effective_rows() -> None:
    codes = np.repeat(np.arange(len(ONE_CUSTOMER)), ONE_CUSTOMER)
    assert not by_slice(np.ones(420), {"region": ["eu"] * 420}, codes)[0].judged


def test_small_groups_that_gain_and_large_ones_that_lose_are_no_gain() -> None:
    """Groups of 3 win one row (6 %) or lose all three (2 %): true difference 0. Sign flips alone pass 0.3 % at 0.087 %."""
    rng, trials = np.random.default_rng(2), 6000
    drawn = rng.random((trials, 200))
    sums = np.where(drawn < 0.02, -3.0, np.where(drawn < 0.08, 1.0, 0.0))
    flips = np.array([sign_flip_exact(row) for row in sums])
    candidates = np.flatnonzero(flips <= LOOK)
    assert len(candidates) > most_allowed(LOOK, trials)
    assert sum(better_p(_of_sums(sums[i], 3), LOOK) <= LOOK for i in candidates) <= most_allowed(LOOK, trials)


def _of_sums(sums: Floats, size: int) -> Pairs:
    codes, place = np.repeat(np.arange(len(sums)), size), np.tile(np.arange(size), len(sums))
    wins, losses = place < np.repeat(sums, size), place < np.repeat(-sums, size)
    return pair_scores((~losses).astype(float), (~wins).astype(float), codes)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_large_groups_that_are_lost_whole_are_no_gain_of_the_small_ones(share: float) -> None:
    """1,000 single rows gain what 10 groups of 30 lose, each whole with probability `share`: the true difference is 0."""
    rng, sizes, trials = np.random.default_rng(3), np.array([1] * 1000 + [30] * 10), 400
    codes, passed = np.repeat(np.arange(1010), sizes), 0
    for _ in range(trials):
        lost = rng.random(10) < share
        won = rng.random(1000) < share * 300 / 1000
        first, second = np.ones(1300), np.concatenate([1.0 - won, np.ones(300)])
        first[1000:] = np.repeat(1.0 - lost, 30)
        passed += gain_bound_p(pair_scores(first, second, codes), 0.0) <= 0.05
    assert passed <= most_allowed(0.05, trials)


def test_single_rows_stay_with_the_exact_mcnemar_test() -> None:
    first, second = scores(np.random.default_rng(4), 600, 0.1, 0.04)
    pairs = pair_scores(first, second)
    assert better_p(pairs, LOOK) == pytest.approx(float(mcnemar_exact(pairs.wins, pairs.losses)), rel=1e-9)


def test_no_loss_hides_behind_groups_that_were_won_whole() -> None:
    """Groups of 3 are won whole (2 %) or lose one row (6 %): the true difference is 0, and the exact test may still be used."""
    rng, trials = np.random.default_rng(5), 4000
    drawn = rng.random((trials, 200))
    sums = np.where(drawn < 0.02, 3.0, np.where(drawn < 0.08, -1.0, 0.0))
    assert sum(better_p(_of_sums(row, 3), 0.05) <= 0.05 for row in sums[:600]) <= most_allowed(0.05, 600)


def test_the_interval_of_a_grouped_difference_is_the_one_that_its_test_does_not_reject() -> None:
    first, second, codes = at_the_margin(np.random.default_rng(6), FIVE_CUSTOMERS, 0.0)
    pairs, interval = pair_scores(first, second, codes), difference_interval(first, second, codes, IntervalSettings(0.9))
    assert interval.low is not None and interval.high is not None
    counts = [x / pairs.design for x in (pairs.wins, pairs.losses, pairs.n)]
    assert float(tango_p(*counts, interval.low, pairs.n_effective - 1)) == pytest.approx(0.05, abs=1e-6)
    assert float(tango_p(*counts, interval.high, pairs.n_effective - 1)) == pytest.approx(0.95, abs=1e-6)


def test_intervals_cover_the_truth_where_five_customers_hold_most_rows() -> None:
    """400 trials at 90 %: at least 341 must cover, the 0.001 quantile of Binomial(400, 0.9)."""
    rng, covered = np.random.default_rng(7), 0
    for _ in range(400):
        first, second, codes = at_the_margin(rng, FIVE_CUSTOMERS, 0.0)
        interval = difference_interval(first, second, codes, IntervalSettings(0.9))
        covered += (interval.low or -1) <= 0 <= (interval.high or 1)
    assert covered >= 341


def test_one_group_alone_has_no_interval_and_shows_nothing() -> None:
    first, second, codes = np.ones(50), np.zeros(50), np.zeros(50, dtype=np.int64)
    assert difference_interval(first, second, codes).low is None
    assert mean_interval(first, codes).low is None
    assert not_worse_p(pair_scores(first, second, codes), 0.01, LOOK) == 1.0


def test_a_gain_by_group_is_found_with_the_rows_said_to_be_needed() -> None:
    """100 decisions at the number that an open verdict names: promoted in 80 % of them, less 3.3 standard errors."""
    rng, settings = np.random.default_rng(8), Gate(effect=0.08, looks_per_year=1)

    def evidence(groups: int, gain: float) -> Evidence:
        codes = np.repeat(np.arange(groups), 2)
        first, second = scores(rng, 2 * groups, 0.2, gain)
        return Evidence(first, second, groups=codes)

    verdict = judge_challenger(evidence(120, 0.06), settings)
    assert verdict.verdict == "INCONCLUSIVE" and verdict.rows_needed is not None
    groups = (verdict.rows_needed + 1) // 2
    promoted = [judge_challenger(evidence(groups, 0.08), settings).verdict == "PROMOTE" for _ in range(100)]
    assert np.mean(promoted) >= 0.8 - 3.3 * np.sqrt(0.16 / 100)
