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
    decided = decisions_of(ledger, pipeline.name)
    requests = requests_of_page(tracking, requests_of(ledger, pipeline.name), looks, decided)
    why = {each.run_id: each.why for each in requests if each.state == "done"}
    return page.History(
        pipeline=pipeline.name,
        problem=pipeline.problem,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        champion=champion,
        versions=tuple(_version(each, metric, why, report_page(tracking, each)) for each in decided),
        moves=tuple(_move(entry) for entry in ledger_history(ledger, pipeline.name)),
        looks=tuple(_mark(look, look_page(tracking, look)) for look in looks),
        levels=tuple(_levels(decided, looks, metric)),
        feedback=_feedback(pipeline, tracking.home, [each.payload["model"]["version"] for each in decided]),
        requests=requests,
        metric=metric,
        unit=life.unit,
        higher_is_better=life.higher_is_better,
        notices=tuple(notices),
        next_command=next_command,
    )


def _version(decision: Decision, metric: str, why: dict[str, str], report: str) -> page.Version:
    said = decision.payload
    low, high = said.get("intervals", {}).get(metric, (None, None))
    return page.Version(
        version=said["model"]["version"],
        at=decision.at,
        verdict=decision.verdict,
        reasons=tuple(said["reasons"]),
        value=said["metrics"].get(metric),
        low=low,
        high=high,
        rows=said.get("test_rows"),
        against=decision.champion_version or "",
        against_value=(said.get("champion_metrics") or {}).get(metric),
        look=decision.look,
        run_id=decision.run_id or "",
        snapshot=said["snapshot"],
        train_key=said["train_key"],
        why=why.get(decision.run_id or "", ""),
        report=report,
        training_seconds=said.get("training_seconds"),
        peak_memory_bytes=said.get("peak_memory_bytes"),
    )


def _move(entry: Entry) -> page.MoveRow:
    known = {field.name for field in fields(page.MoveRow)}
    return page.MoveRow(**{name: value for name, value in vars(entry).items() if name in known})


def _mark(look: Look, report: str) -> page.LookMark:
    return page.LookMark(
        version=look.champion_version, number=look.look, at=look.at, rows=look.payload["rows"], alarms=alarms_of(look),
        report=report,
    )  # fmt: skip


def _levels(decided: Sequence[Decision], looks: Sequence[Look], metric: str) -> list[Level]:
    """The test's level of every version, and what audits said of those that served."""
    tests = {each.payload["model"]["version"]: each for each in decided}
    found = [
        Level(at=each.at, value=each.payload["metrics"].get(metric), kind="test", version=version)
        for version, each in tests.items()
    ]
    for look in looks:
        for one in look.payload["findings"]:
            level = _audited(one, tests.get(look.champion_version), look, metric)
            found += [level] if level is not None else []
    return sorted(found, key=lambda level: level.at)


def _audited(one: dict[str, Any], decision: Decision | None, look: Look, metric: str) -> Level | None:
    if one["monitor"] != "performance.accuracy" or one["effect"] is None or decision is None:
        return None
    was = decision.payload["metrics"].get(metric)
    if was is None:
        return None
    low, high = level_of(was, one["effect"], one["low"], one["high"], one["alpha"])
    return Level(
        at=look.at, value=was - one["effect"], kind="audit", low=low, high=high, n=one["n_window"], version=look.champion_version
    )


def _feedback(pipeline: Pipeline, home: Home, versions: Sequence[str]) -> tuple[FeedbackCounts, ...]:
    from tasks.traffic.log import Query, read_answers, read_feedback

    answers = read_answers(home.path, pipeline.name, home.traffic_url, Query(columns=("id", "time", "version", "audit")))
    said = read_feedback(home.path, pipeline.name, home.traffic_url)
    served = [version for version in dict.fromkeys(versions) if (answers["version"] == version).any()]
    return tuple(feedback_of(version, answers[answers["version"] == version], said) for version in served)
