"""Lanes of a time line as inline SVG: what served when, what happened, when it was looked at. As series.py: fluid, pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from tasks.report.draw.charts import Domain, drawn_at, row_drawing
from tasks.report.draw.series import Dot, Plane, Tone, diamond_mark, interval_whiskers, levels_grid, measured_points, place_dots


@dataclass(frozen=True)
class ServedSpan:
    """A stretch of a lane: `name` is written into it where there is room."""

    start: float
    end: float
    name: str
    tone: str
    title: str


def version_lane(spans: Sequence[ServedSpan], xs: Domain, changes: Sequence[float], label: str, height: int = 34) -> str:
    """Which version served when: one block each, its name in it where there is room."""
    body = change_lines(changes, xs, height)
    for span in spans:
        start, end = place_dots(span.start, xs), place_dots(span.end, xs)
        body += (
            f'<g class="span {span.tone}"><title>{escape(span.title)}</title>'
            f'<rect x="{100 * start:.2f}%" y="4" width="{max(100 * (end - start), 0.3):.2f}%" height="{height - 8}" rx="4"/>'
        )
        if end - start > 0.012 * (len(span.name) + 1.5):
            body += f'<text x="{50 * (start + end):.2f}%" y="{height / 2 + 4.5}" text-anchor="middle">{escape(span.name)}</text>'
        body += "</g>"
    return row_drawing(height, body, label)


def event_marks(
    marks: Sequence[tuple[float, Tone, str, str]], xs: Domain, changes: Sequence[float], label: str, height: int = 30
) -> str:
    """Signs on a lane: (time, tone, sign, title). The sign says what the colour says."""
    middle = height / 2
    body = change_lines(changes, xs, height) + f'<line class="rail" x1="0" x2="100%" y1="{middle}" y2="{middle}"/>'
    for at, tone, sign, title in marks:
        body += (
            f'<svg x="{drawn_at(at, xs)}" y="{middle}" overflow="visible"><g class="event {tone}"><title>{escape(title)}</title>'
            f'<circle r="9"/><text y="4.5" text-anchor="middle">{escape(sign)}</text></g></svg>'
        )
    return row_drawing(height, body, label)


def look_marks(marks: Sequence[tuple[float, bool, str]], xs: Domain, changes: Sequence[float], label: str, height: int = 30) -> str:
    """One stroke a look, tall with a diamond where a monitor raised an alarm: (time, alarm, title)."""
    middle = height / 2
    body = change_lines(changes, xs, height) + f'<line class="rail" x1="0" x2="100%" y1="{middle}" y2="{middle}"/>'
    body += "".join(
        f'<line class="look" x1="{drawn_at(at, xs)}" x2="{drawn_at(at, xs)}" y1="{middle - 5}" y2="{middle + 5}"/>'
        for at, alarm, _ in marks
        if not alarm
    )
    body += "".join(diamond_mark(at, middle, xs, title) for at, alarm, title in marks if alarm)
    return row_drawing(height, body, label)


def change_lines(changes: Sequence[float], xs: Domain, height: int) -> str:
    return "".join(f'<line class="change" x1="{drawn_at(at, xs)}" x2="{drawn_at(at, xs)}" y1="0" y2="{height}"/>' for at in changes)


def score_lane(audits: Sequence[Dot], tests: Sequence[Dot], plane: Plane, changes: Sequence[float], label: str) -> str:
    """A metric along a model's life: each version's test score at its release, and its audits since."""
    body = levels_grid(plane, 4) + change_lines(changes, plane.xs, plane.height)
    body += measured_points(audits, plane)
    return row_drawing(plane.height, body + interval_whiskers(tests, plane, "champion"), label)
