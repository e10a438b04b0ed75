"""Curves, reliability and heatmap: well-formed, complete, and small where the run was long."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from tasks.report.draw import plots

NAME = "a<script>\"&'"


def test_a_long_curve_is_thinned_to_means_that_keep_its_level() -> None:
    points = [(float(step), 5.0 + (-1.0) ** step) for step in range(10_000)]
    thinned = plots.thin_points(points)
    assert len(thinned) == 240
    assert sum(y for _, y in thinned) / 240 == pytest.approx(5.0, abs=0.01)
    assert thinned[-1][0] == 9999.0


def test_a_short_curve_is_left_as_it_is_but_for_what_is_not_known() -> None:
    assert plots.thin_points([(1.0, 2.0), (2.0, None), (3.0, math.nan), (4.0, 1.0)]) == [(1.0, 2.0), (4.0, 1.0)]


def test_curves_share_axes_and_differ_in_dash() -> None:
    drawing = ElementTree.fromstring(plots.line_chart([(NAME, [(1, 2.0), (2, 1.0)]), ("b", [(1, 3.0), (2, 2.0)])], str, "loss"))
    found = drawing.findall("polyline")
    assert [line.get("stroke-dasharray") for line in found] == [None, "6 4"]
    title = found[0].find("title")
    assert title is not None and title.text == NAME


@pytest.mark.parametrize("points", [[], [(1.0, None)], [(1.0, math.nan)]])
def test_no_point_no_chart(points: list[tuple[float, float | None]]) -> None:
    assert plots.line_chart([("a", points)], str, "loss") == ""


@pytest.mark.parametrize("points", [[(0.0, 0.0)], [(5.0, 1.0)], [(1.0, 1.0), (1.0, 1.0)]])
def test_a_single_point_is_drawn(points: list[tuple[float, float | None]]) -> None:
    ElementTree.fromstring(plots.line_chart([("a", points)], str, "loss"))


def test_reliability_draws_bins_that_hold_rows_and_skips_the_empty() -> None:
    bins = [(0.0, 0.5, 0, None, None, None, None), (0.5, 1.0, 10, 0.8, 0.7, 0.5, 0.9)]
    drawing = ElementTree.fromstring(plots.reliability_chart(bins, "calibration"))
    assert len(drawing.findall("circle")) == 1
    assert [line.get("class") for line in drawing.findall("line")].count("spread") == 1
    assert plots.reliability_chart([(0.0, 1.0, 0, None, None, None, None)], "calibration") == ""


def test_a_heatmap_has_one_cell_for_each_count_and_numbers_while_they_can_be_read() -> None:
    small = ElementTree.fromstring(plots.confusion_heatmap(["a", NAME, "c"], [[3, 1, 0], [0, 4, 0], [0, 0, 0]], "confusion"))
    assert [text.text for text in small.findall("text") if text.get("class") in ("ink", "ink-on")] == ["3", "1", "4"]
    assert [rect.get("class") for rect in small.findall("rect")] == ["ground", "right", "wrong", "right"]
    names = [f"class {n}" for n in range(77)]
    large = ElementTree.fromstring(
        plots.confusion_heatmap(names, [[int(i == j) for j in range(77)] for i in range(77)], "confusion")
    )
    assert len(large.findall("rect")) == 78
    assert not [text for text in large.findall("text") if text.get("class") in ("ink", "ink-on")]


def test_a_heatmap_of_no_class_is_still_a_drawing() -> None:
    ElementTree.fromstring(plots.confusion_heatmap([], [], "confusion"))


def test_a_place_on_the_axis_is_marked_in_words_and_one_beyond_it_is_not() -> None:
    curve = [("a", [(1.0, 2.0), (2.0, 1.0), (3.0, 1.5)])]
    drawn = plots.line_chart(curve, str, "loss", "epoch", (2.0, "epoch 2 is kept"))
    mark = ElementTree.fromstring(drawn).find("line[@class='marked']")
    point = ElementTree.fromstring(drawn).findall("circle")[1]
    assert mark is not None and mark.get("x1") == mark.get("x2") == point.get("cx") and ">epoch 2 is kept<" in drawn
    assert "marked" not in plots.line_chart(curve, str, "loss", "epoch", (9.0, "epoch 9 is kept"))
    assert ">1.5<" not in plots.line_chart([("a", [(1.0, 2.0), (2.0, 1.0)])], lambda _: "", "loss", "epoch")
