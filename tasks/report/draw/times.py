"""Times as a reader says them, and round dates for an axis. ISO 8601 in, always UTC; what is no time is shown as it came."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from tasks.report.draw.formats import ABSENT

DAY = 86_400.0
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HOURS = (1, 3, 6, 12)
_DAYS = (1, 2, 7, 14)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120)


def epoch_seconds(text: str | None) -> float | None:
    """Seconds since 1970 of an ISO time (without a zone: UTC), or None."""
    try:
        when = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _utc_time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def day_text(text: str | None, year: bool = False) -> str:
    """3 Oct, or with the year 3 Oct 2026."""
    seconds = epoch_seconds(text)
    if seconds is None:
        return text or ABSENT
    when = _utc_time(seconds)
    return f"{when.day} {MONTHS[when.month - 1]}" + (f" {when.year}" if year else "")


def moment_text(text: str | None) -> str:
    """3 Oct 2026, 07:40 UTC."""
    seconds = epoch_seconds(text)
    return (text or ABSENT) if seconds is None else f"{day_text(text, year=True)}, {_utc_time(seconds):%H:%M} UTC"


def span_text(seconds: float | None) -> str:
    """How long something lasted, in the unit a person would take: 40 minutes, 5 hours, 12 days, 4 months."""
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    if seconds < 30:
        return "less than a minute"
    for name, size, until in (("minute", 60, 90 * 60), ("hour", 3600, 23.5 * 3600), ("day", DAY, 100 * DAY)):
        if seconds < until:
            n = round(seconds / size)
            return f"{n} {name}{'' if n == 1 else 's'}"
    return f"{round(seconds / (DAY * 30.44))} months"


def time_ticks(low: float, high: float, count: int = 6) -> list[tuple[float, str]]:
    """Round moments in [low, high], about `count`, each with its label: hours, days, or firsts of months."""
    length = max(high - low, 60.0)
    for hours in _HOURS:
        if length / (hours * 3600) <= count:
            return [(at, f"{_utc_time(at):%H:%M}" if at % DAY else _day_label(at)) for at in _step_times(low, high, hours * 3600.0)]
    for days in _DAYS:
        if length / (days * DAY) <= count:
            return [(at, _day_label(at)) for at in _step_times(low, high, days * DAY)]
    months = next((n for n in _MONTHS if length / (n * 30.44 * DAY) <= count), _MONTHS[-1])
    return _month_ticks(low, high, months)


def _step_times(low: float, high: float, step: float) -> list[float]:
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _day_label(at: float) -> str:
    when = _utc_time(at)
    return f"{when.day} {MONTHS[when.month - 1]}"


def _month_ticks(low: float, high: float, months: int) -> list[tuple[float, str]]:
    start = _utc_time(low)
    number = (start.year * 12 + start.month - 1) // months * months
    ticks: list[tuple[float, str]] = []
    while True:
        when = datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
        if when.timestamp() > high:
            return ticks
        if when.timestamp() >= low:
            label = str(when.year) if when.month == 1 else MONTHS[when.month - 1]
            ticks.append((when.timestamp(), label))
        number += months
