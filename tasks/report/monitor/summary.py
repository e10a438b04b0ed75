"""A look in a few lines: Markdown for a Prefect artifact, rows for the terminal. Same numbers, same words as the page."""

from __future__ import annotations

from tasks.report.draw import formats
from tasks.report.monitor import monitor_names, tracks, view
from tasks.report.monitor.data import Finding, Watch
from tasks.report.run.summary import plain, table


def watch_markdown(watch: Watch) -> str:
    """Verdict, what it rests on, every monitor, the words that changed most, what was done, and the next command; all escaped."""
    verdict = view.verdict(watch)
    look = view.latest(watch)
    counted = f"look {look.number}, {watch.look_of_year or len(watch.looks)} of {watch.looks_per_year} planned this year"
    rate = f"false alarms at most {formats.share(watch.alpha, 0)} a year"
    seen = f"Version {watch.version}, {formats.count(look.rows)} answers, {counted}; {rate}."
    parts = [f"## {verdict.sign} {verdict.word}: {plain(watch.pipeline)}", f"**{plain(verdict.headline)}.**", plain(seen)]
    parts.append("\n".join(f"- {plain(reason)}" for reason in view.reasons(watch)))
    rows = [_row(name, tracks.finding_of(look, name)) for name in tracks.names(watch)]
    if rows:
        parts.append(table([("Monitor", "effect", "band", "matters from", "p", "allowed", "outcome"), *rows]))
    parts += _words(watch)
    asked = [f"- {plain(view.done(one))}" for one, _, _ in view.told(watch.requests)[:3]]
    if asked:
        parts.append("\n".join(["What was done:", "", *asked]))
    if watch.next_command:
        parts.append(f"Next: `{watch.next_command.replace('`', '')}`")
    return "\n\n".join(part for part in parts if part) + "\n"


def watch_table(watch: Watch) -> list[tuple[str, ...]]:
    """Rows of plain text, the first the header: one row a monitor of the last look; empty where there was none."""
    look = view.latest(watch)
    rows = [_row(name, tracks.finding_of(look, name)) for name in tracks.names(watch)]
    found = [("", "effect", "band", "matters from", "p", "allowed", "outcome"), *rows] if rows else []
    return [tuple(cell.replace(formats.THIN, " ") for cell in row) for row in found]


def _row(name: str, one: Finding | None) -> tuple[str, ...]:
    kind = monitor_names.monitor_of(name)
    _, sign, said = tracks.status(one)
    known = one if one is not None else Finding(monitor=name)
    return (
        kind.title,
        monitor_names.amount(known.effect, kind.unit),
        tracks.ends_of(known),
        monitor_names.amount(known.minimum, kind.unit),
        formats.p_value(known.p),
        formats.p_value(known.alpha),
        f"{sign} {said}",
    )


def _words(watch: Watch) -> list[str]:
    if watch.words is None or not (watch.words.more or watch.words.less):
        return []
    ways = [("More often", watch.words.more), ("Less often", watch.words.less)]
    said = [
        f"{name}: "
        + ", ".join(f"{plain(one.name)} ({formats.share(one.reference)} → {formats.share(one.window)})" for one in found[:8])
        + "."
        for name, found in ways
        if found
    ]
    return ["  \n".join(said)]
