"""Charts are well-formed whatever the numbers, place values where they belong, and escape names."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.report.draw import charts
from tasks.report.draw.charts import Estimate

NAME = "a<script>\"&'"
anything = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
finite = st.floats(-1e9, 1e9)


def parsed(drawing: str) -> ElementTree.Element:
    assert "nan" not in re.sub(r">[^<]*<", "><", drawing).lower(), drawing
    return ElementTree.fromstring(drawing)


@settings(max_examples=150, deadline=None)
@given(value=anything, low=anything, high=anything, mark=anything, a=finite, b=finite)
def test_row_charts_stand_any_number(
    value: float | None, low: float | None, high: float | None, mark: float | None, a: float, b: float
) -> None:
    domain = (min(a, b), max(a, b))
    parsed(charts.interval_chart(Estimate(value, low, high), domain, "champion", NAME))
    parsed(charts.difference_chart(Estimate(value, low, high), domain, "good", 0.01, NAME))
    parsed(charts.bar_chart(Estimate(value, low, high), mark, domain, NAME))
    parsed(charts.axis_labels(domain, str))


@settings(max_examples=150, deadline=None)
@given(a=finite, width=st.floats(1e-6, 1e9), wanted=st.integers(2, 8))
def test_ticks_lie_inside_and_are_about_as_many_as_wanted(a: float, width: float, wanted: int) -> None:
    domain = (a, a + width)
    found = charts.ticks(domain, wanted)
    slack = 1e-6 * max(abs(a), width, 1.0)
    assert all(domain[0] - slack <= tick <= domain[1] + slack for tick in found)
    assert len(found) <= wanted + 1


def test_ticks_are_round() -> None:
    assert charts.ticks((0.03, 0.97), 5) == [0.2, 0.4, 0.6, 0.8]
    assert charts.ticks((-0.012, 0.047), 5) == [0.0, 0.02, 0.04]
    assert charts.ticks((3.0, 3.0)) == [3.0]


def test_a_value_is_drawn_in_proportion() -> None:
    drawing = parsed(charts.interval_chart(Estimate(0.75, 0.5, 1.0), (0.0, 1.0), "challenger", "x"))
    dot = drawing.find(".//circle")
    assert dot is not None and dot.get("cx") == "75.00%"
    line = drawing.find(".//g/line")
    assert line is not None and (line.get("x1"), line.get("x2")) == ("50.00%", "100.00%")


def test_a_value_beyond_the_axis_becomes_an_arrow_and_no_dot() -> None:
    drawing = charts.interval_chart(Estimate(0.1, 0.05, 0.15), (0.7, 1.0), "baseline", "x")
    assert "arrow" in drawing and "<circle" not in drawing


def test_a_domain_shows_all_and_heeds_its_bounds() -> None:
    low, high = charts.domain_of([0.9, None, math.nan, 0.99], floor=0.0, ceiling=1.0)
    assert low < 0.9 and 0.99 < high <= 1.0
    assert charts.domain_of([]) == (0.0, 1.0)
    low, high = charts.domain_of([5.0, 5.0])
    assert low < 5 < high


def test_a_chart_without_a_label_is_hidden_from_readers_and_one_with_is_named() -> None:
    assert parsed(charts.bar_chart(Estimate(0.5))).get("aria-hidden") == "true"
    named = parsed(charts.bar_chart(Estimate(0.5), label=NAME))
    title = named.find("title")
    assert named.get("aria-label") == NAME and title is not None and title.text == NAME


def test_the_parts_of_a_stack_fill_it() -> None:
    drawing = parsed(charts.stacked_bar([(NAME, 3, "tone-0"), ("b", 1, "tone-1")], "rows"))
    widths = [float(rect.get("width", "")[:-1]) for rect in drawing.findall("rect")]
    assert widths == [75.0, 25.0]
    assert charts.stacked_bar([("a", 0, "tone-0")], "rows") == ""


@pytest.mark.parametrize("margin", [0.0, 0.01])
def test_the_margin_is_drawn_only_where_there_is_one(margin: float) -> None:
    assert ('class="margin"' in charts.difference_chart(Estimate(0.01, 0.0, 0.02), (-0.05, 0.05), "good", margin)) == bool(margin)
