"""What the page of a model's life shows, as plain values: from the ledger, the decisions, the looks and the traffic log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from configs.schema import Pipeline
from tasks.collect.levels import level_of
from tasks.collect.links import look_page, report_page
from tasks.collect.monitor import feedback_of
from tasks.collect.request_stories import alarms_of, requests_of_page
from tasks.common.home import Home
from tasks.context import PipelineContext
from tasks.ledger.decisions import Decision, decisions_of
from tasks.ledger.monitor_runs import Look, all_looks
from tasks.ledger.promotions import Entry, ledger_history
from tasks.ledger.retrain_history import requests_of
from tasks.report.history import data as page
from tasks.report.monitor.data import FeedbackCounts, Level


def collect_history(context: PipelineContext, champion: str | None, notices: Sequence[str], next_command: str) -> page.History:
    """The life of a model so far."""
    pipeline, tracking, ledger = context.pipeline, context.tracking, context.ledger
    life, metric = pipeline.facts.life_metric, pipeline.facts.life_metric.name
    looks = all_looks(ledger, pipeline.name)
    decisions = decisions_of(ledger, pipeline.name)
    requests = requests_of_page(tracking, requests_of(ledger, pipeline.name), looks, decisions)
    triggers = {request.run_id: request.why for request in requests if request.state == "done"}
    return page.History(
        pipeline=pipeline.name,
        problem=pipeline.problem,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        champion=champion,
        versions=tuple(_version_row(decision, metric, triggers, report_page(tracking, decision)) for decision in decisions),
        moves=tuple(_move_row(entry) for entry in ledger_history(ledger, pipeline.name)),
        looks=tuple(_look_mark(look, look_page(tracking, look)) for look in looks),
        levels=tuple(_quality_levels(decisions, looks, metric)),
        feedback=_feedback_counts(pipeline, tracking.home, [decision.payload["model"]["version"] for decision in decisions]),
        requests=requests,
        metric=metric,
        unit=life.unit,
        higher_is_better=life.higher_is_better,
        notices=tuple(notices),
        next_command=next_command,
    )


def _version_row(decision: Decision, metric: str, triggers: dict[str, str], report: str) -> page.Version:
    payload = decision.payload
    low, high = payload.get("intervals", {}).get(metric, (None, None))
    return page.Version(
        version=payload["model"]["version"],
        at=decision.at,
        verdict=decision.verdict,
        reasons=tuple(payload["reasons"]),
        value=payload["metrics"].get(metric),
        low=low,
        high=high,
        rows=payload.get("test_rows"),
        against=decision.champion_version or "",
        against_value=(payload.get("champion_metrics") or {}).get(metric),
        look=decision.look,
        run_id=decision.run_id or "",
        snapshot=payload["snapshot"],
        train_key=payload["train_key"],
        why=triggers.get(decision.run_id or "", ""),
        report=report,
        training_seconds=payload.get("training_seconds"),
        peak_memory_bytes=payload.get("peak_memory_bytes"),
    )


def _move_row(entry: Entry) -> page.MoveRow:
    known = {field.name for field in fields(page.MoveRow)}
    return page.MoveRow(**{name: value for name, value in vars(entry).items() if name in known})


def _look_mark(look: Look, report: str) -> page.LookMark:
    return page.LookMark(
        version=look.champion_version, number=look.look, at=look.at, rows=look.payload["rows"], alarms=alarms_of(look),
        report=report,
    )  # fmt: skip


def _quality_levels(decisions: Sequence[Decision], looks: Sequence[Look], metric: str) -> list[Level]:
    """The test's level of every version, and the audited levels of those that served."""
    tests = {decision.payload["model"]["version"]: decision for decision in decisions}
    levels = [
        Level(at=decision.at, value=decision.payload["metrics"].get(metric), kind="test", version=version)
        for version, decision in tests.items()
    ]
    for look in looks:
        for finding in look.payload["findings"]:
            level = _audit_level(finding, tests.get(look.champion_version), look, metric)
            levels += [level] if level is not None else []
    return sorted(levels, key=lambda level: level.at)


def _audit_level(finding: dict[str, Any], decision: Decision | None, look: Look, metric: str) -> Level | None:
    if finding["monitor"] != "performance.accuracy" or finding["effect"] is None or decision is None:
        return None
    was = decision.payload["metrics"].get(metric)
    if was is None:
        return None
    effect = finding["effect"]
    low, high = level_of(was, effect, finding["low"], finding["high"], finding["alpha"])
    return Level(
        at=look.at, value=was - effect, kind="audit", low=low, high=high, n=finding["n_window"], version=look.champion_version
    )


def _feedback_counts(pipeline: Pipeline, home: Home, versions: Sequence[str]) -> tuple[FeedbackCounts, ...]:
    from tasks.traffic.log import Query, read_answers, read_feedback

    answers = read_answers(home.path, pipeline.name, home.traffic_url, Query(columns=("id", "time", "version", "audit")))
    feedback = read_feedback(home.path, pipeline.name, home.traffic_url)
    served = [version for version in dict.fromkeys(versions) if (answers["version"] == version).any()]
    return tuple(feedback_of(version, answers[answers["version"] == version], feedback) for version in served)
