"""The page of a look: one file, safe with any text, whole without any part, plain about what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from monitor_samples import EVERY, decay, drift, few, first, life, quiet, unjudged
from page_reader import HOSTILE, holds_together, read_page, same_tags, with_every_text

from tasks.report.monitor.data import Level, LookReport, LookRow
from tasks.report.monitor.page import render_look


def text_of(watch: LookReport) -> str:
    return " ".join("".join(read_page(render_look(watch)).text).split())


@pytest.mark.parametrize("name", EVERY)
def test_every_look_is_one_well_formed_page_without_script_or_network(name: str) -> None:
    holds_together(render_look(EVERY[name]()))


@pytest.mark.parametrize("make", [drift, decay, unjudged])
def test_no_text_from_data_can_become_markup(make: object) -> None:
    watch = make()  # type: ignore[operator]
    same_tags(render_look(with_every_text(watch, "h" * len(HOSTILE))), render_look(with_every_text(watch, HOSTILE)))


def test_times_that_stay_times_and_hostile_words_leave_the_charts_whole() -> None:
    watch = drift()
    words = replace(watch.words, more=tuple(replace(one, name=HOSTILE) for one in watch.words.more)) if watch.words else None
    notes = tuple(
        replace(look, findings=tuple(replace(one, note=HOSTILE, monitor=one.monitor) for one in look.findings))
        for look in watch.looks
    )
    holds_together(render_look(replace(watch, words=words, looks=notes)))


@pytest.mark.parametrize(
    ("make", "word", "tone", "sentence"),
    [
        (drift, "DRIFT", "hold", "Drift in topics, average meaning and 2 more since"),
        (decay, "DECAY", "bad", "Accuracy has fallen since"),
        (quiet, "QUIET", "good", "None of 12 monitors found a change worth an alarm."),
        (first, "QUIET", "good", "None of 11 monitors found a change worth an alarm."),
        (unjudged, "NOT JUDGED", "wait", "Too few answers to say whether anything changed."),
    ],
)
def test_the_verdict_is_said_in_word_tone_and_sentence(make: object, word: str, tone: str, sentence: str) -> None:
    watch = make()  # type: ignore[operator]
    assert word in text_of(watch) and sentence in text_of(watch)
    assert ("body", {"class": tone}) in read_page(render_look(watch)).tags


def test_version_look_and_alpha_stand_in_the_header() -> None:
    head = " ".join("".join(read_page(render_look(drift()).split("</header>")[0].split("<header>")[1]).text).split())
    for said in (
        "look 60",
        "60 of 365 planned",
        "version 1",
        "604 against 600 of the reference",
        "a year, all monitors together",
        "p ≤ 0.000011 each",
    ):
        assert said in head, said


def test_every_alarm_is_a_diamond_on_its_track() -> None:
    watch = drift()
    alarms = sum(len(look.alarms) for look in watch.looks)
    assert alarms > 20
    assert render_look(watch).count('class="alarm"') == alarms


def test_a_repeated_text_is_shown_once_with_its_number() -> None:
    text = text_of(drift())
    assert "214 near copies, shown once" in text


def test_changed_words_are_marked_in_the_examples() -> None:
    marks = render_look(drift()).split("<mark>")[1:]
    assert {mark.split("</mark>")[0].lower() for mark in marks} >= {"otter", "lagoon", "crate", "mesh"}


def test_what_was_not_judged_says_why_and_is_no_good_news() -> None:
    text = text_of(unjudged())
    assert "41 rows in the window, fewer than 100" in text
    assert "Not judged: accuracy on labels. Silence of these is no good news." in text_of(first())


def test_a_storm_of_requests_is_told_once() -> None:
    watch = drift()
    storm = tuple(replace(watch.requests[1], id=str(n), note="cooldown until 9 Sep") for n in range(50))
    told = render_look(replace(watch, requests=storm)).split('<section id="done">')[1]
    assert told.count("cooldown until 9 Sep") == 1 and "50 times" in told


def test_a_request_for_the_alarm_that_lasts_stands_beside_the_verdict() -> None:
    watch = drift()
    head = render_look(watch).split("</header>")[0]
    assert "A retraining was started and is running." in head
    old = replace(watch.requests[0], at="2025-07-04T00:00:00+00:00")
    assert "the champion stays" not in render_look(replace(watch, requests=(old,))).split("</header>")[0]


def test_a_thousand_looks_stay_a_small_page() -> None:
    looks = life(1_000, 900, {"inputs.topics": 0.3})
    html = render_look(replace(drift(), looks=looks))
    assert len(html) < 900_000
    assert "Each bar is the worst of about 12 looks" in html


def test_a_look_without_alarms_says_what_was_nearest_and_when_one_was_last() -> None:
    watch = quiet()
    loud = next(look for look in drift().looks if look.alarms)
    assert "The nearest to an alarm is" in text_of(watch)
    before: tuple[LookRow, ...] = (replace(watch.looks[0], findings=loud.findings), *watch.looks[1:])
    assert "The last alarm was at look 1" in text_of(replace(watch, looks=before))


def test_only_safe_addresses_become_links() -> None:
    watch = replace(few(), history="javascript:alert(1)", model_report="//evil.example/x")
    hrefs = [attrs.get("href") or "" for tag, attrs in read_page(render_look(watch)).tags if tag == "a"]
    assert not [href for href in hrefs if "alert" in href or "evil" in href]


def test_a_share_that_nothing_at_release_measured_is_shown_with_its_interval_and_said_to_raise_no_alarm() -> None:
    audit = Level(at=quiet().looks[-1].at, value=0.75, kind="audit", low=0.598, high=0.858, n=40)
    text = text_of(replace(quiet(), metric="accepted_answers", levels=(audit,)))
    assert "Accepted answers on 40 audited answers" in text and "Shown, never an alarm" in text
    assert "Shown, never an alarm" not in text_of(quiet())


def test_equal_data_give_equal_pages() -> None:
    assert render_look(drift()) == render_look(drift())
