"""Look at a champion's traffic: inputs, predictions and labels against its own reference; an alarm becomes an event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from configs.errors import InputError
from configs.schema import Pipeline
from tasks import monitor as monitor_tasks
from tasks.collect.links import look_page
from tasks.common.home import find_home, settle_environment
from tasks.common.orchestration import flow
from tasks.common.terminal import print_notice
from tasks.context import PipelineContext, open_context
from tasks.ledger.monitor_runs import LookWindow, MonitoredChampion, all_looks, look_of_year, record_look
from tasks.ledger.pipeline_lock import hold_pipeline
from tasks.ledger.promotions import reconcile_alias
from tasks.reference import read_reference
from tasks.release import champion_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tasks.collect.monitor import Around
    from tasks.ledger.monitor_runs import Look


@flow(name="monitor", flow_run_name="monitor {pipeline.name}")
def monitor(pipeline: Pipeline, now: datetime | None = None) -> dict[str, Any]:
    """One look; the outcome is that of `tunekeeper monitor --json`. Where nothing new was answered none is taken."""
    home = find_home()
    settle_environment(home)
    context = open_context(pipeline, home)
    ledger = context.ledger
    settled = reconcile_alias(ledger, context.registry, pipeline.name)
    for notice in settled.notices:
        print_notice(notice)
    version = settled.champion
    if version is None:
        raise InputError(f"{pipeline.name} has no champion whose traffic could be watched: `tunekeeper retrain CONFIG` comes first")
    with hold_pipeline(home.path, f"{pipeline.name}.monitor", print_notice, ledger=ledger):
        end = (now or datetime.now(UTC)).astimezone(UTC)
        earlier = all_looks(ledger, pipeline.name, version)
        found = monitor_tasks.window_answers(pipeline, home, version, end)
        if reason := _no_look(pipeline, found, earlier):
            return {**_outcome(pipeline, version), "skipped": True, "reason": reason, "rows": len(found)}
        from tasks.collect.monitor import state_at_look

        champion = MonitoredChampion(pipeline.name, version, earlier)
        beside = state_at_look(context.tracking, ledger, champion, end, settled.notices)
        return _look(context, version, found, end, beside)


def _no_look(pipeline: Pipeline, found: pd.DataFrame, earlier: Sequence[Look]) -> str | None:
    """Why a look would be wasted: alpha is spent by looks, so one that can see nothing new is not taken."""
    least = pipeline.monitor.min_rows
    if len(found) < least:
        return f"{len(found)} answers in the last {pipeline.monitor.window_days:g} days, fewer than monitor.min_rows ({least})"
    if earlier and found["time"].max().isoformat(timespec="milliseconds") < earlier[-1].window_end:
        return f"nothing was answered since look {earlier[-1].look}"
    return None


def _look(context: PipelineContext, version: str, found: pd.DataFrame, end: datetime, beside: Around) -> dict[str, Any]:
    from tasks.collect.monitor import collect_look, payload_of
    from tasks.traffic.log import read_feedback

    pipeline, home, tracking, ledger = context.pipeline, context.home, context.tracking, context.ledger
    number = look_of_year(ledger, pipeline.name, version)
    seed = monitor_tasks.seed_of(pipeline, version, number)
    reference = read_reference(home, tracking, pipeline.name, version)
    champion = champion_files(tracking, home, pipeline.name, version)
    seen = monitor_tasks.describe_window(pipeline, champion, reference, found, end)
    findings = monitor_tasks.judge_window(pipeline, reference, seen, number, seed)
    feedback = read_feedback(home.path, pipeline.name, home.traffic_url)
    page = collect_look(pipeline, version, beside, monitor_tasks.LookFindings(reference, seen, findings, feedback), number)
    shown = monitor_tasks.publish_look(page, home, tracking)
    alarms = tuple(one for one in findings if one.alarm)
    payload = {**payload_of(pipeline, version, seen, findings), **shown}
    window = LookWindow(*payload["window"])
    look = record_look(ledger, pipeline.name, version, window, alarm=bool(alarms), payload=payload)
    event = monitor_tasks.announce_alarm(pipeline, look, alarms, look_page(tracking, look)) if alarms else None
    seen_now = {"look": look.look, "alarm": bool(alarms), "monitors": [one.monitor for one in alarms], "event": event}
    return {**_outcome(pipeline, version), "skipped": False, **payload, **seen_now}


def _outcome(pipeline: Pipeline, version: str) -> dict[str, object]:
    return {"pipeline": pipeline.name, "version": version, "alarm": False, "monitors": [], "event": None}
