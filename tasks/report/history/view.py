"""What the history page works out before it draws: reigns, sums, sentences and orders. No HTML here."""

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
class Reign:
    """A version served from `start` to `end` (seconds since 1970): still (`current`), or until it was taken back by a rollback."""

    version: str
    start: float
    end: float
    current: bool
    taken_back: bool


@dataclass(frozen=True)
class Watched:
    """What the monitors saw of one version's traffic."""

    version: str
    looks: int
    alarms: int
    monitors: tuple[str, ...]
    first: str


@dataclass(frozen=True)
class Sums:
    """What was spent: seconds in all, those of versions that never served, and the most memory at once."""

    seconds: float
    unused: float
    trained: int
    peak_bytes: int | None


def applied_moves(history: History) -> list[MoveRow]:
    return [move for move in history.moves if move.state == "applied"]


def page_end(history: History) -> float:
    """The end of the page's time: when it was written, or the last thing that is known."""
    every = [*(move.at for move in history.moves), *(one.at for one in history.versions), *(one.at for one in history.looks)]
    known = [at for at in map(times.epoch_seconds, [history.created, *every]) if at is not None]
    return max(known, default=0.0)


def reigns(history: History) -> list[Reign]:
    """Which version served when, in order; nobody's time is left out."""
    found: list[Reign] = []
    moves = [(move, at) for move in applied_moves(history) if (at := times.epoch_seconds(move.at)) is not None]
    for n, (move, start) in enumerate(moves):
        following = moves[n + 1] if n + 1 < len(moves) else None
        end = following[1] if following else page_end(history)
        if move.to_version is None:
            continue
        back = following is not None and following[0].kind == "ROLLBACK"
        if found and found[-1].version == move.to_version and found[-1].end == start:
            start = found.pop().start
        found.append(Reign(move.to_version, start, end, following is None, back))
    return found


def served_seconds(history: History, version: str) -> float | None:
    """Seconds that a version served in all, or None if it never did."""
    mine = [one.end - one.start for one in reigns(history) if one.version == version]
    return sum(mine) if mine else None


def version_state(history: History, version: str) -> tuple[Tone, str, str]:
    """Whether it serves, served, was taken back, or never did."""
    mine = [one for one in reigns(history) if one.version == version]
    if version == history.champion:
        return "good", "★", "serves now"
    if not mine:
        return "none", "·", "never served"
    return ("bad", "↩", "taken back") if mine[-1].taken_back else ("none", "✓", "served")


def history_headline(history: History) -> str:
    if history.champion is None:
        return "No version serves" if history.versions or history.moves else "Nothing was trained yet"
    current = [one for one in reigns(history) if one.current]
    lasted = f", for {times.span_text(current[-1].end - current[-1].start)}" if current else ""
    return f"Version {history.champion} serves{lasted}"


def life_facts(history: History) -> list[str]:
    """The life in a few sentences: what was trained, moved, seen, asked for."""
    verdicts = Counter(one.verdict for one in history.versions)
    names = {"PROMOTE": "promoted", "HOLD": "held", "INCONCLUSIVE": "inconclusive"}
    said = []
    if trained := [one for one in history.versions if one.verdict != "ADOPTED"]:
        parts = [f"{verdicts[verdict]} {name}" for verdict, name in names.items() if verdicts[verdict]]
        since = min(trained, key=lambda one: times.epoch_seconds(one.at) or 0.0).at
        said.append(f"{count_text(len(trained), 'version')} trained since {times.day_text(since, year=True)}: {', '.join(parts)}.")
    if verdicts["ADOPTED"]:
        said.append(f"{count_text(verdicts['ADOPTED'], 'version')} adopted: fine-tuned elsewhere.")
    kinds = Counter(move.kind for move in applied_moves(history))
    if kinds["ROLLBACK"] or kinds["EXTERNAL"]:
        parts = [count_text(kinds["ROLLBACK"], "rollback")] if kinds["ROLLBACK"] else []
        parts += [f"{count_text(kinds['EXTERNAL'], 'move')} made outside Tunekeeper"] if kinds["EXTERNAL"] else []
        said.append(f"{first_upper(' and '.join(parts))}.")
    if history.looks:
        alarms = [look for look in history.looks if look.alarms]
        last = f", the last on {times.day_text(alarms[-1].at, year=True)} ({list_monitors(alarms[-1].alarms)})" if alarms else ""
        alarmed = count_text(len(alarms), "alarm") if alarms else "no alarm"
        said.append(f"{count_text(len(history.looks), 'look')} of the monitors, {alarmed}{last}.")
    if history.requests:
        states = Counter(one.state for one in history.requests)
        kept = states["coalesced"] + states["refused"] + states["waiting"]
        tail = f"; {kept} of them joined another or had to wait" if kept else ""
        said.append(f"{count_text(len(history.requests), 'retraining')} asked for by monitors, schedules and people{tail}.")
    return said


def count_text(n: int, name: str) -> str:
    return f"{formats.format_count(n)} {name}{'' if n == 1 else 's'}"


def newest_first(history: History) -> list[Version]:
    return sorted(history.versions, key=lambda one: times.epoch_seconds(one.at) or 0.0, reverse=True)


def champion_of(history: History) -> Version | None:
    return next((one for one in history.versions if one.version == history.champion), None)


def newest_level(history: History, kind: Literal["test", "audit", "estimate"]) -> Level | None:
    """The last level of the champion of that kind."""
    mine = [one for one in history.levels if one.kind == kind and one.version in ("", history.champion)]
    return next((one for one in reversed(mine) if formats.is_number(one.value)), None)


def test_scores(history: History) -> list[Level]:
    """The test score of every version that came to serve, at the time it was decided on."""
    ever = {one.version for one in reigns(history)}
    given = [one for one in history.levels if one.kind == "test"]
    return given or [
        Level(at=one.at, value=one.value, low=one.low, high=one.high, n=one.rows or 0, kind="test", version=one.version)
        for one in history.versions
        if one.version in ever and formats.is_number(one.value)
    ]


def audit_levels(history: History) -> list[Level]:
    """What audits said, along the model's life; of very many an even part."""
    found = [one for one in history.levels if one.kind == "audit"]
    return found[:: -(-len(found) // 240) or 1]


def monitored_versions(history: History) -> list[Watched]:
    """The monitors' account of each version, the newest first."""
    found = []
    for version in dict.fromkeys(look.version for look in reversed(history.looks)):
        mine = [look for look in history.looks if look.version == version]
        alarms = [look for look in mine if look.alarms]
        spoke = Counter(name for look in alarms for name in look.alarms)
        found.append(
            Watched(version, len(mine), len(alarms), tuple(name for name, _ in spoke.most_common()), alarms[0].at if alarms else "")
        )
    return found


def life_sums(history: History) -> Sums:
    known = [one for one in history.versions if formats.is_number(one.training_seconds)]
    ever = {one.version for one in reigns(history)}
    peaks = [one.peak_memory_bytes for one in history.versions if one.peak_memory_bytes is not None]
    return Sums(
        seconds=sum(one.training_seconds or 0.0 for one in known),
        unused=sum(one.training_seconds or 0.0 for one in known if one.version not in ever),
        trained=len(known),
        peak_bytes=max(peaks, default=None),
    )


def feedback_sum(found: Sequence[FeedbackCounts]) -> FeedbackCounts:
    fields = ("answers", "audits", "audited", "labels", "up", "down", "corrections")
    return FeedbackCounts(version="all", **{name: sum(getattr(one, name) for one in found) for name in fields})


def move_sentence(move: MoveRow) -> str:
    """One row of the ledger as a sentence."""
    over = "" if move.from_version is None else f" in place of version {move.from_version}"
    said = {
        "FIRST": f"version {move.to_version} became the first champion",
        "PROMOTE": f"version {move.to_version} replaced version {move.from_version}",
        "ROLLBACK": f"back from version {move.from_version} to version {move.to_version}",
        "EXTERNAL": f"the alias was found at version {move.to_version} instead of version {move.from_version}",
        "ADOPTED": f"version {move.to_version}, fine-tuned elsewhere, was adopted{over}",
    }.get(move.kind, f"version {move.from_version} gave way to version {move.to_version}")
    if move.to_version is None:
        said = f"version {move.from_version} was taken off: no champion"
    elif move.from_version is None and move.kind not in ("FIRST", "ADOPTED"):
        said = f"version {move.to_version} became champion"
    return first_upper(said)
