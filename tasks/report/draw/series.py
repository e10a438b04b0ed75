"""Inline SVG over time: strips, trends with their band, levels. Pure functions, as fluid as the rows of charts.py.

Places are per cent of the width. Lines need a view box, so they lie in an inner one that stretches while their strokes do not:
text, dots and marks keep their size on a phone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from tasks.report.draw import times
from tasks.report.draw.charts import Domain, drawn_at, row_drawing, ticks

Tone = Literal["good", "hold", "bad", "wait", "none"]
WIDE = 1000
MANY = 40
"""Of more values than this only alarms and the last are marked."""
FEW = 3
"""So few estimates are dots: they make no line."""
LEAST = 24
"""Columns that a strip has room for at least: a first look does not fill the page."""
DIAMOND = "M0 -6L6 0L0 6L-6 0z"


@dataclass(frozen=True)
class Dot:
    """A value at a time with its interval; None is a gap. `title` is read out and shown by pointing."""

    x: float
    value: float | None
    low: float | None = None
    high: float | None = None
    tone: Tone = "none"
    title: str = ""


@dataclass(frozen=True)
class Plane:
    """What a drawing over time shows: the time from left to right, the values from bottom to top, in so many pixels of height."""

    xs: Domain
    ys: Domain
    height: int

    def x(self, at: float) -> str:
        return drawn_at(at, self.xs)

    def y(self, value: float) -> float:
        low, high = self.ys
        span = high - low if high > low else 1.0
        return min(self.height + 2.0, max(-2.0, self.height - (value - low) / span * self.height))


def time_domain(moments: Sequence[float], pad: float = 0.03) -> Domain:
    """The stretch that holds all moments with a little air; of a single one, the days around it."""
    low, high = min(moments, default=0.0), max(moments, default=times.DAY)
    air = (high - low) * pad if high > low else 3 * times.DAY
    return low - air, high + air


def time_axis(xs: Domain, count: int = 6) -> str:
    """Dates under charts that share `xs`."""
    body = ""
    for at, name in times.time_ticks(*xs, count):
        place = (at - xs[0]) / (xs[1] - xs[0])
        anchor = "start" if place < 0.05 else "end" if place > 0.95 else "middle"
        body += f'<text class="tick" x="{drawn_at(at, xs)}" y="12" text-anchor="{anchor}">{escape(name)}</text>'
    return row_drawing(16, body, "")


def effect_strip(cells: Sequence[tuple[float | None, Tone, str]], label: str, least: int = LEAST, height: int = 26) -> str:
    """One column a look: its height is the effect as a multiple of the least that matters (the line), twice that at most.

    Fewer than `least` looks leave room to the right: a first look does not fill the page.
    """
    slots, middle = max(len(cells), least), height / 2
    body = f'<line class="limit" x1="0" x2="100%" y1="{middle}" y2="{middle}"/>'
    wide = 100 / slots
    for n, (ratio, tone, title) in enumerate(cells):
        tall = 2.0 if ratio is None else max(2.0, min(1.0, max(ratio, 0.0) / 2) * height)
        body += (
            f'<rect class="cell {tone}" x="{n * wide + 0.1 * wide:.3f}%" y="{height - tall:.1f}" width="{0.8 * wide:.3f}%" '
            f'height="{tall:.1f}"><title>{escape(title)}</title></rect>'
        )
    return row_drawing(height, body, label)


def scale_labels(show: Callable[[float], str], plane: Plane, count: int = 3) -> str:
    """The labels left of a trend, as wide as its column."""
    marks = "".join(
        f'<text class="tick" x="100%" y="{plane.y(tick) + 4:.1f}" text-anchor="end">{escape(show(tick))}</text>'
        for tick in ticks(plane.ys, count)
    )
    return row_drawing(plane.height, marks, "")


def trend_chart(dots: Sequence[Dot], plane: Plane, limits: tuple[float | None, float | None], label: str) -> str:
    """Values over time with their band; what lies above or below the `limits` is tinted; alarms are diamonds, in any colour."""
    y, ys = plane.y, plane.ys
    body = time_grid(plane) + levels_grid(plane, 3)
    for limit, start, end in ((limits[0], ys[1], limits[0]), (limits[1], limits[1], ys[0])):
        if limit is not None and start is not None and end is not None:
            body += f'<rect class="beyond" x="0" y="{y(start):.1f}" width="100%" height="{max(y(end) - y(start), 0):.1f}"/>'
            body += f'<line class="limit" x1="0" x2="100%" y1="{y(limit):.1f}" y2="{y(limit):.1f}"/>'
    body += interval_bands(dots, plane, "band")
    body += joined_lines(dots, plane, "line tone-0")
    return row_drawing(plane.height, body + _look_dots(dots, plane), label)


def level_chart(audits: Sequence[Dot], estimates: Sequence[Dot], test: Dot | None, plane: Plane, label: str) -> str:
    """A metric over time: audited with whiskers, estimated as a dashed line in its band, and the level at release across."""
    y = plane.y
    body = time_grid(plane) + levels_grid(plane, 5)
    if test is not None and test.value is not None:
        if test.low is not None and test.high is not None:
            body += f'<rect class="release" x="0" width="100%" y="{y(test.high):.1f}" height="{y(test.low) - y(test.high):.1f}"/>'
        body += f'<line class="release-line" x1="0" x2="100%" y1="{y(test.value):.1f}" y2="{y(test.value):.1f}"/>'
    body += interval_bands(estimates, plane, "band estimate")
    body += joined_lines(estimates, plane, "line estimate")
    if len(estimates) <= FEW:
        body += interval_whiskers(estimates, plane, "estimate")
    return row_drawing(plane.height, body + measured_points(audits, plane), label)


# --- parts ---------------------------------------------------------------------------------------------------------------


def time_grid(plane: Plane) -> str:
    return "".join(
        f'<line class="grid" x1="{plane.x(at)}" x2="{plane.x(at)}" y1="0" y2="{plane.height}"/>'
        for at, _ in times.time_ticks(*plane.xs)
    )


def diamond_mark(at: float, y: float, xs: Domain, title: str) -> str:
    return (
        f'<svg x="{drawn_at(at, xs)}" y="{y:.1f}" overflow="visible"><path class="alarm" d="{DIAMOND}">'
        f"<title>{escape(title)}</title></path></svg>"
    )


def interval_whiskers(dots: Sequence[Dot], plane: Plane, tone: str = "challenger") -> str:
    """Dots with their intervals upright."""
    y, body = plane.y, ""
    for dot in dots:
        if dot.value is None:
            continue
        x = plane.x(dot.x)
        if dot.low is not None and dot.high is not None:
            body += f'<line class="whisker {tone}" x1="{x}" x2="{x}" y1="{y(dot.low):.1f}" y2="{y(dot.high):.1f}"/>'
        body += f'<circle class="dot {tone}" cx="{x}" cy="{y(dot.value):.1f}" r="4.5"><title>{escape(dot.title)}</title></circle>'
    return body


def measured_points(dots: Sequence[Dot], plane: Plane) -> str:
    """What was measured, upright intervals joined by a faint line; of very many a line in its band, with the last one marked."""
    if len(dots) <= MANY:
        return joined_lines(dots, plane, "line faint") + interval_whiskers(dots, plane)
    line = joined_lines(dots, plane, "line tone-0")
    return interval_bands(dots, plane, "band") + line + interval_whiskers(dots[-1:], plane)


def thin_dots(dots: Sequence[Dot], most: int = 240) -> list[Dot]:
    """At most so many, evenly, the last one among them."""
    step = -(-len(dots) // most) or 1
    return list(dots[::-1][::step][::-1])


def joined_lines(dots: Sequence[Dot], plane: Plane, kind: str) -> str:
    """The values joined, a gap where one is missing."""
    paths = [
        "M" + "L".join(f"{_wide_x(dot.x, plane.xs)} {plane.y(dot.value or 0.0):.1f}" for dot in part)
        for part in _unbroken_runs(dots)
        if len(part) > 1
    ]
    return _stretch_svg(f'<path class="{kind}" d="{"".join(paths)}"/>', plane.height) if paths else ""


def interval_bands(dots: Sequence[Dot], plane: Plane, kind: str) -> str:
    """The intervals as a band; a lone value has a whisker instead."""
    y, shapes, lone = plane.y, "", ""
    for part in _unbroken_runs([dot for dot in dots if dot.value is None or (dot.low is not None and dot.high is not None)]):
        if len(part) == 1:
            x = plane.x(part[0].x)
            lone += f'<line class="whisker" x1="{x}" x2="{x}" y1="{y(part[0].low or 0.0):.1f}" y2="{y(part[0].high or 0.0):.1f}"/>'
            continue
        there = [f"{_wide_x(dot.x, plane.xs)},{y(dot.high or 0.0):.1f}" for dot in part]
        back = [f"{_wide_x(dot.x, plane.xs)},{y(dot.low or 0.0):.1f}" for dot in reversed(part)]
        shapes += f'<polygon class="{kind}" points="{" ".join([*there, *back])}"/>'
    return (_stretch_svg(shapes, plane.height) if shapes else "") + lone


def _look_dots(dots: Sequence[Dot], plane: Plane) -> str:
    """Every look that few looks have, of many only the alarms and the last; gaps as open rings on the floor."""
    few, body = len(dots) <= MANY, ""
    for n, dot in enumerate(dots):
        if dot.value is None:
            body += _gap_ring(dot, plane) if few else ""
        elif dot.tone == "bad":
            body += diamond_mark(dot.x, plane.y(dot.value), plane.xs, dot.title)
        elif few or n == len(dots) - 1:
            body += f'<circle class="dot {dot.tone} look-dot" cx="{plane.x(dot.x)}" cy="{plane.y(dot.value):.1f}" r="3.4">'
            body += f"<title>{escape(dot.title)}</title></circle>"
    return body


def _gap_ring(dot: Dot, plane: Plane) -> str:
    return f'<circle class="ring" cx="{plane.x(dot.x)}" cy="{plane.y(0.0):.1f}" r="3"><title>{escape(dot.title)}</title></circle>'


def levels_grid(plane: Plane, count: int) -> str:
    levels = [plane.y(tick) for tick in ticks(plane.ys, count)]
    return "".join(f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>' for y in levels)


def _unbroken_runs(dots: Sequence[Dot]) -> list[list[Dot]]:
    """The dots between gaps."""
    runs: list[list[Dot]] = [[]]
    for dot in dots:
        if dot.value is None:
            runs.append([])
        else:
            runs[-1].append(dot)
    return [part for part in runs if part]


def _stretch_svg(body: str, height: int) -> str:
    return f'<svg viewBox="0 0 {WIDE} {height}" width="100%" height="{height}" preserveAspectRatio="none">{body}</svg>'


def place_dots(value: float, xs: Domain) -> float:
    return min(1.0, max(0.0, (value - xs[0]) / (xs[1] - xs[0]) if xs[1] > xs[0] else 0.5))


def _wide_x(value: float, xs: Domain) -> str:
    return f"{WIDE * place_dots(value, xs):.1f}"


def level_tick(value: float, share: bool) -> str:
    return f"{100 * value:g}%" if share else f"{value:g}"
