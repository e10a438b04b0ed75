"""A look in a few lines: Markdown for a Prefect artifact, rows for the terminal. Same numbers, same words as the page."""

from __future__ import annotations

from tasks.report.draw import formats
from tasks.report.monitor import monitor_names, request_story, tracks, view
from tasks.report.monitor.data import FindingRow, LookReport
from tasks.report.run.summary import markdown_table, markdown_text


def look_markdown(report: LookReport) -> str:
    """Verdict, what it rests on, every monitor, the words that changed most, what was done, and the next command; all escaped."""
    verdict = view.look_verdict(report)
    look = view.latest_look(report)
    counted = f"look {look.number}, {report.look_of_year or len(report.looks)} of {report.looks_per_year} planned this year"
    rate = f"false alarms at most {formats.format_share(report.alpha, 0)} a year"
    scope = f"Version {report.version}, {formats.format_count(look.rows)} answers, {counted}; {rate}."
    parts = [
        f"## {verdict.sign} {verdict.word}: {markdown_text(report.pipeline)}",
        f"**{markdown_text(verdict.headline)}.**",
        markdown_text(scope),
    ]
    parts.append("\n".join(f"- {markdown_text(reason)}" for reason in view.look_reasons(report)))
    rows = [_finding_row(name, tracks.finding_of(look, name)) for name in tracks.monitor_keys(report)]
    if rows:
        parts.append(markdown_table([("Monitor", "effect", "band", "matters from", "p", "allowed", "outcome"), *rows]))
    parts += _word_lines(report)
    requests = request_story.merged_requests(report.requests)[:3]
    outcomes = [f"- {markdown_text(request_story.request_outcome(request))}" for request, _, _ in requests]
    if outcomes:
        parts.append("\n".join(["What was done:", "", *outcomes]))
    if report.next_command:
        parts.append(f"Next: `{report.next_command.replace('`', '')}`")
    return "\n\n".join(part for part in parts if part) + "\n"


def look_table(report: LookReport) -> list[tuple[str, ...]]:
    """Rows of plain text, the first the header: one row a monitor of the last look; empty where there was none."""
    look = view.latest_look(report)
    rows = [_finding_row(name, tracks.finding_of(look, name)) for name in tracks.monitor_keys(report)]
    table = [("", "effect", "band", "matters from", "p", "allowed", "outcome"), *rows] if rows else []
    return [tuple(cell.replace(formats.THIN, " ") for cell in row) for row in table]


def _finding_row(name: str, finding: FindingRow | None) -> tuple[str, ...]:
    kind = monitor_names.monitor_of(name)
    _, sign, outcome = tracks.finding_mark(finding)
    known = finding if finding is not None else FindingRow(monitor=name)
    return (
        kind.title,
        monitor_names.effect_text(known.effect, kind.unit),
        tracks.ends_of(known),
        monitor_names.effect_text(known.minimum, kind.unit),
        formats.p_value(known.p),
        formats.p_value(known.alpha),
        f"{sign} {outcome}",
    )


def _word_lines(report: LookReport) -> list[str]:
    if report.words is None or not (report.words.more or report.words.less):
        return []
    ways = [("More often", report.words.more), ("Less often", report.words.less)]
    lines = [
        f"{name}: "
        + ", ".join(
            f"{markdown_text(change.name)} ({formats.format_share(change.reference)} → {formats.format_share(change.window)})"
            for change in changes[:8]
        )
        + "."
        for name, changes in ways
        if changes
    ]
    return ["  \n".join(lines)]
