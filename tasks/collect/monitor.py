"""What a look's page shows, as plain values: the looks so far, what changed most, how well it answers, what was done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from configs.schema import Pipeline
from tasks.collect.levels import acceptance_rate, accuracy_levels, audited_levels, error_levels, mean_error
from tasks.collect.links import history_page, look_page, report_of_version
from tasks.collect.look_changes import changed_lengths_of, changed_shares_of, changed_words_of, novel_texts_of
from tasks.collect.request_stories import recent_requests, requests_of_page
from tasks.drift.monitors import Finding
from tasks.ledger.decisions import decisions_of
from tasks.ledger.monitor_runs import MonitoredChampion, all_looks
from tasks.ledger.promotions import ledger_history
from tasks.ledger.retrain_history import requests_of
from tasks.monitor import LookFindings, TrafficWindow
from tasks.reference import TrafficReference
from tasks.report.monitor import data as page

if TYPE_CHECKING:
    import pandas as pd

    from tasks.ledger.promotions import Ledger
    from tasks.tracking.client import Tracking


@dataclass(frozen=True)
class LookState:
    """The state at a look: since when its champion serves, the earlier looks, retraining requests, notices and other pages."""

    since: str
    earlier: tuple[page.LookRow, ...]
    audited: tuple[page.Level, ...]  # by the audits of written answers at those looks
    requests: tuple[page.RequestStory, ...]
    notices: tuple[str, ...]
    model_report: str
    history: str


def state_at_look(
    tracking: Tracking, ledger: Ledger, champion: MonitoredChampion, end: datetime, notices: Sequence[str]
) -> LookState:
    """The state that the ledger records, at a look that ends at `end`."""
    model, version, earlier = champion.model, champion.version, champion.earlier
    decisions = decisions_of(ledger, model)
    return LookState(
        since=next((entry.at for entry in reversed(ledger_history(ledger, model)) if entry.to_version == version), ""),
        earlier=tuple(page.look_of(look.look, look.at, {**look.payload, "report": look_page(tracking, look)}) for look in earlier),
        audited=audited_levels((look.at, look.payload) for look in earlier),
        requests=requests_of_page(tracking, recent_requests(requests_of(ledger, model), end), all_looks(ledger, model), decisions),
        notices=tuple(notices),
        model_report=report_of_version(tracking, decisions, version),
        history=history_page(tracking, model),
    )


def collect_look(pipeline: Pipeline, version: str, state: LookState, results: LookFindings, look_of_year: int) -> page.LookReport:
    """The page of a look that is about to be recorded."""
    reference, window = results.reference, results.seen
    now = window.end.astimezone(UTC).isoformat(timespec="seconds")
    number = (state.earlier[-1].number if state.earlier else 0) + 1
    payload = payload_of(pipeline, version, window, results.findings)
    look = page.look_of(number, now, payload)
    looks = (*state.earlier, look)
    has_classes = pipeline.facts.has_classes
    audited = (*state.audited, *audited_levels([(now, payload)]))
    return page.LookReport(
        pipeline=pipeline.name,
        problem=pipeline.problem,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version,
        looks=looks,
        looks_per_year=pipeline.monitor.looks_per_year,
        alpha=pipeline.monitor.alpha,
        look_of_year=look_of_year,
        metric=_page_metric(pipeline),
        min_rows=pipeline.monitor.min_rows,
        served_since=state.since,
        words=changed_words_of(reference, window),
        texts=novel_texts_of(reference, window),
        classes=changed_shares_of(reference.rows, window.rows, "prediction") if has_classes else (),
        languages=changed_shares_of(reference.rows, window.rows, "language"),
        lengths=changed_lengths_of(reference.rows, window.rows),
        levels=_levels(pipeline, reference, looks, audited, state.since),
        unit="number" if pipeline.facts.is_number else "share",
        feedback=feedback_of(version, window.rows, results.feedback),
        requests=state.requests,
        notices=state.notices,
        next_command="tunekeeper retrain CONFIG" if look.alarms else None,
        model_report=state.model_report,
        history=state.history,
    )


def _levels(
    pipeline: Pipeline, reference: TrafficReference, looks: tuple[page.LookRow, ...], audited: tuple[page.Level, ...], since: str
) -> tuple[page.Level, ...]:
    """How good answers were over time, by what audits measure of answers of this kind."""
    if pipeline.facts.has_labels or pipeline.facts.finds_answers:
        return accuracy_levels(reference, looks, since)
    return error_levels(reference, audited, since) if pipeline.facts.is_number else audited


def _page_metric(pipeline: Pipeline) -> str:
    """The metric that the page draws over time: what audits measure."""
    metrics = {
        "label": "accuracy", "labels": "f1_rows", "spans": "f1_rows", "number": "mae", "answer": "f1", "text": "accepted_answers",
    }  # fmt: skip
    return metrics[pipeline.facts.target]


def payload_of(pipeline: Pipeline, version: str, window: TrafficWindow, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """What the ledger keeps of a look."""
    times = [time.astimezone(UTC).isoformat(timespec="milliseconds") for time in (window.start, window.end)]
    payload = {"version": version, "rows": len(window.rows), "window": times, "findings": [finding.plain() for finding in findings]}
    if pipeline.facts.is_number:
        return {**payload, "error": mean_error(window.rows)}
    return {**payload, "accepted": acceptance_rate(window.rows)} if pipeline.facts.writes_text else payload


def feedback_of(version: str, answers: pd.DataFrame, feedback: pd.DataFrame) -> page.FeedbackCounts:
    """Counts of the feedback on these answers."""
    on = feedback[feedback["answer_id"].isin(answers["id"])]
    thumbs = on.loc[on["kind"] == "thumb", "value"].value_counts()
    labels = on[on["kind"] == "label"]
    return page.FeedbackCounts(
        version=version,
        answers=len(answers),
        audits=int(answers["audit"].sum()),
        audited=int(answers.loc[answers["audit"], "id"].isin(labels.loc[labels["source"] == "audit", "answer_id"]).sum()),
        labels=len(labels),
        up=int(thumbs.get("up", 0)),
        down=int(thumbs.get("down", 0)),
        corrections=int((on["kind"] == "correction").sum()),
    )
