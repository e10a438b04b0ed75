"""Inline SVG from numbers: pure functions, no state. Colours are CSS classes, so light, dark and print are the page's matter.

Row charts (`interval_chart`, `difference_chart`, `bar_chart`, `axis_labels`) place everything in per cent of their width, so they
fit any column unscaled and text never shrinks on a phone. Names that come from data are escaped here, since the template takes
these strings as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

Domain = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, as far as they are known."""

    value: float | None
    low: float | None = None
    high: float | None = None


def ticks(domain: Domain, count: int = 5) -> list[float]:
    """Round numbers inside the domain, about `count` of them (steps of 1, 2 or 5 times a power of ten)."""
    low, high = domain
    if not high - low > max(1e-12 * max(abs(low), abs(high)), 1e-300):  # floats there are too coarse to step through
        return [low]
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) + 0.0 for n in range(first, math.floor(high / step + 1e-9) + 1)]


def domain_of(
    values: Sequence[float | None], pad: float = 0.08, floor: float | None = None, ceiling: float | None = None
) -> Domain:
    """The range that shows all finite values with a little air, cut at `floor` and `ceiling`."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return (0.0, 1.0)
    low, high = min(known), max(known)
    air = (high - low) * pad or abs(high) * pad or 0.5
    low, high = low - air, high + air
    return (low if floor is None else max(low, floor), high if ceiling is None else min(high, ceiling))


def drawn_at(value: float, domain: Domain) -> str:
    """Where a value lies, in per cent of the width; beyond the domain it is drawn at its edge."""
    share = (value - domain[0]) / (domain[1] - domain[0]) if domain[1] > domain[0] else 0.5
    return f"{100 * min(1.0, max(0.0, share)):.2f}%"


def row_drawing(height: int, body: str, label: str) -> str:
    """A drawing as wide as its column; without a label it is decoration, which is not read out."""
    if not label:
        return f'<svg class="row" height="{height}" aria-hidden="true">{body}</svg>'
    return f'<svg class="row" height="{height}" role="img" aria-label="{escape(label)}"><title>{escape(label)}</title>{body}</svg>'


def _grid(domain: Domain, height: int, count: int) -> str:
    return "".join(
        f'<line class="grid" x1="{drawn_at(tick, domain)}" x2="{drawn_at(tick, domain)}" y1="0" y2="{height}"/>'
        for tick in ticks(domain, count)
    )


def _whisker(estimate: Estimate, domain: Domain, middle: float, tone: str) -> str:
    low, high = estimate.low, estimate.high
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    left, right = drawn_at(low, domain), drawn_at(high, domain)
    ends = "".join(f'<line x1="{x}" x2="{x}" y1="{middle - 4}" y2="{middle + 4}"/>' for x in (left, right))
    return f'<g class="whisker {tone}"><line x1="{left}" x2="{right}" y1="{middle}" y2="{middle}"/>{ends}</g>'


def _off_chart_arrow(left: bool, middle: float, tone: str) -> str:
    """A head that points out of the chart, with a short tail; nested so that it stays at the edge whatever the width."""
    points, tail = ("0,0 9,-5 9,5", 26) if left else ("0,0 -9,-5 -9,5", -26)
    return (
        f'<svg x="{"0" if left else "100%"}" y="{middle}" overflow="visible"><g class="arrow {tone}"><polygon points="{points}"/>'
        f'<line x1="0" x2="{tail}" y1="0" y2="0"/></g></svg>'
    )


def interval_chart(estimate: Estimate, domain: Domain, tone: str, label: str = "", height: int = 30) -> str:
    """A dot with its interval on a shared axis; an arrow at the edge where the value lies beyond it."""
    value, middle = estimate.value, height / 2
    if value is not None and not domain[0] <= value <= domain[1]:
        return row_drawing(height, _grid(domain, height, 5) + _off_chart_arrow(value < domain[0], middle, tone), label)
    body = _grid(domain, height, 5) + _whisker(estimate, domain, middle, tone)
    if value is not None and math.isfinite(value):
        body += f'<circle class="dot {tone}" cx="{drawn_at(value, domain)}" cy="{middle}" r="5.5"/>'
    return row_drawing(height, body, label)


def difference_chart(estimate: Estimate, domain: Domain, tone: str, margin: float = 0.0, label: str = "", height: int = 28) -> str:
    """A difference with its interval against the zero line, and against the margin where one is set."""
    value, middle = estimate.value, height / 2
    zero = drawn_at(0.0, domain)
    body = f'<rect class="worse" x="0" y="0" width="{drawn_at(-margin, domain)}" height="{height}"/>'
    body += f'<line class="zero" x1="{zero}" x2="{zero}" y1="0" y2="{height}"/>'
    if margin:
        x = drawn_at(-margin, domain)
        body += f'<line class="margin" x1="{x}" x2="{x}" y1="0" y2="{height}"/>'
    body += _whisker(estimate, domain, middle, tone)
    if value is not None and math.isfinite(value):
        body += f'<circle class="dot {tone}" cx="{drawn_at(value, domain)}" cy="{middle}" r="5.5"/>'
    return row_drawing(height, body, label)


def bar_chart(
    estimate: Estimate,
    mark: float | None = None,
    domain: Domain = (0.0, 1.0),
    label: str = "",
    height: int = 18,
) -> str:
    """A bar with its interval; `mark` is where the champion stands."""
    value, middle = estimate.value, height / 2
    body = f'<rect class="track" x="0" y="3" width="100%" height="{height - 6}" rx="2"/>'
    if value is not None and math.isfinite(value):
        body += f'<rect class="bar" x="0" y="3" width="{drawn_at(value, domain)}" height="{height - 6}" rx="2"/>'
    body += _whisker(estimate, domain, middle, "onbar")
    if mark is not None and math.isfinite(mark):
        x = drawn_at(mark, domain)
        body += f'<line class="champion-mark" x1="{x}" x2="{x}" y1="0" y2="{height}"/>'
    return row_drawing(height, body, label)


def axis_labels(domain: Domain, show: Callable[[float], str], count: int = 5) -> str:
    """Tick labels for the row charts above or below it."""
    body = ""
    for tick in ticks(domain, count):
        place = (tick - domain[0]) / (domain[1] - domain[0]) if domain[1] > domain[0] else 0.5
        anchor = "start" if place < 0.04 else "end" if place > 0.96 else "middle"
        body += f'<text class="tick" x="{drawn_at(tick, domain)}" y="12" text-anchor="{anchor}">{escape(show(tick))}</text>'
    return row_drawing(16, body, "")


def stacked_bar(parts: Sequence[tuple[str, float, str]], label: str, height: int = 18) -> str:
    """One bar cut into (title, amount, tone) parts."""
    total = sum(amount for _, amount, _ in parts)
    if total <= 0:
        return ""
    body, start = "", 0.0
    for title, amount, tone in parts:
        width = amount / total
        body += (
            f'<rect class="part {tone}" x="{100 * start:.3f}%" y="0" width="{100 * width:.3f}%" height="{height}">'
            f"<title>{escape(title)}</title></rect>"
        )
        start += width
    return row_drawing(height, body, label)
