"""A monitor's track over all looks of a champion: what each look came to, in bins where looks are many. No HTML here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tasks.report.draw import formats, times
from tasks.report.draw.series import Dot, Tone
from tasks.report.monitor import monitor_names
from tasks.report.monitor.data import FindingRow, LookReport, LookRow

MOST_COLUMNS = 90
"""More looks than this are drawn in bins, each by its worst look."""


def is_judged(finding: FindingRow) -> bool:
    return formats.is_number(finding.effect) and formats.is_number(finding.p)


def finding_mark(finding: FindingRow | None) -> tuple[Tone, str, str]:
    """Tone, sign and words for one finding: what is beyond the minimum but may be chance is neither quiet nor an alarm."""
    if finding is None or not is_judged(finding):
        return ("none", "·", "not judged") if finding is None or not finding.alarm else ("bad", "!", "alarm")
    if finding.alarm:
        return "bad", "!", "alarm"
    if (effect_ratio(finding) or 0.0) > 1:
        return "hold", "?", "not sure"
    return "good", "✓", "quiet"


def monitor_keys(report: LookReport) -> list[str]:
    """Every monitor that any look of this champion had."""
    return monitor_names.in_order({finding.monitor for look in report.looks for finding in look.findings})


def grouped_monitors(report: LookReport) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in monitor_keys(report):
        groups.setdefault(name.split(".", 1)[0], []).append(name)
    return groups


def finding_of(look: LookRow, name: str) -> FindingRow | None:
    return next((finding for finding in look.findings if finding.monitor == name), None)


def effect_ratio(finding: FindingRow) -> float | None:
    """The effect as a multiple of the least that matters; where only a loss matters, a gain is below zero."""
    if finding.effect is None or not formats.is_number(finding.effect) or not finding.minimum:
        return None
    sides = monitor_names.monitor_of(finding.monitor).sides
    return (abs(finding.effect) if sides == 2 else finding.effect) / finding.minimum


def ends_of(finding: FindingRow) -> str:
    unit = monitor_names.monitor_of(finding.monitor).unit
    if not (formats.is_number(finding.low) and formats.is_number(finding.high)):
        return ""
    return f"{monitor_names.effect_number(finding.low, unit)} to {monitor_names.effect_number(finding.high, unit)}"


def binned_looks(looks: Sequence[LookRow], name: str, most: int = MOST_COLUMNS) -> list[tuple[LookRow, FindingRow | None]]:
    """Looks with this monitor's finding; of more than `most`, the worst of each bin: an alarm, else the largest effect."""
    pairs = [(look, finding_of(look, name)) for look in looks]
    if len(pairs) <= most:
        return pairs
    bounds = [round(n * len(pairs) / most) for n in range(most + 1)]

    def bad(pair: tuple[LookRow, FindingRow | None]) -> tuple[bool, float]:
        size = effect_ratio(pair[1]) if pair[1] is not None else None
        return pair[1] is not None and pair[1].alarm, -1e300 if size is None else size

    return [max(pairs[a:b], key=bad) for a, b in pairwise(bounds)]


def track_dots(report: LookReport, name: str) -> list[Dot]:
    """A monitor's track as values over time."""
    unit = monitor_names.monitor_of(name).unit
    dots = []
    for look, finding in binned_looks(report.looks, name):
        at = times.epoch_seconds(look.at)
        if at is None:
            continue
        value = finding.effect if finding is not None and formats.is_number(finding.effect) else None
        low, high = (finding.low, finding.high) if finding is not None and value is not None else (None, None)
        known = formats.is_number(low) and formats.is_number(high)
        dots.append(
            Dot(
                at,
                value,
                low if known else None,
                high if known else None,
                finding_mark(finding)[0],
                finding_title(look, finding, unit),
            )
        )
    return dots


def finding_title(look: LookRow, finding: FindingRow | None, unit: monitor_names.Unit) -> str:
    """Look 41, 3 Oct: 0.24 SD (0.19 to 0.29), alarm."""
    prefix = f"look {look.number}, {times.day_text(look.at)}: "
    if finding is None or not formats.is_number(finding.effect):
        return prefix + (silence_reason(finding) if finding is not None else "not judged")
    ends = f" ({ends_of(finding)})" if ends_of(finding) else ""
    return f"{prefix}{monitor_names.effect_text(finding.effect, unit)}{ends}, {finding_mark(finding)[2]}"


def silence_reason(finding: FindingRow) -> str:
    """Why a monitor was not judged."""
    return finding.note if finding.note.startswith("not judged") else f"not judged: {finding.note or 'too few rows'}"
