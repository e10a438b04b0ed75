"""What the history page works out before it draws: serving periods, totals, sentences and orders. No HTML here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.report.draw import formats, times
from tasks.report.draw.formats import first_upper
from tasks.report.draw.series import Tone
from tasks.report.history.data import History, MoveRow, Version
from tasks.report.monitor.data import FeedbackCounts, Level
from tasks.report.monitor.view import list_monitors

KINDS: dict[str, tuple[Tone, str, str]] = {
    "FIRST": ("good", "★", "first release"),
    "PROMOTE": ("good", "✓", "promoted"),
    "ROLLBACK": ("bad", "↩", "rolled back"),
    "EXTERNAL": ("hold", "⇄", "moved outside"),
    "ADOPTED": ("good", "+", "adopted"),
}
SHOWN = 12
"""Rows of a table before the rest is folded away."""


@dataclass(frozen=True)
class ServingPeriod:
    """A version served from `start` to `end` (seconds since 1970): still (`current`), or until it was taken back by a rollback."""

    version: str
    start: float
    end: float
    current: bool
    taken_back: bool


@dataclass(frozen=True)
class TrafficSummary:
    """What the monitors saw of one version's traffic."""

    version: str
    looks: int
    alarms: int
    monitors: tuple[str, ...]
    first: str


@dataclass(frozen=True)
class CostTotals:
    """What was spent: seconds in all, those of versions that never served, and the most memory at once."""

    seconds: float
    unused: float
    trained: int
    peak_bytes: int | None


def applied_moves(history: History) -> list[MoveRow]:
    return [move for move in history.moves if move.state == "applied"]


def page_end(history: History) -> float:
    """The end of the page's time: when it was written, or the last thing that is known."""
    versions, looks = (version.at for version in history.versions), (look.at for look in history.looks)
    moments = [history.created, *(move.at for move in history.moves), *versions, *looks]
    known = [at for at in map(times.epoch_seconds, moments) if at is not None]
    return max(known, default=0.0)


def serving_periods(history: History) -> list[ServingPeriod]:
    """Which version served when, in order; time without a champion is left out."""
    spans: list[ServingPeriod] = []
    moves = [(move, at) for move in applied_moves(history) if (at := times.epoch_seconds(move.at)) is not None]
    for n, (move, start) in enumerate(moves):
        following = moves[n + 1] if n + 1 < len(moves) else None
        end = following[1] if following else page_end(history)
        if move.to_version is None:
            continue
        back = following is not None and following[0].kind == "ROLLBACK"
        if spans and spans[-1].version == move.to_version and spans[-1].end == start:
            start = spans.pop().start
        spans.append(ServingPeriod(move.to_version, start, end, following is None, back))
    return spans


def served_seconds(history: History, version: str) -> float | None:
    """Seconds that a version served in all, or None if it never did."""
    mine = [period.end - period.start for period in serving_periods(history) if period.version == version]
    return sum(mine) if mine else None


def version_state(history: History, version: str) -> tuple[Tone, str, str]:
    """Whether it serves, served, was taken back, or never did."""
    mine = [period for period in serving_periods(history) if period.version == version]
    if version == history.champion:
        return "good", "★", "serves now"
    if not mine:
        return "none", "·", "never served"
    return ("bad", "↩", "taken back") if mine[-1].taken_back else ("none", "✓", "served")


def history_headline(history: History) -> str:
    if history.champion is None:
        return "No version serves" if history.versions or history.moves else "Nothing was trained yet"
    current = [period for period in serving_periods(history) if period.current]
    lasted = f", for {times.span_text(current[-1].end - current[-1].start)}" if current else ""
    return f"Version {history.champion} serves{lasted}"


def life_facts(history: History) -> list[str]:
    """The life in a few sentences: what was trained, moved, seen, asked for."""
    verdicts = Counter(version.verdict for version in history.versions)
    names = {"PROMOTE": "promoted", "HOLD": "held", "INCONCLUSIVE": "inconclusive"}
    facts = []
    if trained := [version for version in history.versions if version.verdict != "ADOPTED"]:
        parts = [f"{verdicts[verdict]} {name}" for verdict, name in names.items() if verdicts[verdict]]
        since = min(trained, key=lambda version: times.epoch_seconds(version.at) or 0.0).at
        facts.append(f"{count_text(len(trained), 'version')} trained since {times.day_text(since, year=True)}: {', '.join(parts)}.")
    if verdicts["ADOPTED"]:
        facts.append(f"{count_text(verdicts['ADOPTED'], 'version')} adopted: fine-tuned elsewhere.")
    kinds = Counter(move.kind for move in applied_moves(history))
    if kinds["ROLLBACK"] or kinds["EXTERNAL"]:
        parts = [count_text(kinds["ROLLBACK"], "rollback")] if kinds["ROLLBACK"] else []
        parts += [f"{count_text(kinds['EXTERNAL'], 'move')} made outside Tunekeeper"] if kinds["EXTERNAL"] else []
        facts.append(f"{first_upper(' and '.join(parts))}.")
    if history.looks:
        alarms = [look for look in history.looks if look.alarms]
        last = f", the last on {times.day_text(alarms[-1].at, year=True)} ({list_monitors(alarms[-1].alarms)})" if alarms else ""
        alarmed = count_text(len(alarms), "alarm") if alarms else "no alarm"
        facts.append(f"{count_text(len(history.looks), 'look')} of the monitors, {alarmed}{last}.")
    if history.requests:
        states = Counter(request.state for request in history.requests)
        not_started = states["coalesced"] + states["refused"] + states["waiting"]
        tail = f"; {not_started} of them joined another or had to wait" if not_started else ""
        facts.append(f"{count_text(len(history.requests), 'retraining')} asked for by monitors, schedules and people{tail}.")
    return facts


def count_text(n: int, name: str) -> str:
    return f"{formats.format_count(n)} {name}{'' if n == 1 else 's'}"


def newest_first(history: History) -> list[Version]:
    return sorted(history.versions, key=lambda version: times.epoch_seconds(version.at) or 0.0, reverse=True)


def champion_of(history: History) -> Version | None:
    return next((version for version in history.versions if version.version == history.champion), None)


def newest_level(history: History, kind: Literal["test", "audit", "estimate"]) -> Level | None:
    """The last level of the champion of that kind."""
    mine = [level for level in history.levels if level.kind == kind and level.version in ("", history.champion)]
    return next((level for level in reversed(mine) if formats.is_number(level.value)), None)


def test_scores(history: History) -> list[Level]:
    """The test score of every version that came to serve, at the time it was decided on."""
    ever = {period.version for period in serving_periods(history)}
    levels = [level for level in history.levels if level.kind == "test"]
    return levels or [
        Level(at=row.at, value=row.value, low=row.low, high=row.high, n=row.rows or 0, kind="test", version=row.version)
        for row in history.versions
        if row.version in ever and formats.is_number(row.value)
    ]


def audit_levels(history: History) -> list[Level]:
    """The audited levels along the model's life; of very many an even part."""
    levels = [level for level in history.levels if level.kind == "audit"]
    return levels[:: -(-len(levels) // 240) or 1]


def monitored_versions(history: History) -> list[TrafficSummary]:
    """The looks and alarms of each version, the newest first."""
    summaries = []
    for version in dict.fromkeys(look.version for look in reversed(history.looks)):
        mine = [look for look in history.looks if look.version == version]
        alarms = [look for look in mine if look.alarms]
        counts = Counter(name for look in alarms for name in look.alarms)
        monitors = tuple(name for name, _ in counts.most_common())
        summaries.append(TrafficSummary(version, len(mine), len(alarms), monitors, alarms[0].at if alarms else ""))
    return summaries


def cost_totals(history: History) -> CostTotals:
    known = [version for version in history.versions if formats.is_number(version.training_seconds)]
    ever = {period.version for period in serving_periods(history)}
    peaks = [version.peak_memory_bytes for version in history.versions if version.peak_memory_bytes is not None]
    return CostTotals(
        seconds=sum(version.training_seconds or 0.0 for version in known),
        unused=sum(version.training_seconds or 0.0 for version in known if version.version not in ever),
        trained=len(known),
        peak_bytes=max(peaks, default=None),
    )


def feedback_sum(counts: Sequence[FeedbackCounts]) -> FeedbackCounts:
    fields = ("answers", "audits", "audited", "labels", "up", "down", "corrections")
    return FeedbackCounts(version="all", **{name: sum(getattr(row, name) for row in counts) for name in fields})


def move_sentence(move: MoveRow) -> str:
    """One row of the ledger as a sentence."""
    over = "" if move.from_version is None else f" in place of version {move.from_version}"
    sentence = {
        "FIRST": f"version {move.to_version} became the first champion",
        "PROMOTE": f"version {move.to_version} replaced version {move.from_version}",
        "ROLLBACK": f"back from version {move.from_version} to version {move.to_version}",
        "EXTERNAL": f"the alias was found at version {move.to_version} instead of version {move.from_version}",
        "ADOPTED": f"version {move.to_version}, fine-tuned elsewhere, was adopted{over}",
    }.get(move.kind, f"version {move.from_version} gave way to version {move.to_version}")
    if move.to_version is None:
        sentence = f"version {move.from_version} was taken off: no champion"
    elif move.from_version is None and move.kind not in ("FIRST", "ADOPTED"):
        sentence = f"version {move.to_version} became champion"
    return first_upper(sentence)
