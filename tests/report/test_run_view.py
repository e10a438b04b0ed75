"""Orders and sentences that the page shows."""

from __future__ import annotations

from dataclasses import replace

from run_samples import banking, classification, first_release, generation, inconclusive, least

from tasks.report.run import view
from tasks.report.run.page import render_report
from tasks.report.run.rows import ClassRow, Confusion


def test_the_challenger_comes_first_then_the_champion_and_the_better_baseline_before_the_worse() -> None:
    assert [system.name for system in view.ordered_systems(classification())] == [
        "challenger",
        "champion",
        "TF-IDF + logistic regression",
        "nearest class centroid",
        "majority class",
    ]


def test_where_less_is_better_the_lower_baseline_comes_first() -> None:
    report = generation()
    worse = replace(report.systems[1], name="worse", scores=(replace(report.systems[1].scores[0], value=500.0),))
    ordered = view.ordered_systems(replace(report, systems=(worse, *report.systems)))
    assert [system.name for system in ordered] == ["challenger", "base model", "worse"]


def test_a_rule_that_is_no_opponent_comes_last_and_the_page_shows_what_it_has() -> None:
    report = generation()
    rule = replace(report.systems[1], name="lead-3", scores=(replace(report.systems[1].scores[0], metric="rouge_1", value=0.31),))
    report = replace(report, systems=(rule, *report.systems))
    assert [system.name for system in view.ordered_systems(report)][-1] == "lead-3"
    page = render_report(replace(report, generations=(replace(report.generations[0], scores={"bleu": 0.256, "ter": 1.21}),)))
    assert "ROUGE-1" in page and "BLEU 25.6" in page and "TER 121.0" in page and "lead-3" in page


def test_each_verdict_says_what_it_does_to_the_champion() -> None:
    assert view.report_headline(classification()) == "Version 4 replaces version 3 as champion"
    assert view.report_headline(first_release()) == "Version 1 becomes the first champion"
    assert view.report_headline(banking()) == "Version 3 stays champion"
    assert view.report_headline(inconclusive()) == "Not enough evidence: version 3 stays champion"
    assert view.report_headline(least()) == "Not enough evidence: there is no champion yet"
    assert view.report_headline(replace(least(), verdict="HOLD")) == "Nothing is released: there is no champion yet"
    adopted = replace(classification(), verdict="ADOPTED")
    assert view.report_headline(adopted) == "Version 4, fine-tuned elsewhere, replaces version 3 as champion"
    assert view.report_headline(replace(adopted, champion_version=None)) == "Version 4, fine-tuned elsewhere, becomes champion"


def test_the_page_of_an_adopted_version_and_of_a_first_release_say_what_was_asked_of_it() -> None:
    adopted = render_report(replace(classification(), verdict="ADOPTED", rule="adopted"))
    assert "No rule: a person adopted this version, and nothing was tested" in adopted and "ADOPTED" in adopted
    assert "a first release must be better than the trivial baseline" in render_report(replace(first_release(), rule="useful"))


def test_a_far_baseline_does_not_squeeze_the_axis() -> None:
    low, high = view.score_domain(classification())
    assert low > 0.5 and high <= 1.0


def test_a_guard_that_fired_is_the_first_to_be_seen() -> None:
    guards = view.urgent_first([one for one in banking().comparisons if one.kind == "guard"])
    assert guards[0].outcome == "harm shown"
    assert guards[-1].outcome == "too few rows"


def test_confused_pairs_are_ordered_by_the_rows_they_cost() -> None:
    pairs = view.most_confused(Confusion(labels=("a", "b", "c"), counts=((9, 1, 0), (5, 5, 0), (0, 1, 1))))
    assert [(pair.true, pair.predicted, pair.n, pair.of) for pair in pairs] == [
        ("b", "a", 5, 10),
        ("c", "b", 1, 2),
        ("a", "b", 1, 10),
    ]


def test_the_worst_class_comes_first_and_an_unknown_one_last() -> None:
    classes = [ClassRow(name=name, n=1, recall=recall) for name, recall in (("a", None), ("b", 0.9), ("c", 0.1))]
    assert [one.name for one in view.worst_first(classes)] == ["c", "b", "a"]


def test_the_header_axis_leaves_room_for_the_side_where_the_challenger_is_worse() -> None:
    low, high = view.difference_domain([classification().comparisons[0]], 0.3)
    assert -low / (high - low) >= 0.29
