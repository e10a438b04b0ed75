"""A model's life in a few lines: Markdown for a Prefect artifact, rows for the terminal. Same numbers, same words as the page."""

from __future__ import annotations

from tasks.report.draw import formats, times
from tasks.report.history import view
from tasks.report.history.data import History, MoveRow, Version
from tasks.report.run.summary import markdown_table, markdown_text

MOST = 15


def history_markdown(history: History) -> str:
    """Who serves, the life in sentences, the newest versions, the newest moves, the cost, and the next command; all escaped."""
    parts = [f"## {markdown_text(history.pipeline)}: history", f"**{markdown_text(view.history_headline(history))}.**"]
    parts.append("\n".join(f"- {markdown_text(fact)}" for fact in view.life_facts(history)))
    if history.versions:
        parts.append(markdown_table(_version_rows(history, MOST)))
        left = len(history.versions) - MOST
        parts.append(f"{left} earlier versions are on the page." if left > 0 else "")
    moves = [f"- {times.day_text(move.at, year=True)}: {markdown_text(_move_line(move))}" for move in history.moves[::-1][:5]]
    if moves:
        parts.append("\n".join(["The last moves:", "", *moves]))
    totals = view.cost_totals(history)
    if totals.trained:
        peak = f", peak memory {formats.byte_size(totals.peak_bytes)}" if totals.peak_bytes is not None else ""
        parts.append(f"Training took {formats.format_seconds(totals.seconds)} in all, over {totals.trained} trainings{peak}.")
    if history.next_command:
        parts.append(f"Next: `{history.next_command.replace('`', '')}`")
    return "\n\n".join(part for part in parts if part) + "\n"


def history_table(history: History, most: int = MOST) -> list[tuple[str, ...]]:
    """Rows of plain text, the first the header: the newest versions; empty where there is none."""
    rows = _version_rows(history, most) if history.versions else []
    return [tuple(cell.replace(formats.THIN, " ") for cell in row) for row in rows]


def _move_line(move: MoveRow) -> str:
    return f"{view.move_sentence(move)}{f', by {move.who}' if move.who else ''}{f': {move.reason}' if move.reason else ''}"


def _version_rows(history: History, most: int) -> list[tuple[str, ...]]:
    header = ("version", "decided", "verdict", formats.plain_name(history.metric), "interval", "training", "served")
    return [header, *(_version_row(history, version) for version in view.newest_first(history)[:most])]


def _version_row(history: History, version: Version) -> tuple[str, ...]:
    _, sign, stands = view.version_state(history, version.version)
    lasted = view.served_seconds(history, version.version)
    return (
        version.version,
        times.day_text(version.at, year=True),
        f"{formats.VERDICTS.get(version.verdict, ('', '·'))[1]} {version.verdict}",
        formats.with_unit(version.value, history.unit),
        formats.interval_text(version.low, version.high, history.unit),
        formats.format_seconds(version.training_seconds),
        f"{sign} {stands}" + (f", {times.span_text(lasted)}" if lasted is not None else ""),
    )
