"""What the page of a look works out: since when, how sure, what was asked and what came of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from monitor_samples import drift, life, quiet

from tasks.report.draw import formats, times
from tasks.report.monitor import changed_texts, monitor_names, request_story, tracks, view
from tasks.report.monitor.data import ChangeRow, FindingRow, LookReport, LookRow, RequestStory, from_json, look_of, to_json


def looks_of(alarms: str) -> LookReport:
    """One look a letter: a alarm, q quiet, n not judged."""
    made = {
        "a": FindingRow(monitor="inputs.topics", effect=0.3, minimum=0.1, p=1e-9, alpha=1e-5, alarm=True),
        "q": FindingRow(monitor="inputs.topics", effect=0.02, minimum=0.1, p=1.0, alpha=1e-5),
        "n": FindingRow(monitor="inputs.topics", minimum=0.1, note="not judged: 3 rows"),
    }
    looks = tuple(
        LookRow(number=n, at=f"2026-03-{n:02d}T00:00:00+00:00", start="", end="", rows=9, findings=(made[letter],))
        for n, letter in enumerate(alarms, start=1)
    )
    return LookReport(
        pipeline="p", problem="text-classification", created="", version="1", looks=looks, looks_per_year=52, alpha=0.05
    )


@pytest.mark.parametrize(("track", "number"), [("qqaa", 3), ("aqa", 3), ("aana", 1), ("naa", 2), ("qqa", 3)])
def test_since_is_the_first_look_of_the_unbroken_alarm(track: str, number: int) -> None:
    first = view.alarm_start(looks_of(track), ["inputs.topics"])
    assert first is not None and first.number == number


def test_an_alarm_that_is_over_is_no_drift_now() -> None:
    watch = looks_of("qaaq")
    assert view.look_verdict(watch).word == "QUIET"
    assert view.alarm_start(watch, ["inputs.topics"]) is None


def test_a_change_beyond_the_minimum_that_may_be_chance_is_neither_quiet_nor_an_alarm() -> None:
    watch = looks_of("q")
    doubtful = replace(watch.looks[0], findings=(FindingRow(monitor="inputs.topics", effect=0.2, minimum=0.1, p=0.03, alpha=1e-5),))
    verdict = view.look_verdict(replace(watch, looks=(doubtful,)))
    assert (verdict.word, verdict.tone) == ("NO ALARM YET", "wait")
    assert "Topics may have changed, or it is chance" in verdict.headline


def test_a_gain_of_accuracy_is_no_change_that_matters() -> None:
    gain = FindingRow(monitor="performance.accuracy", effect=-0.2, minimum=0.05, p=1.0, alpha=1e-5)
    assert tracks.finding_mark(gain)[2] == "quiet"
    longer = FindingRow(monitor="inputs.length", effect=-0.5, minimum=0.2, p=0.2, alpha=1e-5)
    assert tracks.finding_mark(longer)[2] == "not sure"


def test_bins_keep_every_stretch_with_an_alarm() -> None:
    looks = life(400, None, {})
    loud = replace(looks[200], findings=tuple(replace(one, alarm=True) for one in looks[200].findings))
    found = tracks.binned_looks((*looks[:200], loud, *looks[201:]), "inputs.topics")
    assert len(found) == tracks.MOST_COLUMNS
    assert [look.number for look, one in found if one is not None and one.alarm] == [201]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (RequestStory(at="", why="drift", state="running"), "A retraining was started and is running."),
        (RequestStory(at="", why="drift", state="done", verdict="PROMOTE", version="5"), "Version 5 was trained and promoted."),
        (RequestStory(at="", why="drift", state="coalesced"), "A retraining was already under way, so no second one was started."),
        (
            RequestStory(at="", why="decay", state="refused", note="cooldown until 9 Sep"),
            "No retraining was started: cooldown until 9 Sep.",
        ),
        (
            RequestStory(at="", why="schedule", state="waiting", note="`a` is gone"),
            "The data break their contract, and the retraining waits until one of the two is mended: `a` is gone.",
        ),
        (RequestStory(at="", why="decay", state="failed", note="no disk space."), "The retraining failed: no disk space."),
        (RequestStory(at="", why="decay", state="odd"), "Odd."),
    ],
)
def test_every_outcome_of_a_request_is_a_sentence(request_: RequestStory, said: str) -> None:
    assert request_story.request_outcome(request_) == said


def test_a_run_of_its_own_is_never_folded_into_another() -> None:
    one = RequestStory(at="2026-01-01", why="drift", state="done", run_id="a")
    assert len(request_story.merged_requests([one, replace(one, run_id="b")])) == 2


def test_how_much_more_often_a_word_is_said() -> None:
    base = ChangeRow(name="x", n_reference=10, n_window=40, reference=0.05, window=0.2)
    assert changed_texts.times_as_often(base) == "×4.0"
    assert changed_texts.times_as_often(replace(base, n_reference=0, reference=0.0)) == "new"
    assert changed_texts.times_as_often(replace(base, n_window=0, window=0.0)) == "gone"


def test_marked_words_give_the_text_back_whole() -> None:
    parts = changed_texts.marked_pieces("Otter's dock, the otters dock!", ["otter", "dock", "a.b(", "<EMAIL_ADDRESS>"])
    assert "".join(part for part, _ in parts) == "Otter's dock, the otters dock!"
    assert [part for part, hit in parts if hit] == ["Otter", "dock", "dock"]


def test_an_unknown_monitor_is_shown_under_its_own_name_after_the_known_of_its_group() -> None:
    assert monitor_names.in_order({"performance.accuracy", "inputs.odd_thing", "inputs.topics", "zeta"}) == [
        "inputs.topics",
        "inputs.odd_thing",
        "performance.accuracy",
        "zeta",
    ]
    assert monitor_names.monitor_of("inputs.odd_thing").title == "Odd thing"


def test_amounts_carry_their_unit_and_a_true_minus() -> None:
    thin = formats.THIN
    assert monitor_names.effect_text(-0.123, "share") == f"−12.3{thin}points"
    assert monitor_names.effect_text(0.0001, "deviation") == f"0.00{thin}SD"
    assert monitor_names.effect_text(-0.0001, "share") == f"0.0{thin}points"
    assert monitor_names.effect_text(math.nan, "number") == "–"


def test_a_look_comes_from_its_payload_and_unknown_keys_are_left() -> None:
    payload = {
        "findings": [{"monitor": "inputs.topics", "effect": None, "p": None, "later": 1}],
        "rows": 7,
        "window": ["2026-01-01", "2026-01-08"],
        "version": 3,
        "report": None,
    }
    look = look_of(2, "2026-01-08", payload)
    assert (look.version, look.rows, look.findings[0].monitor, look.report) == ("3", 7, "inputs.topics", "")


def test_what_is_stored_comes_back_equal() -> None:
    for watch in (drift(), quiet()):
        assert from_json(to_json(watch)) == watch


def test_dates_are_said_as_people_say_them() -> None:
    assert times.moment_text("2026-10-03T09:40:00+02:00") == "3 Oct 2026, 07:40 UTC"
    assert times.day_text("no date") == "no date"
    assert [times.span_text(s) for s in (60, 3600 * 5, 86_400, 86_400 * 42, 86_400 * 365, None)] == [
        "1 minute",
        "5 hours",
        "1 day",
        "42 days",
        "12 months",
        "–",
    ]


@pytest.mark.parametrize("days", [0.2, 1, 3, 10, 40, 200, 800, 4000])
def test_an_axis_of_time_has_a_few_round_marks(days: float) -> None:
    start = 1_760_000_000.0
    found = times.time_ticks(start, start + days * times.DAY, 6)
    assert 2 <= len(found) <= 7
    assert all(start <= at <= start + days * times.DAY for at, _ in found)
