"""A look in a few lines: rectangular, escaped, and of one mind with the page."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from monitor_samples import EVERY, drift, least

from tasks.report.monitor.page import render_look
from tasks.report.monitor.summary import look_markdown, look_table


@pytest.mark.parametrize("name", EVERY)
def test_every_table_has_as_many_cells_in_each_row(name: str) -> None:
    watch = EVERY[name]()
    assert len({len(row) for row in look_table(watch)}) <= 1
    for block in look_markdown(watch).split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_the_terminal_shows_the_numbers_of_the_page() -> None:
    page = unescape(render_look(drift())).replace("\u202f", " ")
    for title, effect, band, *_ in look_table(drift())[1:]:
        assert title in page and effect in page and band in page


def test_the_markdown_says_verdict_words_and_what_was_done() -> None:
    text = look_markdown(drift())
    for said in ("## ≠ DRIFT: helpdesk", "otter (0.0", "A retraining was started and is running.", "Next: `tunekeeper"):
        assert said in text, said


def test_names_cannot_break_the_table_or_become_markup() -> None:
    watch = drift()
    assert watch.words is not None
    hostile = replace(watch.words, more=(replace(watch.words.more[0], name="<img src=x>|`\n# big"),))
    text = look_markdown(replace(watch, words=hostile, pipeline="a|b"))
    assert "<img" not in text and "\n# big" not in text and "a\\|b" in text


def test_a_look_of_nothing_gives_no_table() -> None:
    assert look_table(least()) == []
