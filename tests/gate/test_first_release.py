"""The first release: what it has to show against baselines, where there is no champion to compare it with."""

from __future__ import annotations

import numpy as np
import pytest
from simulations.trials import most_allowed

from configs.errors import InputError
from configs.load import load_pipeline
from configs.schema import Gate
from tasks.gate.evidence import Evidence, Verdict
from tasks.gate.gate import judge_challenger
from tasks.stats.multiplicity import alpha_at_look, first_release_alpha

TFIDF, MAJORITY = "TF-IDF + logistic regression", "majority class"
DEFAULTS = Gate()


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def first(challenger, best, trivial, settings=DEFAULTS, look: int = 1) -> Verdict:
    names = {"baseline_name": TFIDF, "trivial_name": MAJORITY}
    return judge_challenger(Evidence(challenger, baseline=best, trivial=trivial, **names, look=look), settings)


def right(n: int, *wrong: range) -> np.ndarray:
    """(n,) right on all rows but those."""
    scores = np.ones(n)
    for rows in wrong:
        scores[rows] = 0
    return scores


# 1,115 test rows of short messages, 149 of them of the rarer class: model 99.2 %, TF-IDF 99.0 %, majority class 86.6 %.
MESSAGES = (right(1115, range(9)), right(1115, range(5, 16)), right(1115, range(149)))


def test_where_tfidf_is_as_good_a_first_model_is_released_and_a_cheaper_one_is_named_with_its_figure() -> None:
    verdict = first(*MESSAGES)
    assert verdict.verdict == "PROMOTE"
    assert [(c.name, c.rule, c.outcome, c.alpha) for c in verdict.comparisons] == [
        (f"baseline {MAJORITY}", "better", "shown", 0.05),
        (f"baseline {TFIDF}", "guard", "no harm shown", 0.05),
    ]
    assert verdict.reasons[0].startswith(f"Better than the baseline {MAJORITY}: 99.2 % against 86.6 % on 1115 rows")
    assert verdict.reasons[1].startswith(
        f"A cheaper model would do: the baseline {TFIDF} has 99.0 % where the challenger has 99.2 %, which is not shown to be "
    )
    assert f"No loss beyond 5.0 points (gate.first_margin) shown against the baseline {TFIDF}." in verdict.reasons


def test_gate_first_better_asks_for_a_gain_over_the_best_baseline_as_before() -> None:
    verdict = first(*MESSAGES, Gate(first="better"))
    assert verdict.verdict == "HOLD"
    assert [(c.name, c.rule, c.outcome) for c in verdict.comparisons] == [(f"baseline {TFIDF}", "better", "ruled out")]
    assert verdict.comparisons[0].alpha == pytest.approx(0.9 * 0.05 / 52)
    assert any(reason.startswith("A cheaper model would do") for reason in verdict.reasons)
    won = first(right(600, range(50)), right(600, range(140)), right(600, range(300)), Gate(first="better", rule="not_worse"))
    assert (won.verdict, won.comparisons[0].rule) == ("PROMOTE", "better")
    assert not any("cheaper" in reason for reason in won.reasons)


def test_a_first_model_that_loses_more_than_the_margin_to_the_best_baseline_is_held_and_says_which() -> None:
    verdict = first(right(1000, range(200)), right(1000, range(60)), right(1000, range(500)))
    assert verdict.verdict == "HOLD"
    assert verdict.reasons[0].startswith(
        f"Worse than the baseline {TFIDF}, which costs less: 80.0 % against 94.0 % on 1000 rows, -14.0 points"
    )
    assert "gate.first_margin tolerates a loss of 5.0 points" in verdict.reasons[0]
    assert (
        first(right(1000, range(200)), right(1000, range(60)), right(1000, range(500)), Gate(first_margin=0.2)).verdict == "PROMOTE"
    )


def test_a_first_model_no_better_than_the_majority_class_is_not_released() -> None:
    verdict = first(right(1000, range(130)), right(1000, range(60)), right(1000, range(130)))
    assert verdict.verdict == "HOLD"
    assert any(reason.startswith("A cheaper model would do: the baseline TF-IDF") for reason in verdict.reasons)


def test_where_no_baseline_is_better_than_the_trivial_one_that_one_is_to_be_beaten() -> None:
    verdict = judge_challenger(Evidence(right(500, range(100)), baseline=right(500, range(250)), baseline_name=MAJORITY), Gate())
    assert verdict.verdict == "PROMOTE" and [c.name for c in verdict.comparisons] == [f"baseline {MAJORITY}"]
    assert verdict.comparisons[0].alpha == 0.05


def test_too_few_rows_decide_nothing_about_a_first_release_either() -> None:
    verdict = first(right(60), right(60), right(60, range(30)))
    assert verdict.verdict == "INCONCLUSIVE" and verdict.reasons[0].startswith("Too few rows to decide anything: 60 fair rows")


def test_likelihoods_are_held_against_the_trivial_baseline_and_the_margin_in_nats() -> None:
    generator = rng(1)
    unigram, bigram = generator.normal(-4.0, 0.5, 800), generator.normal(-2.5, 0.5, 800)
    little, much = bigram - 0.02 + generator.normal(0, 0.1, 800), bigram - 0.2 + generator.normal(0, 0.1, 800)
    names = {"baseline_name": "bigram", "trivial_name": "unigram", "largest_difference": 5.0}
    near = judge_challenger(Evidence(little, baseline=bigram, trivial=unigram, **names), Gate())
    assert near.verdict == "PROMOTE" and "No loss beyond 0.05 (gate.first_margin) shown" in " ".join(near.reasons)
    far = judge_challenger(Evidence(much, baseline=bigram, trivial=unigram, **names), Gate())
    assert far.verdict == "HOLD" and far.reasons[0].startswith("Worse than the baseline bigram")


def test_models_that_are_no_better_than_the_majority_class_are_released_at_most_at_alpha() -> None:
    generator, released, trials = rng(2), 0, 400
    for _ in range(trials):
        trivial = (generator.random(300) < 0.5).astype(float)
        challenger = (generator.random(300) < 0.5).astype(float)
        released += first(challenger, right(300, range(140)), trivial, Gate(first_margin=0.9)).verdict == "PROMOTE"
    assert released <= most_allowed(0.05, trials)


def test_a_loss_of_just_the_margin_is_a_veto_at_most_at_alpha() -> None:
    """Each row is right by chance alone, the baseline's chance five points higher; both far above the trivial one."""
    generator, vetoes, trials = rng(3), 0, 400
    for _ in range(trials):
        challenger, best = (generator.random(600) < 0.85).astype(float), (generator.random(600) < 0.90).astype(float)
        verdict = first(challenger, best, right(600, range(400)))
        vetoes += verdict.verdict == "HOLD"
    assert vetoes <= most_allowed(0.05, trials)


@pytest.mark.parametrize("tries", [1, 4, 52, 400])
def test_however_often_a_first_release_is_tried_in_a_year_little_more_than_the_first_try_is_spent(tries: int) -> None:
    spent = [first_release_alpha(0.05, 52, look) for look in range(1, tries + 1)]
    assert spent[0] == 0.05 and spent == sorted(spent, reverse=True)
    assert sum(spent) <= 1.65 * 0.05 + sum(alpha_at_look(0.05, 52, look) for look in range(1, tries + 1))


def test_noise_that_is_tried_every_week_is_seldom_released_within_a_year() -> None:
    """A life's releases have a mean of at most 2.65 alpha; at alpha for every try most lives would release noise."""
    generator, lives, most = rng(4), 200, 0.0
    alphas = [first_release_alpha(0.05, 52, look) for look in range(1, 53)]
    p = generator.random((lives, 52))
    released, careless = (p <= np.array(alphas)).any(1), (p <= 0.05).any(1)
    most = most_allowed(sum(alphas), lives)
    assert sum(alphas) < 2.65 * 0.05 and released.sum() <= most and careless.mean() > 0.8


def test_the_rule_of_a_first_release_is_a_setting_and_a_wrong_one_is_named(tmp_path) -> None:
    config = tmp_path / "p.yaml"
    config.write_text("name: p\nproblem: text-classification\ndata: {source: rows.csv}\nmodel: {base: b}\n")
    assert (load_pipeline(config).gate.first, load_pipeline(config).gate.at_scale().first_margin) == ("useful", 0.05)
    gate = load_pipeline(config, ["gate.first=better", "gate.rule=not_worse"]).gate
    assert (gate.rule_against(None), gate.rule_against("1")) == ("better", "not_worse")
    with pytest.raises(InputError, match=r"gate\.first"):
        load_pipeline(config, ["gate.first=best"])
