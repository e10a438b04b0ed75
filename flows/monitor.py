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
from tasks.ledger.retrain_history import requests_of
from tasks.ledger.store import CLOCKS_APART
from tasks.reference import read_reference
from tasks.release import champion_files, champion_folder, check_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tasks.collect.monitor import LookState
    from tasks.ledger.monitor_runs import Look


@flow(name="monitor", flow_run_name="monitor {pipeline.name}")
def monitor(pipeline: Pipeline, now: datetime | None = None) -> dict[str, Any]:
    """Take one look; the outcome is that of `tunekeeper monitor --json`. It is skipped where there are no new answers."""
    home = find_home()
    settle_environment(home)
    context = open_context(pipeline, home, may_begin=False)
    ledger = context.ledger
    settled = reconcile_alias(ledger, context.registry, pipeline.name)
    for notice in settled.notices:
        print_notice(notice)
    version = settled.champion
    if version is None:
        raise InputError(f"{pipeline.name} has no champion whose traffic could be watched: `tunekeeper retrain CONFIG` comes first")
    check_problem(pipeline, version, champion_folder(context.tracking, home, pipeline.name, version))
    with hold_pipeline(home.path, f"{pipeline.name}.monitor", print_notice, ledger=ledger):
        end = (now or datetime.now(UTC)).astimezone(UTC)
        earlier = all_looks(ledger, pipeline.name, version)
        answers = monitor_tasks.window_answers(pipeline, home, version, end)
        if reason := _reason_to_skip(pipeline, answers, earlier, end):
            event = _repeat_alarm(context, earlier)
            outcome = {**_outcome_without_alarm(pipeline, version), "event": event}
            return {**outcome, "skipped": True, "reason": reason, "rows": len(answers)}
        from tasks.collect.monitor import state_at_look

        champion = MonitoredChampion(pipeline.name, version, earlier)
        state = state_at_look(context.tracking, ledger, champion, end, settled.notices)
        return _run_look(context, version, answers, end, state)


def _reason_to_skip(pipeline: Pipeline, answers: pd.DataFrame, earlier: Sequence[Look], end: datetime) -> str | None:
    """Why a look would be wasted, None where it is not: each look spends alpha, so it needs enough answers, and new ones.

    A look that a clock far ahead has stamped says nothing of which answers are new.
    """
    least = pipeline.monitor.min_rows
    latest = (end + CLOCKS_APART).isoformat(timespec="milliseconds")
    earlier = [look for look in earlier if look.window_end <= latest]
    if len(answers) < least:
        return f"{len(answers)} answers in the last {pipeline.monitor.window_days:g} days, fewer than monitor.min_rows ({least})"
    if earlier and answers["time"].max().isoformat(timespec="milliseconds") < earlier[-1].window_end:
        return f"nothing was answered since look {earlier[-1].look}"
    return None


def _repeat_alarm(context: PipelineContext, earlier: Sequence[Look]) -> str | None:
    """Announce the alarm of the last look again where no retraining was asked for since: its event may have died with its process,
    or with Prefect. Where it was heard, the two make one retraining."""
    look, requests = earlier[-1] if earlier else None, requests_of(context.ledger, context.pipeline.name)
    if look is None or not look.alarm or any(request.at >= look.at for request in requests):
        return None
    monitors = [finding["monitor"] for finding in look.payload["findings"] if finding["alarm"]]
    return monitor_tasks.announce_alarm(context.pipeline, look, monitors, look_page(context.tracking, look))


def _run_look(context: PipelineContext, version: str, answers: pd.DataFrame, end: datetime, state: LookState) -> dict[str, Any]:
    from tasks.collect.monitor import collect_look, payload_of
    from tasks.traffic.log import read_feedback

    pipeline, home, tracking, ledger = context.pipeline, context.home, context.tracking, context.ledger
    number = look_of_year(ledger, pipeline.name, version)
    seed = monitor_tasks.seed_of(pipeline, version, number)
    reference = read_reference(home, tracking, pipeline.name, version)
    champion = champion_files(tracking, home, pipeline.name, version)
    window = monitor_tasks.describe_window(pipeline, champion, reference, answers, end)
    findings = monitor_tasks.judge_window(pipeline, reference, window, number, seed)
    feedback = read_feedback(home.path, pipeline.name, home.traffic_url)
    page = collect_look(pipeline, version, state, monitor_tasks.LookFindings(reference, window, findings, feedback), number)
    links = monitor_tasks.publish_look(page, home, tracking)
    alarms = tuple(finding for finding in findings if finding.alarm)
    payload = {**payload_of(pipeline, version, window, findings), **links}
    look_window = LookWindow(*payload["window"])
    look = record_look(ledger, pipeline.name, version, look_window, alarm=bool(alarms), payload=payload)
    monitors = [finding.monitor for finding in alarms]
    event = monitor_tasks.announce_alarm(pipeline, look, monitors, look_page(tracking, look)) if alarms else None
    seen_now = {"look": look.look, "alarm": bool(alarms), "monitors": monitors, "event": event}
    return {**_outcome_without_alarm(pipeline, version), "skipped": False, **payload, **seen_now}


def _outcome_without_alarm(pipeline: Pipeline, version: str) -> dict[str, object]:
    return {"pipeline": pipeline.name, "version": version, "alarm": False, "monitors": [], "event": None}
