"""Scores of another kind at the gate: they decide where they are primary, veto where they guard, and else inform."""

import numpy as np
import pytest

from configs.schema import Gate
from tasks.gate.evidence import AddedScores, Evidence
from tasks.gate.gate import judge_challenger

DRAW = np.random.default_rng(5)
N = 400
LIKELY = DRAW.normal(-2, 0.3, N)
GATE = Gate(looks_per_year=1, min_rows=30)


def evidence(wins, losses, counts_as, better=0.0, judged=200):
    preferences = np.full(N, np.nan)
    preferences[:judged] = 0.5
    preferences[:wins], preferences[wins : wins + losses] = 1, 0
    added = AddedScores("preferences of judge m", "champion", preferences, 1 - preferences, counts_as, 0.1, 1.0)
    own = LIKELY + better
    return Evidence(challenger=own, champion=LIKELY, baseline=LIKELY - 1, baseline_name="bigram", trivial=LIKELY - 2,
                    metrics={"scorer/length": 3.0}, largest_difference=5.0, added=(added,))  # fmt: skip


@pytest.mark.parametrize(
    ("counts_as", "wins", "losses", "better", "verdict"),
    [
        ("primary", 120, 40, 0.0, "PROMOTE"),  # likelihoods are equal, answers are preferred
        ("primary", 40, 120, 0.1, "HOLD"),  # likelier, and not preferred
        ("primary", 82, 78, 0.1, "INCONCLUSIVE"),
        ("guard", 40, 120, 0.1, "HOLD"),
        ("guard", 82, 78, 0.1, "PROMOTE"),
        ("nothing", 10, 150, 0.1, "PROMOTE"),
        ("nothing", 150, 10, -0.1, "HOLD"),
    ],
)
def test_preferences_decide_guard_or_inform(counts_as, wins, losses, better, verdict):
    found = judge_challenger(evidence(wins, losses, counts_as, better), GATE)
    assert found.verdict == verdict, found.reasons
    (judged,) = [c for c in found.comparisons if c.quantity]
    assert (judged.wins, judged.losses, judged.n) == (wins, losses, 200) and judged.name == "champion"
    assert any("preferences of judge m" in reason for reason in found.reasons)
    if counts_as == "primary":
        assert found.n == 200 and [c.rule for c in found.comparisons if c.name == "champion" and not c.quantity] == ["information"]
        assert "preferences" in found.reasons[0]
    else:
        assert found.n == N


def test_too_few_judged_rows_decide_nothing_and_rows_without_a_judgement_are_not_missed():
    assert judge_challenger(evidence(10, 2, "primary", judged=20), GATE).verdict == "INCONCLUSIVE"
    assert judge_challenger(evidence(0, 0, "guard", 0.1, judged=0), GATE).verdict == "PROMOTE"


@pytest.mark.slow
def test_equal_models_are_promoted_by_preferences_no_oftener_than_alpha():
    draw, trials, wrong = np.random.default_rng(1), 300, 0
    for _ in range(trials):
        words = draw.choice([0.0, 0.5, 1.0], N, p=[0.35, 0.3, 0.35])
        added = AddedScores("preferences", "champion", words, 1 - words, "primary", 0.1, 1.0)
        found = judge_challenger(Evidence(challenger=LIKELY, champion=LIKELY, baseline=LIKELY, largest_difference=5.0,
                                          added=(added,)), GATE)  # fmt: skip
        wrong += found.verdict == "PROMOTE"
    assert wrong / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_a_floor_may_ask_for_a_scorer():
    floor = GATE.model_copy(update={"floors": {"scorer/length": 4.0}})
    assert judge_challenger(evidence(100, 10, "nothing", 0.1), floor).verdict == "HOLD"
