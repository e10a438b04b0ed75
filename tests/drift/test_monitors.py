"""The monitors as their callers see them: what alarms, what does not, what is said when nothing can be."""

from __future__ import annotations

import json
from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from simulations.drift_traffic import OF_CLASSES, traffic

from configs.schema import Effects, Monitor
from tasks.drift.monitors import Finding, Sample, most_changed, run_monitors, text_codes
from tasks.stats.multiplicity import alpha_at_look

REFERENCE = traffic(0, 600)


def seen(window: Sample, reference: Sample = REFERENCE, monitor: Monitor | None = None, look: int = 1) -> dict[str, Finding]:
    return {finding.monitor: finding for finding in run_monitors(reference, window, monitor or Monitor(), look, seed=0)}


def alarms(findings: dict[str, Finding]) -> set[str]:
    return {name for name, finding in findings.items() if finding.alarm}


def changed(seed: int, n: int, **fields: object) -> Sample:
    return replace(traffic(seed, n), **fields)  # type: ignore[arg-type]


def test_every_monitor_speaks_once_in_a_fixed_order_and_shares_alpha_evenly() -> None:
    findings = run_monitors(REFERENCE, traffic(1, 300), Monitor(), look=3, seed=0)
    assert tuple(finding.monitor for finding in findings) == OF_CLASSES
    assert all(finding.judged and not finding.alarm for finding in findings)
    assert sum(finding.alpha for finding in findings) == pytest.approx(alpha_at_look(0.05, 365, 3))
    assert all(finding.low <= finding.effect <= finding.high for finding in findings)


def test_the_same_look_twice_finds_the_same() -> None:
    window = traffic(2, 200)
    assert run_monitors(REFERENCE, window, Monitor(), 1, seed=5) == run_monitors(REFERENCE, window, Monitor(), 1, seed=5)


def test_other_topics_are_seen_by_the_embeddings_alone_and_named_by_example() -> None:
    plain, moved = traffic(3, 500), traffic(4, 500, shift=1.0)
    rows = np.arange(500)
    mixed = np.where(rows < 250, plain.embeddings[:, 0], moved.embeddings[:, 0])  # type: ignore[index]
    embeddings = plain.embeddings.copy()  # type: ignore[union-attr]
    embeddings[:, 0] = mixed
    window = replace(plain, embeddings=embeddings)
    assert alarms(seen(window)) == {"inputs.topics", "inputs.mean"}
    examples = most_changed(REFERENCE, window, 20)
    assert len(set(examples)) == 20
    assert np.mean(np.array(examples) >= 250) > 0.9


def test_a_change_of_shape_with_the_same_mean_is_seen_by_topics_and_not_by_the_mean() -> None:
    plain = traffic(5, 1000)
    embeddings = plain.embeddings.copy()  # type: ignore[union-attr]
    embeddings *= np.where(np.arange(1000) % 2, 0.05, 2.5)[:, None].astype(np.float32)
    assert alarms(seen(replace(plain, embeddings=embeddings))) == {"inputs.topics"}


def test_each_kind_of_change_raises_its_own_monitor() -> None:
    plain, n = traffic(6, 1000), 1000
    first = np.arange(n) < n // 2
    cases = {
        "inputs.length": {"numbers": {**plain.numbers, "length": plain.numbers["length"] * 2}},
        "inputs.vocabulary": {"numbers": {**plain.numbers, "vocabulary": np.where(first, 0.6, plain.numbers["vocabulary"])}},
        "inputs.language": {"categories": {"language": np.where(first, "pl", plain.categories["language"])}},
        "inputs.missing": {"flags": {"missing": first}},
        "predictions.classes": {"prediction": np.where(first, "class 07", plain.prediction)},
        "predictions.confidence": {"confidence": plain.confidence**3},  # type: ignore[operator]
        "performance.accuracy": {"correct": np.where(first, 0.0, plain.correct)},
    }
    with_it = {"predictions.confidence": {"performance.estimate", "predictions.calibration"}}
    with_it["performance.accuracy"] = {"predictions.calibration"}
    for monitor, fields in cases.items():
        found = alarms(seen(replace(plain, **fields)))  # type: ignore[arg-type]
        assert monitor in found, monitor
        assert found <= {monitor} | with_it.get(monitor, set()), monitor


def test_what_is_smaller_than_the_minimum_is_no_drift_however_many_rows_show_it() -> None:
    gaps = np.arange(20_000) % 20 == 0  # 5 %, where 10 % is the least worth an alarm
    window = Sample(texts=np.arange(20_000), flags={"missing": gaps})
    reference = Sample(texts=np.arange(30_000, 35_000), flags={"missing": np.zeros(5000, dtype=bool)})
    finding = seen(window, reference)["inputs.missing"]
    assert not finding.alarm
    assert 0.04 < finding.low < finding.high < 0.06
    assert seen(window, reference, Monitor(effects=Effects(share=0.02)))["inputs.missing"].alarm


def test_duplicated_rows_do_not_manufacture_drift() -> None:
    odd = traffic(9, 12, shift=2.0)  # twelve odd texts, of one class, sent fifty times each, beside 400 usual ones
    usual = traffic(10, 400)
    rows = np.concatenate([np.arange(400), 400 + np.repeat(np.arange(12), 50)])
    window = joined(usual, odd).rows(rows)
    assert alarms(seen(window)) <= {"inputs.duplicates"}  # which is there to say just that
    once = joined(usual, traffic(9, 600, shift=2.0))  # as many different texts are drift
    assert {"inputs.topics", "inputs.mean"} <= alarms(seen(once))


def test_texts_that_everybody_sends_cost_no_alarm_and_little_power() -> None:
    reference = traffic(11, 3000, "popular texts")
    assert alarms(seen(traffic(12, 3000, "popular texts"), reference)) == set()
    window = traffic(13, 3000, "popular texts")
    assert "inputs.missing" in alarms(seen(replace(window, flags={"missing": np.arange(3000) % 4 == 0}), reference))


def test_a_stock_of_popular_texts_repeats_more_in_a_larger_window_and_that_is_no_drift() -> None:
    finding = seen(traffic(14, 6000, "popular texts"), traffic(15, 600, "popular texts"))["inputs.duplicates"]
    assert not finding.alarm
    assert abs(finding.effect) < 0.05


def test_every_text_sent_twice_is_seen_as_duplicates() -> None:
    assert alarms(seen(traffic(16, 300).rows(np.repeat(np.arange(300), 2)))) == {"inputs.duplicates"}


def test_only_audited_labels_count_each_by_its_probability() -> None:
    rng, n = np.random.default_rng(17), 4000
    plain = traffic(18, n)
    wrong = np.arange(n) % 2 == 0  # half the rows are of a kind that is always answered wrongly, and audited nine times as often
    correct = np.where(wrong, 0.0, 1.0)
    probability = np.where(wrong, 0.9, 0.1)
    audited = rng.random(n) < probability
    complaint = ~audited & wrong  # labels that came by themselves
    known = np.where(audited | complaint, correct, np.nan)
    window = replace(plain, correct=known, audit_probability=np.where(complaint, np.nan, probability))
    right = np.arange(600) % 2 == 0
    finding = seen(window, replace(REFERENCE, correct=right.astype(float)))["performance.accuracy"]
    assert finding.n_window == int(audited.sum())
    assert abs(finding.effect) < 0.05
    assert not finding.alarm


def test_harder_inputs_are_foretold_without_a_label_and_changed_meanings_are_not() -> None:
    plain = traffic(19, 2000)
    harder = replace(plain, confidence=plain.confidence**3, correct=None, audit_probability=None)  # type: ignore[operator]
    found = seen(harder)
    assert found["performance.estimate"].alarm
    assert "confidence" in found["performance.estimate"].note
    assert not found["performance.accuracy"].judged
    meanings = seen(replace(plain, correct=np.where(np.arange(2000) % 3 == 0, 0.0, plain.correct)))
    assert alarms(meanings) == {"performance.accuracy", "predictions.calibration"}


def test_the_losses_of_estimate_and_calibration_add_up_to_that_of_accuracy() -> None:
    plain = traffic(20, 2000)
    correct = np.where(np.random.default_rng(0).random(2000) < 0.1, 0.0, plain.correct)
    found = seen(replace(plain, confidence=plain.confidence**1.5, correct=correct))  # type: ignore[operator]
    parts = found["performance.estimate"].effect + found["predictions.calibration"].effect
    assert parts == pytest.approx(found["performance.accuracy"].effect, abs=0.02)


def test_nothing_to_go_by_is_said_and_is_valid_json() -> None:
    bare = Sample(texts=np.arange(200))
    found = seen(Sample(texts=np.arange(1000, 1200)), bare)
    assert [name for name, finding in found.items() if finding.judged] == ["inputs.duplicates"]
    assert found["inputs.duplicates"].alpha == pytest.approx(alpha_at_look(0.05, 365, 1))
    assert all("not judged" in finding.note and isnan(finding.effect) for finding in found.values() if not finding.judged)
    json.dumps([finding.plain() for finding in found.values()], allow_nan=False)


@pytest.mark.parametrize(
    ("window", "says"),
    [
        (traffic(21, 99), "99 rows in the window, fewer than 100"),
        (traffic(22, 10).rows(np.arange(200) % 10), "10 distinct texts in the window"),
        (replace(traffic(23, 200), embeddings=None), "no embeddings"),
        (replace(traffic(24, 200), embeddings=np.full((200, 8), np.nan, dtype=np.float32)), "0 distinct texts in the window"),
    ],
)
def test_a_window_that_cannot_be_judged_says_why(window: Sample, says: str) -> None:
    finding = seen(window)["inputs.topics"]
    assert not finding.alarm
    assert says in finding.note


def test_few_labels_are_not_judged() -> None:
    finding = seen(traffic(25, 300, audit=0.05))["performance.accuracy"]
    assert "audited labels, fewer than 30" in finding.note


def test_a_long_window_is_sampled_but_its_labels_are_all_read() -> None:
    found = seen(traffic(26, 3000), monitor=Monitor(max_rows=500))
    assert found["inputs.length"].n_window == 500
    assert found["performance.accuracy"].n_window == 3000


def test_constant_values_in_a_reference_are_no_fault() -> None:
    steady = replace(
        REFERENCE,
        numbers={"length": np.full(600, 5.0), "vocabulary": np.zeros(600)},
        categories={"language": np.full(600, "en")},
        confidence=np.ones(600),
        correct=np.ones(600),
    )
    window = changed(27, 300, categories={"language": np.full(300, "en")})
    found = seen(window, steady)
    assert "does not vary" in found["inputs.length"].note
    assert found["inputs.language"].judged
    assert not found["inputs.language"].alarm


def test_equal_texts_have_equal_codes_in_every_sample() -> None:
    one, two = text_codes(["a", "b", "a"]), text_codes(["b", "é", ""])
    assert one[0] == one[2] != one[1] == two[0]
    assert len({*one, *two}) == 4


def joined(one: Sample, two: Sample) -> Sample:
    def both(name: str) -> object:
        return np.concatenate([getattr(one, name), getattr(two, name)])

    arrays = {name: both(name) for name in ("texts", "embeddings", "confidence", "prediction", "correct", "audit_probability")}
    kinds = {
        name: {key: np.concatenate([getattr(one, name)[key], getattr(two, name)[key]]) for key in getattr(one, name)}
        for name in ("numbers", "categories", "flags")
    }
    return Sample(**arrays, **kinds)  # type: ignore[arg-type]
