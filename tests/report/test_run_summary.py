"""The few lines for Prefect and for the terminal: rectangular, escaped, and of one mind with the page."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from run_samples import EVERY, banking, classification, least

from tasks.report.run.page import render_report
from tasks.report.run.summary import summary_markdown, terminal_table


@pytest.mark.parametrize("name", EVERY)
def test_every_table_has_as_many_cells_in_each_row(name: str) -> None:
    report = EVERY[name]()
    assert len({len(row) for row in terminal_table(report)}) <= 1
    for block in summary_markdown(report).split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_names_cannot_break_the_table_or_become_markup() -> None:
    report = classification()
    hostile = replace(report.systems[0], name="a | b\n<script>*x*`")
    text = summary_markdown(replace(report, systems=(hostile,), reasons=("<img src=x>\n# big",)))
    assert "<script>" not in text
    assert "a \\| b &lt;script&gt;\\*x\\*\\`" in text
    assert "\n# big" not in text


def test_the_terminal_shows_the_numbers_of_the_page() -> None:
    report = classification()
    page = re.sub(r"[\u202f]", " ", unescape(render_report(report)))
    for row in terminal_table(report)[1:]:
        for cell in row[1:]:
            assert cell in page


def test_the_markdown_names_verdict_vetoes_and_next_command() -> None:
    text = summary_markdown(banking())
    assert "HOLD: banking77" in text
    assert "recall of card\\_declined" in text
    assert "✕ harm shown" in text
    assert "Next: `tunekeeper" in text


def test_a_report_of_almost_nothing_gives_no_table() -> None:
    assert terminal_table(least()) == []
    assert "|" not in summary_markdown(least())
