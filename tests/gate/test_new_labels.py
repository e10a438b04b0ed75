"""Test rows of labels that the champion never had: it is wrong on all of them, so they count, and do not decide alone."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from configs.schema import Gate, Guards
from tasks.decide import new_labels
from tasks.gate.evidence import Evidence
from tasks.gate.gate import judge_challenger

KNOWN, NEW = 2000, 300
ONE_LOOK = Gate(looks_per_year=1)


def evidence(wins: int, losses: int, new_right: int = 280) -> Evidence:
    """2,000 rows of labels the champion knows, with so many wins and losses; 300 of a new one, of which it has none right."""
    challenger, champion = np.ones(KNOWN + NEW), np.ones(KNOWN + NEW)
    champion[:wins] = challenger[wins : wins + losses] = 0
    champion[KNOWN:] = challenger[KNOWN + new_right :] = 0
    classes = np.array(["billing", "login"] * (KNOWN // 2) + ["refund"] * NEW)
    return Evidence(challenger, champion, classes=classes, new_to_champion=classes == "refund")


def test_a_new_class_does_not_hide_a_loss_on_the_labels_that_the_champion_knows() -> None:
    verdict = judge_challenger(evidence(20, 120), ONE_LOOK)
    assert verdict.verdict == "HOLD"
    everything, known = verdict.comparisons[:2]
    assert (everything.name, everything.rule, everything.outcome, everything.n) == ("champion", "better", "shown", KNOWN + NEW)
    assert (known.name, known.rule, known.outcome, known.n) == ("champion on the labels it knows", "not_worse", "ruled out", KNOWN)
    assert verdict.reasons[0].startswith("Worse than the champion on the labels it knows by more than the margin of 1.0 points")
    settings = Gate(looks_per_year=1, guards=Guards(class_margin=0.2))
    assert judge_challenger(replace(evidence(20, 120), new_to_champion=None), settings).verdict == "PROMOTE"


def test_a_new_class_is_promoted_where_the_old_labels_keep_what_they_had() -> None:
    verdict = judge_challenger(evidence(60, 20), ONE_LOOK)
    assert verdict.verdict == "PROMOTE"
    assert (verdict.new_rows, verdict.new_labels) == (NEW, ("refund",))
    assert any(
        "300 rows have labels that the champion never had (refund). They count above, and do not decide alone: on the other 2000 "
        "rows a loss of 1.0 points (gate.margin) has to be ruled out too." in reason
        for reason in verdict.reasons
    )


def test_too_few_rows_of_known_labels_leave_it_open_and_say_how_many_are_needed() -> None:
    everything = evidence(6, 6)
    rows = np.r_[0:150, KNOWN : KNOWN + NEW]
    few = Evidence(everything.challenger[rows], everything.champion[rows], new_to_champion=everything.new_to_champion[rows])  # type: ignore[index]
    verdict = judge_challenger(few, ONE_LOOK)
    assert verdict.verdict == "INCONCLUSIVE"
    assert verdict.rows_needed is not None and verdict.rows_needed > len(rows)
    assert any("to pass a challenger that is exactly as good" in reason for reason in verdict.reasons)


def test_rows_of_new_labels_alone_decide_nothing() -> None:
    new = np.ones(400, dtype=bool)
    verdict = judge_challenger(
        Evidence(np.ones(400), np.zeros(400), classes=np.repeat("refund", 400), new_to_champion=new), ONE_LOOK
    )
    assert verdict.verdict == "INCONCLUSIVE"
    assert verdict.reasons[0].startswith("All 400 rows have labels that the champion never had (refund): they cannot show")


def test_under_not_worse_the_known_labels_of_champion_and_anchor_have_to_pass_too() -> None:
    shown = replace(evidence(60, 20), anchor=evidence(60, 20).champion)
    classes = np.asarray(shown.classes)
    settings = Gate(rule="not_worse", looks_per_year=1)
    verdict = judge_challenger(replace(shown, new_to_anchor=(classes == "refund") | (classes == "login")), settings)
    asked = {c.name: (c.rule, c.n, c.outcome) for c in verdict.comparisons if c.rule == "not_worse"}
    assert list(asked) == ["champion", "anchor", "champion on the labels it knows", "anchor on the labels it knows"]
    assert asked["anchor on the labels it knows"][1] == KNOWN // 2


def test_without_new_labels_nothing_more_is_asked() -> None:
    none = np.zeros(KNOWN + NEW, dtype=bool)
    plain, marked = (judge_challenger(replace(evidence(60, 20), new_to_champion=mask), ONE_LOOK) for mask in (None, none))
    assert plain == marked
    assert plain.new_rows == 0


def test_first_releases_have_no_champion_whose_labels_could_be_old() -> None:
    shown = evidence(60, 20)
    verdict = judge_challenger(Evidence(shown.challenger, baseline=shown.champion), ONE_LOOK)
    assert verdict.new_rows == 0


def test_new_rows_are_those_whose_target_is_none_of_the_labels_of_a_version() -> None:
    frame = pd.DataFrame({"target": ["billing", "refund", "login", "refund"]})
    assert new_labels(frame, ("billing", "login")).tolist() == [False, True, False, True]
    assert new_labels(frame, None) is None


def test_a_mask_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="new_to_champion has 3 rows"):
        judge_challenger(replace(evidence(60, 20), new_to_champion=np.zeros(3, dtype=bool)), ONE_LOOK)


def test_the_verdict_with_new_labels_is_plain_enough_for_json() -> None:
    assert json.loads(json.dumps(asdict(judge_challenger(evidence(60, 20), ONE_LOOK))))["new_labels"] == ["refund"]
