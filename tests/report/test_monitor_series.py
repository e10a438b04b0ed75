"""Drawings over time: places in per cent, gaps that stay gaps, names that stay names."""

from __future__ import annotations

import re

import pytest

from tasks.report.draw import lanes, series
from tasks.report.draw.series import Dot, Plane

XS = (0.0, 100.0)
PLANE = Plane(XS, (0.0, 1.0), 100)


def dots(*values: float | None) -> list[Dot]:
    return [
        Dot(10.0 * n, value, None if value is None else value - 0.1, None if value is None else value + 0.1)
        for n, value in enumerate(values)
    ]


def test_a_gap_breaks_line_and_band() -> None:
    drawn = series.trend_chart(dots(0.1, 0.2, None, 0.3, 0.4), PLANE, (0.5, None), "x")
    path = re.search(r'class="line tone-0" d="([^"]*)"', drawn)
    assert path is not None and path[1].count("M") == 2
    assert drawn.count("<polygon") == 2


def test_a_single_look_is_a_dot_with_a_whisker() -> None:
    drawn = series.trend_chart(dots(0.4), PLANE, (0.5, None), "x")
    assert 'class="line tone-0"' not in drawn and "<polygon" not in drawn
    assert 'class="whisker"' in drawn and "<circle" in drawn


def test_of_many_looks_only_alarms_and_the_last_are_marked() -> None:
    many = [Dot(n / 2, 0.2, tone="bad" if n == 50 else "good") for n in range(200)]
    drawn = series.trend_chart(many, PLANE, (0.5, None), "x")
    assert drawn.count('class="alarm"') == 1 and drawn.count("<circle") == 1


def test_what_matters_below_is_tinted_too() -> None:
    assert series.trend_chart(dots(-0.4, -0.5), Plane(XS, (-1.0, 1.0), 100), (0.2, -0.2), "x").count('class="beyond"') == 2


def test_columns_of_a_strip_are_as_tall_as_the_effect_and_no_taller_than_twice_the_minimum() -> None:
    drawn = series.effect_strip(
        [(0.5, "good", "a"), (1.0, "hold", "b"), (9.0, "bad", "c"), (None, "none", "d"), (-3.0, "good", "e")], "x", height=20
    )
    assert [float(h) for h in re.findall(r'class="cell \w+"[^>]* height="([\d.]+)"', drawn)] == [5.0, 10.0, 20.0, 2.0, 2.0]


@pytest.mark.parametrize("text", ["</svg><script>", '" onload="x'])
def test_names_from_data_are_escaped(text: str) -> None:
    dot = [Dot(1.0, 0.5, 0.4, 0.6, "bad", text)]
    drawings = [
        series.trend_chart(dot, PLANE, (0.1, None), text),
        series.level_chart(dot, dot, dot[0], PLANE, text),
        series.effect_strip([(1.0, "bad", text)], text),
        lanes.version_lane([lanes.ServedSpan(0.0, 90.0, text, "past", text)], XS, [5.0], text),
        lanes.event_marks([(1.0, "bad", text, text)], XS, [], text),
        lanes.look_marks([(1.0, True, text)], XS, [], text),
    ]
    for drawn in drawings:
        assert "<script" not in drawn and '" onload' not in drawn


def test_a_name_stands_in_its_span_only_where_it_fits() -> None:
    drawn = lanes.version_lane(
        [lanes.ServedSpan(0.0, 1.0, "v100", "past", "t"), lanes.ServedSpan(1.0, 100.0, "v2", "past", "t")], XS, [], "x"
    )
    assert ">v2</text>" in drawn and ">v100</text>" not in drawn
