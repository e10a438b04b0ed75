"""The bound on the mean of bounded differences, and the gate that asks it: skew, rare large losses, heavy tails, groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from simulations.trials import Floats, most_allowed

from configs.schema import Gate, Guards
from tasks.gate.evidence import Evidence
from tasks.gate.gate import judge_challenger
from tasks.gate.power import rows_needed
from tasks.stats.bounds import betting_bound, betting_p, betting_shares, power_of_bound
from tasks.stats.intervals import IntervalSettings, difference_interval
from tasks.stats.paired import better_p, gain_bound_p, harm_p, loss_bound_p, not_worse_p
from tasks.stats.pairs import pair_scores
from tasks.stats.sign_flip import sign_flip

LOOK = 0.9 * 0.05 / 52  # what one of 52 looks may spend of 0.05
LIMIT = 5.0


def rare_losses(rng: np.random.Generator, n: int) -> Floats:
    """2 % of rows lose 4.9 and the others gain 0.1: the true mean is 0."""
    return np.where(rng.random(n) < 0.02, -4.9, 0.1)


SHAPES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "rare large losses": rare_losses,
    "rare large gains": lambda rng, n: -rare_losses(rng, n),
    "skewed left": lambda rng, n: 0.3 - rng.exponential(0.3, n),
    "skewed right": lambda rng, n: rng.exponential(0.3, n) - 0.3,
    "heavy tails": lambda rng, n: np.clip(rng.standard_t(2.5, n), -LIMIT, LIMIT),
    "symmetric": lambda rng, n: rng.normal(0, 0.5, n),
}


def exact_level(n: int, share: float, loss: float, alpha: float) -> float:
    """P(p <= alpha) where `share` of values lose `loss` and the others gain what makes the mean zero: no simulation."""
    gain = share * loss / (1 - share)

    def rejects(losses: int) -> bool:
        return betting_p(np.where(np.arange(n) < losses, -loss, gain), np.full(n, LIMIT)) <= alpha

    rejected, accepted = -1, n  # the more losses were drawn, the weaker is the evidence
    while accepted - rejected > 1:
        middle = (rejected + accepted) // 2
        rejected, accepted = (middle, accepted) if rejects(middle) else (rejected, middle)
    return float(stats.binom.cdf(rejected, n, share))


@pytest.mark.parametrize("n", [100, 300, 1000, 3000, 10_000])
@pytest.mark.parametrize("share", [0.0005, 0.002, 0.01, 0.02, 0.1, 0.3, 0.5])
def test_rare_losses_of_any_share_are_taken_for_a_gain_at_most_alpha_by_exact_count(n: int, share: float) -> None:
    for loss in (0.5, 4.9, 5.0):
        assert exact_level(n, share, loss, LOOK) <= LOOK
        assert exact_level(n, share, loss, 0.05) <= 0.05


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("n", [100, 300, 1000])
def test_differences_of_mean_zero_are_taken_for_a_gain_or_a_loss_at_most_alpha(name: str, n: int) -> None:
    rng, trials = np.random.default_rng(1), 600
    p = np.array(
        [
            [f(pair_scores(SHAPES[name](rng, n), np.zeros(n), limit=LIMIT), 0.0) for f in (gain_bound_p, loss_bound_p)]
            for _ in range(trials)
        ]
    )
    assert np.sum(p[:, 0] <= 0.05) <= most_allowed(0.05, trials)
    assert np.sum(p[:, 1] <= 0.05) <= most_allowed(0.05, trials)
    assert np.sum(p <= LOOK) <= most_allowed(2 * LOOK, trials)


def test_groups_that_share_a_rare_loss_are_taken_for_a_gain_at_most_alpha() -> None:
    rng, trials, wins = np.random.default_rng(2), 600, 0
    for _ in range(trials):
        sizes = np.minimum(rng.zipf(2.0, size=200), 30)
        codes = np.repeat(np.arange(200), sizes)
        wins += gain_bound_p(pair_scores(rare_losses(rng, 200)[codes], np.zeros(len(codes)), codes, LIMIT), 0.0) <= 0.05
    assert wins <= most_allowed(0.05, trials)


def test_the_gate_does_not_promote_what_loses_much_on_few_rows_and_gains_little_on_the_rest() -> None:
    """Sign flips alone promoted 10 % of these at a look that may promote 0.087 %."""
    rng, trials = np.random.default_rng(3), 150
    promoted = flipped = 0
    for _ in range(trials):
        differences = rare_losses(rng, 100)
        promoted += judge_challenger(Evidence(differences, np.zeros(100), largest_difference=LIMIT), Gate()).verdict == "PROMOTE"
        flipped += sign_flip(differences, LOOK) <= LOOK
    assert promoted <= most_allowed(LOOK, trials)
    assert flipped > most_allowed(LOOK, trials)


def test_not_worse_and_harm_ask_the_bound_on_their_own_side() -> None:
    rng, trials = np.random.default_rng(4), 300
    passed = vetoed = 0
    for _ in range(trials):
        differences = rare_losses(rng, 200)
        passed += not_worse_p(pair_scores(differences - 0.02, np.zeros(200), limit=LIMIT), 0.02, LOOK) <= LOOK
        vetoed += harm_p(pair_scores(-differences - 0.03, np.zeros(200), limit=LIMIT), 0.03, LOOK) <= LOOK
    assert passed <= most_allowed(LOOK, trials)
    assert vetoed <= most_allowed(LOOK, trials)


def test_a_planted_gain_is_found() -> None:
    rng = np.random.default_rng(5)
    gains = rng.normal(0.1, 0.2, 1000)
    assert better_p(pair_scores(gains, np.zeros(1000), limit=LIMIT), LOOK) <= LOOK
    assert not_worse_p(pair_scores(gains - 0.1, np.zeros(1000), limit=LIMIT), 0.1, LOOK) <= LOOK
    assert harm_p(pair_scores(-gains - 0.02, np.zeros(1000), limit=LIMIT), 0.02, LOOK) <= LOOK


@pytest.mark.parametrize(("deviation", "gain", "grouped"), [(0.3, 0.05, False), (1.0, 0.1, False), (0.3, 0.1, True)])
def test_the_bound_finds_a_gain_as_often_as_its_power_says(deviation: float, gain: float, grouped: bool) -> None:
    """At the rows said to be needed for 80 %, 300 trials find it in 80 %, give or take 10: 4.3 standard errors."""
    rng = np.random.default_rng(6)

    def draw(groups: int) -> tuple[Floats, Floats]:
        sizes = rng.integers(1, 5, groups).astype(float) if grouped else np.ones(groups)
        return rng.normal(gain, deviation, groups) * sizes, sizes * LIMIT

    values, limits = draw(20_000)
    count = rows_needed(lambda n: power_of_bound(values, limits, n, LOOK), 0.8)
    assert count is not None
    assert np.mean([betting_p(*draw(count)) <= LOOK for _ in range(300)]) == pytest.approx(0.8, abs=0.1)


def test_rows_needed_of_real_scores_are_enough_for_the_gate_itself() -> None:
    """150 decisions at the number that an open verdict names; promoted in 80 % of them, less 3.3 standard errors."""
    rng, settings = np.random.default_rng(7), Gate(effect=0.3, looks_per_year=1)
    verdict = judge_challenger(Evidence(rng.normal(0.25, 0.8, 120), np.zeros(120), largest_difference=LIMIT), settings)
    assert verdict.verdict == "INCONCLUSIVE" and verdict.rows_needed is not None
    n = verdict.rows_needed
    promoted = [
        judge_challenger(Evidence(rng.normal(0.3, 0.8, n), np.zeros(n), largest_difference=LIMIT), settings).verdict == "PROMOTE"
        for _ in range(150)
    ]
    assert np.mean(promoted) >= 0.8 - 3.3 * np.sqrt(0.16 / 150)


def test_more_rows_are_needed_where_one_row_may_lose_more() -> None:
    scores = np.random.default_rng(8).normal(0.01, 0.3, 300)
    needed = [
        judge_challenger(Evidence(scores, np.zeros(300), largest_difference=limit), Gate()).rows_needed
        for limit in (5.0, 20.0, 60.0)
    ]
    assert needed[0] is not None and needed[1] is not None and needed[2] is not None
    assert needed[0] < needed[1] < needed[2]


def test_rows_beyond_the_largest_difference_are_clipped_counted_and_told() -> None:
    differences = np.concatenate([np.full(200, 0.5), [-12.0, 7.0, -4.9]])
    verdict = judge_challenger(Evidence(differences, np.zeros(203), largest_difference=LIMIT), Gate())
    comparison = verdict.comparisons[0]
    assert comparison.clipped == 2
    assert comparison.difference == pytest.approx((100 - 5 + 5 - 4.9) / 203)
    assert "on 203 rows; 2 of them clipped" in verdict.reasons[0]
    assert any("A row counts for a difference of 5 at most" in reason for reason in verdict.reasons)


def test_real_scores_without_a_largest_difference_are_refused() -> None:
    with pytest.raises(ValueError, match="real scores need `largest_difference`, which their problem declares"):
        judge_challenger(Evidence(np.full(200, 0.5), np.zeros(200)), Gate())
    with pytest.raises(ValueError, match="`pair_scores` needs the `limit` that the problem declares"):
        better_p(pair_scores(np.full(200, 0.5), np.zeros(200)), LOOK)


def test_an_interval_claims_no_more_than_the_bound() -> None:
    """100 rows that all gain 0.1: the bootstrap's interval is a point, though losses of 5 may merely not have been drawn."""
    interval = difference_interval(np.full(100, 0.1), np.zeros(100), how=IntervalSettings(0.9), limit=LIMIT)
    assert interval.low is not None and interval.high is not None
    assert interval.low < 0 < interval.high
    assert gain_bound_p(pair_scores(np.full(100, 0.1), np.zeros(100), limit=LIMIT), interval.low) == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_intervals_of_skewed_differences_cover_the_truth_as_often_as_they_say(name: str) -> None:
    """200 trials at 90 %: at least 165 must cover, the 0.001 quantile of Binomial(200, 0.9) being 166."""
    rng, covered = np.random.default_rng(9), 0
    for _ in range(200):
        interval = difference_interval(SHAPES[name](rng, 150), np.zeros(150), how=IntervalSettings(0.9, 200), limit=LIMIT)
        covered += (interval.low or 0) <= 0 <= (interval.high or 0)
    assert covered >= 165


def test_the_bound_turns_with_its_sign_and_knows_no_order() -> None:
    rng = np.random.default_rng(10)
    values, sizes = rng.normal(0.1, 1, 50), np.ones(50)
    assert betting_p(values, 5 * sizes) == pytest.approx(betting_p(values[::-1].copy(), 5 * sizes))
    low = betting_bound(values, sizes, LIMIT, 0.05)
    assert betting_p(values - low, (LIMIT + low) * sizes) == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize(("sign", "verdict"), [(-1, "HOLD"), (1, "PROMOTE")])
def test_rows_that_are_all_at_the_limit_are_judged(sign: int, verdict: str) -> None:
    assert betting_bound(np.full(50, -5.0), np.ones(50), LIMIT, 0.05) == pytest.approx(-5.0)
    judged = judge_challenger(Evidence(np.full(300, 9.0 * sign), np.zeros(300), largest_difference=LIMIT), Gate())
    assert judged.verdict == verdict


def test_bets_go_from_all_of_the_wealth_down_to_what_the_widest_spread_asks_for() -> None:
    shares, log_weights = betting_shares(np.full(10_000, LIMIT), 10_000)
    assert shares[0] == 1 and shares[-1] <= 3 / 100 < shares[-2]
    assert np.exp(log_weights).sum() == pytest.approx(1)
    assert len(betting_shares(np.ones(4), 4)[0]) == 1


def test_a_value_at_its_limit_loses_all_of_the_largest_bet_and_no_more() -> None:
    assert 0 < betting_p(np.array([-5.0, *[5.0] * 50]), np.full(51, LIMIT)) < 1e-6
    assert betting_p(np.full(50, -5.0), np.full(50, LIMIT)) == 1.0


def test_guards_on_real_scores_find_harm_and_tolerate_noise() -> None:
    rng = np.random.default_rng(11)
    slices = {"region": np.repeat(["eu", "us"], 600)}
    differences = np.concatenate([rng.normal(-0.4, 0.5, 600), rng.normal(0.6, 0.5, 600)])
    verdict = judge_challenger(
        Evidence(differences, np.zeros(1200), slices=slices, largest_difference=LIMIT), Gate(guards=Guards())
    )
    assert {c.name: c.outcome for c in verdict.comparisons if c.rule == "guard"} == {
        "slice region=eu": "harm shown",
        "slice region=us": "no harm shown",
    }
