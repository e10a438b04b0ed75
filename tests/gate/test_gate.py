from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats
from simulations.trials import Floats, clustered, most_allowed, scores

from configs.errors import InputError
from configs.schema import Gate, Guards
from tasks.gate.evidence import Comparison, Evidence, Verdict
from tasks.gate.gate import judge_challenger

ONE_LOOK = Gate(looks_per_year=1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def exact(n: int, wins: int, losses: int, right: int = 0) -> tuple[Floats, Floats]:
    """Scores with just so many wins and losses, both right on `right` rows, both wrong on the rest."""
    challenger, champion = np.zeros(n), np.zeros(n)
    challenger[:wins] = champion[wins : wins + losses] = 1
    challenger[wins + losses : wins + losses + right] = champion[wins + losses : wins + losses + right] = 1
    return challenger, champion


def named(verdict: Verdict, name: str) -> Comparison:
    return next(comparison for comparison in verdict.comparisons if comparison.name == name)


def test_a_clear_gain_is_promoted_and_says_why() -> None:
    verdict = judge_challenger(Evidence(*exact(1000, 60, 10, 880)), Gate())
    assert verdict.verdict == "PROMOTE"
    assert verdict.reasons[0].startswith(
        "Better than the champion: 94.0 % against 89.0 % on 1000 rows, +5.0 points (90 % interval "
    )
    assert "ahead on 60 of them, behind on 10" in verdict.reasons[0]


def test_the_p_value_is_the_exact_one_and_is_held_against_what_this_look_may_spend() -> None:
    found = named(judge_challenger(Evidence(*exact(1000, 60, 40, 800)), Gate()), "champion")
    assert found.p_value == pytest.approx(stats.binomtest(60, 100, 0.5, alternative="greater").pvalue)
    assert found.alpha == pytest.approx(0.9 * 0.05 / 52)


def test_a_gain_that_one_look_would_show_is_not_enough_when_there_are_52() -> None:
    evidence = Evidence(*exact(600, 40, 20, 500))
    assert judge_challenger(evidence, ONE_LOOK).verdict == "PROMOTE"
    assert judge_challenger(evidence, Gate()).verdict == "INCONCLUSIVE"


def test_an_open_question_says_how_many_rows_would_settle_it() -> None:
    verdict = judge_challenger(Evidence(*exact(600, 40, 20, 500)), Gate())
    assert verdict.rows_needed is not None and 2500 < verdict.rows_needed < 6000
    assert verdict.detectable is not None and 0.03 < verdict.detectable < 0.08
    assert any(
        f"About {verdict.rows_needed} rows are needed to show a true gain of 2.0 points" in reason for reason in verdict.reasons
    )


def test_two_models_alike_on_many_rows_are_held_as_the_gain_is_ruled_out() -> None:
    verdict = judge_challenger(Evidence(*exact(3000, 20, 20, 2800)), Gate())
    assert verdict.verdict == "HOLD"
    assert verdict.reasons[0].startswith("A gain of 2.0 points over the champion is ruled out")


def test_too_few_rows_decide_nothing_however_clear_they_look() -> None:
    verdict = judge_challenger(Evidence(*exact(80, 40, 0, 30), metrics={"accuracy": 0.5}), Gate(floors={"accuracy": 0.9}))
    assert verdict.verdict == "INCONCLUSIVE"
    assert verdict.rows_needed is not None and verdict.rows_needed >= 100
    assert verdict.reasons[0].startswith("Too few rows to decide anything: 80 fair rows where gate.min_rows asks for 100")


def test_no_fair_row_at_all_is_told_like_any_other_lack() -> None:
    verdict = judge_challenger(Evidence(*exact(300, 60, 0, 200), fair=np.zeros(300, dtype=bool)), Gate())
    assert (verdict.verdict, verdict.n, verdict.excluded, verdict.comparisons) == ("INCONCLUSIVE", 0, 300, ())


def test_discordant_rows_that_can_never_reach_alpha_leave_it_open() -> None:
    verdict = judge_challenger(Evidence(*exact(150, 8, 0, 130)), Gate())
    assert verdict.verdict == "INCONCLUSIVE"
    assert verdict.rows_needed is not None and verdict.rows_needed > 150


def test_rows_repeated_in_a_group_make_no_win() -> None:
    challenger, champion = exact(200, 12, 6, 170)
    thrice = Evidence(np.repeat(challenger, 3), np.repeat(champion, 3), groups=np.repeat([f"customer {i}" for i in range(200)], 3))
    naive = Evidence(np.repeat(challenger, 3), np.repeat(champion, 3))
    assert judge_challenger(naive, ONE_LOOK).verdict == "PROMOTE"
    assert judge_challenger(thrice, ONE_LOOK).verdict != "PROMOTE"
    once = named(judge_challenger(Evidence(challenger, champion), ONE_LOOK), "champion")
    assert named(judge_challenger(thrice, ONE_LOOK), "champion").p_value == pytest.approx(once.p_value)


def test_a_hundred_rows_in_thirty_groups_count_as_thirty() -> None:
    verdict = judge_challenger(Evidence(*exact(120, 40, 0, 60), groups=np.repeat(np.arange(30), 4)), Gate())
    assert verdict.verdict == "INCONCLUSIVE"
    assert "120 fair rows in 30 groups, which count as 30 effective rows" in verdict.reasons[0]


def test_unfair_rows_are_left_out_counted_and_told() -> None:
    challenger, champion = exact(1000, 60, 10, 880)
    fair = np.ones(1000, dtype=bool)
    fair[:60] = False
    verdict = judge_challenger(Evidence(challenger, champion, fair=fair), Gate())
    assert (verdict.verdict, verdict.excluded, verdict.n) == ("HOLD", 60, 940)
    assert any(reason.startswith("60 rows left out: copies or near copies") for reason in verdict.reasons)


def test_the_recent_rows_decide_and_the_older_ones_guard() -> None:
    challenger, champion = exact(1000, 60, 10, 880)
    harmed, fine = exact(500, 0, 60, 400)
    recent = np.arange(1500) < 1000
    evidence = Evidence(np.concatenate([challenger, harmed]), np.concatenate([champion, fine]), recent=recent)
    verdict = judge_challenger(evidence, Gate(window=28))
    assert verdict.verdict == "HOLD"
    assert named(verdict, "champion").n == 1000
    assert verdict.reasons[0].startswith("Harm shown on older rows")
    assert named(verdict, "older rows").outcome == "harm shown"


def test_harm_to_one_slice_is_a_veto() -> None:
    region = np.array(["eu"] * 200 + ["us"] * 800)
    lost, kept = exact(200, 0, 40, 150)
    won, had = exact(800, 120, 10, 600)
    verdict = judge_challenger(
        Evidence(np.concatenate([lost, won]), np.concatenate([kept, had]), slices={"region": region}), Gate()
    )
    assert verdict.verdict == "HOLD"
    assert verdict.reasons[0].startswith("Harm shown on slice region=eu, against the champion: 75.0 % against 95.0 %")
    assert named(verdict, "champion").outcome == "shown"


def test_harm_to_the_recall_of_one_class_is_a_veto() -> None:
    classes = np.array(["refund"] * 100 + ["other"] * 900)
    lost, kept = exact(100, 0, 40, 60)
    won, had = exact(900, 120, 10, 700)
    verdict = judge_challenger(Evidence(np.concatenate([lost, won]), np.concatenate([kept, had]), classes=classes), Gate())
    assert (verdict.verdict, named(verdict, "class refund").outcome) == ("HOLD", "harm shown")


def test_a_small_slice_is_reported_and_not_judged() -> None:
    region = np.array(["eu"] * 29 + ["us"] * 971)
    lost, kept = exact(29, 0, 29, 0)
    won, had = exact(971, 120, 10, 700)
    verdict = judge_challenger(
        Evidence(np.concatenate([lost, won]), np.concatenate([kept, had]), slices={"region": region}), Gate()
    )
    found = named(verdict, "slice region=eu")
    assert (verdict.verdict, found.outcome, found.p_value) == ("PROMOTE", "too few rows", None)
    assert any("1 with fewer than 30 rows are reported, not judged" in reason for reason in verdict.reasons)


def test_a_loss_within_the_guards_margin_is_no_veto() -> None:
    region = np.array(["eu"] * 500 + ["us"] * 500)
    lost, kept = exact(500, 10, 20, 450)
    won, had = exact(500, 90, 5, 350)
    verdict = judge_challenger(
        Evidence(np.concatenate([lost, won]), np.concatenate([kept, had]), slices={"region": region}), Gate()
    )
    assert verdict.verdict == "PROMOTE"


def test_many_slices_of_two_equal_models_seldom_veto() -> None:
    """150 A/A decisions over 40 slices of 50 rows, margins of zero: one false veto or more in at most alpha of them."""
    generator, slices = rng(5), {"s": np.repeat([f"{i:02}" for i in range(40)], 50)}
    settings = Gate(guards=Guards(slice_margin=0.0))
    vetoes = 0
    for _ in range(150):
        first, second = scores(generator, 2000, 0.2, 0.0)
        vetoes += any(
            c.outcome == "harm shown" for c in judge_challenger(Evidence(first, second, slices=slices), settings).comparisons
        )
    assert vetoes <= most_allowed(0.05, 150)


def test_a_missed_floor_holds_the_best_of_challengers() -> None:
    verdict = judge_challenger(Evidence(*exact(1000, 60, 10, 880), metrics={"accuracy": 0.94}), Gate(floors={"accuracy": 0.95}))
    assert verdict.verdict == "HOLD"
    assert verdict.reasons[0] == "Floor missed: accuracy is 0.94, gate.floors asks for at least 0.95."


def test_a_ceiling_of_an_error_is_kept_or_holds_the_challenger_back() -> None:
    generator = np.random.default_rng(0)
    champion = -np.abs(generator.normal(2, 0.3, 400))
    evidence = Evidence(
        champion + 1, champion, metrics={"mae": 1.2}, largest_difference=5.0, are_errors=True, scale=2.0,
    )  # fmt: skip
    assert judge_challenger(evidence, Gate(ceilings={"mae": 1.5})).verdict == "PROMOTE"
    held = judge_challenger(evidence, Gate(ceilings={"mae": 1.1}))
    assert held.verdict == "HOLD" and held.reasons[0] == "Ceiling missed: mae is 1.2, gate.ceilings asks for at most 1.1."
    assert "mean error 0.989 against 1.989 on 400 rows, 1 less" in held.reasons[1]


def test_a_floor_on_an_unknown_metric_is_the_users_fault_and_names_the_known_ones() -> None:
    with pytest.raises(
        InputError, match=r"gate\.floors\.acuracy: there is no metric `acuracy`; the evaluation gives: accuracy, f1"
    ):
        judge_challenger(Evidence(*exact(1000, 60, 10), metrics={"f1": 0.9, "accuracy": 0.9}), Gate(floors={"acuracy": 0.5}))


def test_not_worse_needs_the_anchor_too() -> None:
    challenger, champion = exact(5000, 50, 50, 4500)
    near, far = champion.copy(), champion.copy()
    far[4650:4950] = 1
    settings = Gate(rule="not_worse", margin=0.02)
    assert judge_challenger(Evidence(challenger, champion, anchor=near), settings).verdict == "PROMOTE"
    refused = judge_challenger(Evidence(challenger, champion, anchor=far), settings)
    assert refused.verdict == "HOLD"
    assert refused.reasons[0].startswith("Worse than the anchor by more than the margin of 2.0 points")


def test_not_worse_without_enough_rows_says_how_many_an_equal_model_needs() -> None:
    verdict = judge_challenger(Evidence(*exact(600, 20, 20, 540)), Gate(rule="not_worse"))
    assert verdict.verdict == "INCONCLUSIVE"
    assert verdict.rows_needed is not None and verdict.rows_needed > 5000
    assert any("to pass a challenger that is exactly as good" in reason for reason in verdict.reasons)


def test_the_ratchet_of_half_a_point_a_week_is_stopped_by_the_anchor() -> None:
    """52 challengers, each truly half a point worse than the champion: unanchored the chain walks down, anchored it stays."""

    def accuracy_after_a_year(anchored: bool) -> float:
        generator, n, champion_accuracy = rng(1), 20_000, 0.93
        difficulty = generator.random(n)
        settings = Gate(rule="not_worse", looks_per_year=52)
        champion = anchor = (difficulty < champion_accuracy).astype(float)
        for look in range(1, 53):
            challenger = (difficulty + generator.normal(0, 0.01, n) < champion_accuracy - 0.005).astype(float)
            evidence = Evidence(challenger, champion, anchor=anchor if anchored else None, look=look)
            if judge_challenger(evidence, settings).verdict == "PROMOTE":
                champion, champion_accuracy = challenger, champion_accuracy - 0.005
        return champion_accuracy

    assert accuracy_after_a_year(anchored=False) < 0.80
    assert accuracy_after_a_year(anchored=True) >= 0.92


def test_equal_models_are_promoted_at_most_as_often_as_the_look_may_spend() -> None:
    """Through the whole gate, with groups; a gate that looks once a year spends 0.045 at its first look."""
    generator, trials, promoted = rng(7), 200, 0
    for _ in range(trials):
        first, second, codes = clustered(generator, np.full(150, 3), 0.1, 0.0, 0.8)
        promoted += judge_challenger(Evidence(first, second, groups=codes), ONE_LOOK).verdict == "PROMOTE"
    assert promoted <= most_allowed(0.045, trials)


def test_real_scores_by_group_are_compared_and_told_in_their_own_unit() -> None:
    generator = rng(3)
    champion = generator.normal(-40, 5, 600)
    challenger, groups = champion + generator.normal(0.6, 0.5, 600), np.repeat(np.arange(200), 3)
    verdict = judge_challenger(Evidence(challenger, champion, groups=groups, largest_difference=5.0), Gate())
    assert verdict.verdict == "PROMOTE"
    assert "points" not in verdict.reasons[0]


def test_the_same_evidence_gives_the_same_verdict() -> None:
    generator = rng(4)
    evidence = Evidence(generator.normal(size=300), generator.normal(size=300), largest_difference=10.0)
    assert judge_challenger(evidence, Gate()) == judge_challenger(evidence, Gate())


def test_a_verdict_is_plain_enough_for_json() -> None:
    challenger, champion = exact(1000, 60, 10, 880)
    evidence = Evidence(challenger, champion, anchor=champion, baseline=champion, slices={"region": np.array(["eu", "us"] * 500)})
    told = json.loads(json.dumps(asdict(judge_challenger(evidence, Gate())), allow_nan=False))
    assert [c["name"] for c in told["comparisons"]] == [
        "champion",
        "slice region=eu",
        "slice region=us",
        "baseline baseline",
        "anchor",
    ]


def test_scores_that_cannot_be_judged_are_refused() -> None:
    with pytest.raises(ValueError, match="champion has 9 rows and the challenger 10"):
        judge_challenger(Evidence(np.ones(10), np.ones(9)), Gate())
    with pytest.raises(ValueError, match="1 scores that are no finite numbers"):
        judge_challenger(Evidence(np.array([1.0, np.nan]), np.ones(2)), Gate())
    with pytest.raises(ValueError, match="neither a champion nor a baseline"):
        judge_challenger(Evidence(np.ones(10)), Gate())


def test_more_looks_than_declared_are_told() -> None:
    verdict = judge_challenger(Evidence(*exact(1000, 60, 10, 880), look=70), Gate())
    assert verdict.alpha < 0.0001
    assert verdict.reasons[-1].startswith("Look 70, where gate.looks_per_year declares 52")


def test_where_no_number_of_rows_would_do_none_is_given() -> None:
    generator = rng(6)
    evidence = Evidence(generator.normal(0, 1e5, 300), generator.normal(0, 1e5, 300), largest_difference=1e6)
    verdict = judge_challenger(evidence, Gate())
    assert (verdict.verdict, verdict.rows_needed) == ("INCONCLUSIVE", None)
    assert any(reason.startswith("More than a thousand million rows are needed") for reason in verdict.reasons)
