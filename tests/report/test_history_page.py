"""The page of a model's life: one file, safe with any text, whole without any part, true to the ledger."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from history_samples import EVERY, first, generation, story, vacant, year
from page_reader import HOSTILE, holds_together, read_page, same_tags, with_every_text

from tasks.report.history.data import History, MoveRow, from_json, to_json
from tasks.report.history.page import render_history
from tasks.report.history.summary import history_markdown, history_table
from tasks.report.history.view import cost_totals, monitored_versions, newest_first, served_seconds, serving_periods, version_state


def text_of(history: History) -> str:
    return " ".join("".join(read_page(render_history(history)).text).split())


@pytest.mark.parametrize("name", EVERY)
def test_every_history_is_one_well_formed_page_without_script_or_network(name: str) -> None:
    holds_together(render_history(EVERY[name]()))


@pytest.mark.parametrize("make", [story, year])
def test_no_text_from_data_can_become_markup(make: object) -> None:
    history = make()  # type: ignore[operator]
    same_tags(render_history(with_every_text(history, "h" * len(HOSTILE))), render_history(with_every_text(history, HOSTILE)))


def test_who_served_when_follows_the_applied_moves_alone() -> None:
    history = story()
    never = MoveRow(epoch=4, kind="PROMOTE", from_version="1", to_version="2", at=history.created, state="abandoned")
    found = serving_periods(replace(history, moves=(*history.moves, never)))
    assert [(one.version, one.current, one.taken_back) for one in found] == [
        ("1", False, False),
        ("2", False, True),
        ("1", True, False),
    ]
    assert served_seconds(history, "1") == pytest.approx((9 + 1) * 86_400, abs=1)
    assert version_state(history, "2")[2] == "taken back" and version_state(history, "1")[2] == "serves now"


def test_a_model_whose_alias_was_taken_off_is_served_by_nobody() -> None:
    history = vacant()
    assert not [one for one in serving_periods(history) if one.current]
    assert "No version serves." in text_of(history) and "NO CHAMPION" in text_of(history)


def test_the_whole_life_is_counted() -> None:
    text = text_of(year())
    for said in (
        "52 versions trained since 24 Nov 2025",
        "9 promoted",
        "2 rollbacks and 1 move made outside Tunekeeper",
        "11 alarms",
    ):
        assert said in text, said


def test_cost_is_summed_with_what_never_served() -> None:
    history = story()
    spent = cost_totals(replace(history, moves=history.moves[:1]))
    assert spent.seconds == pytest.approx(sum(one.training_seconds or 0 for one in history.versions))
    assert spent.unused == history.versions[1].training_seconds
    assert spent.peak_bytes == max(one.peak_memory_bytes or 0 for one in history.versions)


def test_verdicts_come_with_reasons_and_links_and_the_newest_first() -> None:
    history = story()
    assert [one.version for one in newest_first(history)] == ["2", "1"]
    html = render_history(history)
    assert 'href="run-2/report.html"' in html
    assert "Guards: 15 slices" in html


def test_many_versions_are_folded_and_none_is_lost() -> None:
    text = text_of(year())
    assert "40 earlier versions" in text
    for number in range(1, 53):
        assert re.search(rf"version {number}\b", text)


def test_monitors_are_told_by_version() -> None:
    found = {one.version: one for one in monitored_versions(story())}
    assert (found["1"].looks, found["1"].alarms, found["1"].monitors) == (8, 1, ("inputs.topics", "inputs.vocabulary"))


def test_a_metric_that_is_better_when_lower_says_so() -> None:
    assert "lower is better" in text_of(generation()) and "perplexity" in text_of(generation())


def test_a_first_release_has_no_empty_headings() -> None:
    ids = {attrs.get("id") for _, attrs in read_page(render_history(first())).tags if attrs.get("id")}
    assert ids == {"line", "versions", "moves", "cost"}


def test_what_is_stored_comes_back_equal() -> None:
    for history in (year(), story()):
        assert from_json(to_json(history)) == history


@pytest.mark.parametrize("name", EVERY)
def test_the_few_lines_are_rectangular_and_of_one_mind_with_the_page(name: str) -> None:
    history = EVERY[name]()
    rows = history_table(history)
    assert len({len(row) for row in rows}) <= 1
    page = unescape(render_history(history)).replace("\u202f", " ")
    for version, _, _, value, *_ in rows[1:]:
        assert f"version {version}" in page and value in page
    for block in history_markdown(history).split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_a_reason_cannot_become_markup_in_markdown() -> None:
    history = story()
    move = replace(history.moves[-1], reason="<b>|`\n# big", who="a*b")
    text = history_markdown(replace(history, moves=(move,)))
    assert "<b>" not in text and "\n# big" not in text and "a\\*b" in text
