"""The report in a few lines: Markdown for a Prefect artifact, rows for the terminal. Same numbers, same words as the page."""

from __future__ import annotations

import re
from html import escape

from tasks.report.draw import formats
from tasks.report.run import view
from tasks.report.run.data import ComparisonRow, ReportData, Score, System

MARKUP = re.compile(r"([\\`*_{}\[\]#|~!])")


def summary_markdown(report: ReportData) -> str:
    """Verdict, reasons, the metrics table, the tests and the guards that fired, and the next command.

    Every text from data is escaped, so a class named `|` or `<script>` stays a name.
    """
    mark = formats.VERDICTS[report.verdict][1]
    parts = [f"## {mark} {report.verdict}: {markdown_text(report.pipeline)}", f"**{markdown_text(view.report_headline(report))}.**"]
    parts.append("\n".join(f"- {markdown_text(reason)}" for reason in report.reasons))
    parts.append(markdown_table(_metric_rows(report)))
    kinds = (*view.TESTS, "floor")
    tests = [comparison for comparison in report.comparisons if comparison.kind in kinds or comparison.outcome == "harm shown"]
    if tests:
        header = ("Comparison", "rows", "difference", "interval", "p", "α", "outcome")
        parts.append(markdown_table([header, *(_comparison_row(comparison) for comparison in tests)]))
    guards = [comparison for comparison in report.comparisons if comparison.kind == "guard"]
    if guards:
        judged_guards = [guard.outcome for guard in guards if guard.outcome != "too few rows"]
        parts.append(f"Guards: {len(judged_guards)} of {len(guards)} judged, {judged_guards.count('harm shown')} showed harm.")
    if report.next_command:
        parts.append(f"Next: `{report.next_command.replace('`', '')}`")
    return "\n\n".join(part for part in parts if part) + "\n"


def terminal_table(report: ReportData) -> list[tuple[str, ...]]:
    """Rows of plain text, the first the header: one row a system, the primary metric with its interval, then the others."""
    metrics = view.metric_names(report)
    rows = [
        (
            "",
            *(formats.plain_name(metric) for metric in metrics[:1]),
            "interval",
            *(formats.plain_name(metric) for metric in metrics[1:]),
        )
    ]
    for system in view.ordered_systems(report):
        scores = [view.score_of(system, metric) for metric in metrics]
        ends = [formats.interval_text(score.low, score.high, score.unit) if score else "" for score in scores]
        values = [_score_text(score) for score in scores]
        rows.append((_system_name(system), *values[:1], *ends[:1], *values[1:]))
    return [tuple(cell.replace(formats.THIN, " ") for cell in row) for row in rows] if metrics else []


def _metric_rows(report: ReportData) -> list[tuple[str, ...]]:
    systems = view.ordered_systems(report)
    if not systems:
        return []
    header = ("Metric", *(_system_name(system) for system in systems))
    rows = []
    for metric in view.metric_names(report):
        scores = [view.score_of(system, metric) for system in systems]
        rows.append((formats.plain_name(metric), *(_interval_score_text(score) for score in scores)))
    return [header, *rows]


def _comparison_row(comparison: ComparisonRow) -> tuple[str, ...]:
    _, sign, words = formats.outcome_mark(comparison.outcome)
    return (
        comparison.name,
        formats.format_count(comparison.n),
        formats.difference_text(comparison.difference, comparison.unit),
        formats.signed_interval(comparison.low, comparison.high, comparison.unit),
        formats.p_value(comparison.p_value),
        formats.p_value(comparison.alpha),
        f"{sign} {words}",
    )


def _system_name(system: System) -> str:
    return f"{system.name} v{system.version}" if system.version else system.name


def _score_text(score: Score | None) -> str:
    return formats.with_unit(score.value, score.unit) if score else formats.ABSENT


def _interval_score_text(score: Score | None) -> str:
    if score is None:
        return formats.ABSENT
    ends = formats.interval_text(score.low, score.high, score.unit)
    return _score_text(score) + (f" ({ends})" if ends else "")


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return MARKUP.sub(r"\\\1", escape(" ".join(text.split()), quote=False))  # MLflow shows a backslash before < as it is


def markdown_table(rows: list[tuple[str, ...]]) -> str:
    """A Markdown table: names to the left, numbers to the right."""
    if not rows:
        return ""
    lines = ["| " + " | ".join(markdown_text(cell) for cell in row) + " |" for row in rows]
    rule = "| :-- |" + " --: |" * (len(rows[0]) - 1)
    return "\n".join([lines[0], rule, *lines[1:]])
