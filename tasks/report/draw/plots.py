"""Inline SVG with two axes: curves, reliability, heatmap. Pure functions as in charts.py; a view box, since lines need one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise

from tasks.report.draw.charts import Domain, domain_of, ticks

Point = tuple[float, float | None]
Bin = tuple[float, float, int, float | None, float | None, float | None, float | None]
"""Edges, rows, mean confidence, accuracy, and its interval."""
WIDTH, HEIGHT = 340, 236
LEFT, RIGHT, TOP, BOTTOM = 42, 14, 10, 40
DASHES = ("", "6 4", "2 3", "8 3 2 3")


def _svg(width: float, height: float, body: str, label: str, kind: str = "plot", grow: float = 1.25) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}" style="max-width:{width * grow:.0f}px" '
        f'role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{body}</svg>"
    )


def _scale(domain: Domain, start: float, end: float) -> Callable[[float], float]:
    low, high = domain
    span = high - low if high > low else 1.0
    return lambda value: round(start + (value - low) / span * (end - start), 2)


def _frame(xs: Domain, ys: Domain, show_x: Callable[[float], str], show_y: Callable[[float], str], x_title: str) -> str:
    x, y = _scale(xs, LEFT, WIDTH - RIGHT), _scale(ys, HEIGHT - BOTTOM, TOP)
    body = ""
    for tick in ticks(ys, 5):
        body += f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick)}" y2="{y(tick)}"/>'
        body += f'<text class="tick" x="{LEFT - 7}" y="{y(tick) + 4}" text-anchor="end">{escape(show_y(tick))}</text>'
    for tick in ticks(xs, 5):
        body += f'<text class="tick" x="{x(tick)}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{escape(show_x(tick))}</text>'
    body += f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    return body + f'<text class="axis-title" x="{middle}" y="{HEIGHT - 5}" text-anchor="middle">{escape(x_title)}</text>'


def thin_points(points: Sequence[Point], most: int = 240) -> list[tuple[float, float]]:
    """At most `most` known points: means over equal stretches, so that a long run's curve stays a small one."""
    known = [(x, y) for x, y in points if y is not None and math.isfinite(y) and math.isfinite(x)]
    if len(known) <= most:
        return known
    bounds = [round(n * len(known) / most) for n in range(most + 1)]
    parts = [known[start:end] for start, end in pairwise(bounds)]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in parts if part]


def line_chart(
    curves: Sequence[tuple[str, Sequence[Point]]], show: Callable[[float], str], label: str, x_title: str = "step",
    mark: tuple[float, str] | None = None,
) -> str:  # fmt: skip
    """Curves on shared axes; the first three differ in colour and in dash, so that neither alone is needed. Empty: ''.

    `mark` is a place on the horizontal axis, in words.
    """
    lines = [(name, points) for name, points in ((name, thin_points(points)) for name, points in curves) if points]
    if not lines:
        return ""
    steps = [x for _, points in lines for x, _ in points]
    low, high = min(steps), max(steps)
    xs = (low, high) if x_title == "epoch" and high > low else (min(0.0, low), high or 1.0)
    ys = domain_of([y for _, points in lines for _, y in points], floor=0.0)
    x, y = _scale(xs, LEFT, WIDTH - RIGHT), _scale(ys, HEIGHT - BOTTOM, TOP)
    whole = x_title == "epoch"  # there is no epoch one and a half
    body = _frame(xs, ys, lambda tick: f"{tick:g}" if not whole or float(tick).is_integer() else "", show, x_title)
    if mark is not None and xs[0] <= mark[0] <= xs[1]:
        body += _marker_line(x(mark[0]), *mark)
    for rank, (name, points) in enumerate(lines):
        path = " ".join(f"{x(a)},{y(b)}" for a, b in points)
        dash = f' stroke-dasharray="{DASHES[rank % 4]}"' if rank % 4 else ""
        body += f'<polyline class="line tone-{rank % 4}"{dash} points="{path}"><title>{escape(name)}</title></polyline>'
        if len(points) <= 40:
            body += "".join(
                f'<circle class="point tone-{rank % 4}" cx="{x(a)}" cy="{y(b)}" r="2.6">'
                f"<title>{escape(f'{name}, {x_title} {a:g}: {show(b)}')}</title></circle>"
                for a, b in points
            )
    return _svg(WIDTH, HEIGHT, body, label)


def _marker_line(at: float, value: float, words: str) -> str:
    """A line across the plot, with its words to the side where there is room."""
    left = at > (LEFT + WIDTH - RIGHT) / 2
    return (
        f'<line class="marked" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"><title>{escape(f"{words}: {value:g}")}</title>'
        f'</line><text class="tick" x="{at - 5 if left else at + 5}" y="{TOP + 9}" text-anchor="{"end" if left else "start"}">'
        f"{escape(words)}</text>"
    )


def scatter_chart(
    points: Sequence[tuple[float, float]], show: Callable[[float], str], titles: tuple[str, str], label: str
) -> str:  # fmt: skip
    """Dots on two axes of one unit that span all values, with the line of equality; `titles` name across and up. Empty: ''."""
    known = [(a, b) for a, b in points if math.isfinite(a) and math.isfinite(b)]
    if not known:
        return ""
    span = domain_of([value for point in known for value in point])
    x, y = _scale(span, LEFT, WIDTH - RIGHT), _scale(span, HEIGHT - BOTTOM, TOP)
    body = _frame(span, span, show, show, f"{titles[0]} (across), {titles[1]} (up)")
    body += f'<line class="marked" x1="{x(span[0])}" y1="{y(span[0])}" x2="{x(span[1])}" y2="{y(span[1])}"/>'
    body += "".join(
        f'<circle class="point tone-0 faint" cx="{x(a)}" cy="{y(b)}" r="2.6"><title>'
        f"{escape(f'{titles[0]} {show(a)}, {titles[1]} {show(b)}')}</title></circle>"
        for a, b in known
    )
    return _svg(WIDTH, HEIGHT, body, label)


def reliability_chart(bins: Sequence[Bin], label: str) -> str:
    """Accuracy with its interval against confidence; bars below show how many rows lie in each bin."""
    most = max((n for _, _, n, *_ in bins), default=0)
    if most == 0:
        return ""
    unit = (0.0, 1.0)
    x, y = _scale(unit, LEFT, WIDTH - RIGHT), _scale(unit, HEIGHT - BOTTOM, TOP)
    body = _frame(unit, unit, lambda tick: f"{100 * tick:.0f}%", lambda tick: f"{100 * tick:.0f}%", "confidence of the prediction")
    for low, high, n, *_ in bins:
        tall = round(0.30 * (HEIGHT - TOP - BOTTOM) * n / most, 2)
        body += (
            f'<rect class="count" x="{x(low) + 1}" y="{HEIGHT - BOTTOM - tall}" width="{x(high) - x(low) - 2:.2f}" height="{tall}">'
            f"<title>{100 * low:.0f}\u2013{100 * high:.0f}%: {n} rows</title></rect>"
        )
    body += f'<line class="ideal" x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"/>'
    known = [(c, a, n, low, high) for _, _, n, c, a, low, high in bins if n and c is not None and a is not None]
    body += f'<polyline class="line tone-0" points="{" ".join(f"{x(c)},{y(a)}" for c, a, *_ in known)}"/>'
    for c, a, n, lowest, highest in known:
        if lowest is not None and highest is not None:
            body += f'<line class="spread" x1="{x(c)}" x2="{x(c)}" y1="{y(lowest)}" y2="{y(highest)}"/>'
        body += (
            f'<circle class="point tone-0" cx="{x(c)}" cy="{y(a)}" r="4">'
            f"<title>said {100 * c:.1f}%, right {100 * a:.1f}% of {n} rows</title></circle>"
        )
    return _svg(WIDTH, HEIGHT, body, label)


def _cells(labels: Sequence[str], counts: Sequence[Sequence[int]], cell: float, left: float, top: float, numbers: bool) -> str:
    body = ""
    for i, row in enumerate(counts):
        total = sum(row) or 1
        for j, n in enumerate(row):
            if n == 0:
                continue
            depth = round(0.2 + 0.8 * (n / total) ** 0.65, 3)
            tone = "right" if i == j else "wrong"
            body += (
                f'<rect class="{tone}" x="{left + j * cell:g}" y="{top + i * cell:g}" width="{cell - 1:g}" height="{cell - 1:g}" '
                f'fill-opacity="{depth:g}"><title>{escape(f"{labels[i]} → {labels[j]}: {n} of {sum(row)}")}</title></rect>'
            )
            if numbers:
                ink = "ink-on" if depth > 0.55 else "ink"
                x, y = left + (j + 0.5) * cell - 0.5, top + (i + 0.5) * cell + 4
                body += f'<text class="{ink}" x="{x:g}" y="{y:g}" text-anchor="middle">{n}</text>'
    return body


def confusion_heatmap(labels: Sequence[str], counts: Sequence[Sequence[int]], label: str) -> str:
    """The confusion matrix: rows are the true class, columns the predicted. Up to 25 classes carry numbers, more are small."""
    numbers = len(labels) <= 25
    few = min(130.0, 280.0 / max(1, len(labels)))  # as wide as its column: small cells would be blown up, and their text with them
    cell, font = (max(26.0, 40.0 - len(labels), few), 12.0) if numbers else (10.0, 8.5)
    longest = max((len(name) for name in labels), default=1)
    margin = min(longest, 34) * font * 0.56 + 12
    side = cell * len(labels)
    body = f'<rect class="ground" x="{margin:g}" y="{margin:g}" width="{side:g}" height="{side:g}"/>'
    body += _cells(labels, counts, cell, margin, margin, numbers)
    for n in range(5, len(labels), 5):
        at, end = margin + n * cell - 0.5, margin + side
        body += f'<path class="guide" d="M{margin:g} {at:g}H{end:g}M{at:g} {margin:g}V{end:g}"/>'
    for n, name in enumerate(labels):
        short = escape(name if len(name) <= 34 else name[:33] + "\u2026")
        middle = margin + (n + 0.5) * cell
        body += (
            f'<text class="name" x="{margin - 6:g}" y="{middle + font / 3:g}" text-anchor="end" font-size="{font:g}">{short}</text>'
        )
        body += (
            f'<text class="name" transform="translate({middle + font / 3:g} {margin - 6:g}) rotate(-90)" '
            f'font-size="{font:g}">{short}</text>'
        )
    kind = "heatmap" if numbers else "heatmap dense"
    return _svg(margin + side + 2, margin + side + 2, body, label, kind)
