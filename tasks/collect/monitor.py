"""What a look's page shows, as plain values: the looks so far, what changed most, how well it answers, what was done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from configs.schema import Pipeline
from tasks.collect.levels import acceptance_rate, accuracy_levels, audited_levels
from tasks.collect.links import history_page, look_page, report_of_version
from tasks.collect.look_changes import changed_lengths_of, changed_shares_of, changed_words_of, novel_texts_of
from tasks.collect.request_stories import recent_requests, requests_of_page
from tasks.drift.monitors import Finding
from tasks.ledger.decisions import decisions_of
from tasks.ledger.monitor_runs import MonitoredChampion, all_looks
from tasks.ledger.promotions import ledger_history
from tasks.ledger.retrain_history import requests_of
from tasks.monitor import LookFindings, TrafficWindow
from tasks.report.monitor import data as page

if TYPE_CHECKING:
    import pandas as pd

    from tasks.ledger.promotions import Ledger
    from tasks.tracking.client import Tracking


@dataclass(frozen=True)
class Around:
    """What stands around a look: since when its champion serves, the looks before it, what was asked for, said, and drawn."""

    since: str
    earlier: tuple[page.LookRow, ...]
    audited: tuple[page.Level, ...]  # what audits said at those, of written answers
    requests: tuple[page.RequestStory, ...]
    notices: tuple[str, ...]
    model_report: str
    history: str


def state_at_look(tracking: Tracking, ledger: Ledger, champion: MonitoredChampion, end: datetime, notices: Sequence[str]) -> Around:
    """As the ledger tells it, at a look that ends at `end`."""
    model, version, earlier = champion.model, champion.version, champion.earlier
    decisions = decisions_of(ledger, model)
    return Around(
        since=next((entry.at for entry in reversed(ledger_history(ledger, model)) if entry.to_version == version), ""),
        earlier=tuple(page.look_of(each.look, each.at, {**each.payload, "report": look_page(tracking, each)}) for each in earlier),
        audited=audited_levels((each.at, each.payload) for each in earlier),
        requests=requests_of_page(tracking, recent_requests(requests_of(ledger, model), end), all_looks(ledger, model), decisions),
        notices=tuple(notices),
        model_report=report_of_version(tracking, decisions, version),
        history=history_page(tracking, model),
    )


def collect_look(pipeline: Pipeline, version: str, beside: Around, found: LookFindings, look_of_year: int) -> page.LookReport:
    """The page of a look that is about to be recorded."""
    reference, seen = found.reference, found.seen
    now = seen.end.astimezone(UTC).isoformat(timespec="seconds")
    number = (beside.earlier[-1].number if beside.earlier else 0) + 1
    said = payload_of(pipeline, version, seen, found.findings)
    this = page.look_of(number, now, said)
    looks = (*beside.earlier, this)
    classifies = pipeline.facts.has_labels
    return page.LookReport(
        pipeline=pipeline.name,
        problem=pipeline.problem,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version,
        looks=looks,
        looks_per_year=pipeline.monitor.looks_per_year,
        alpha=pipeline.monitor.alpha,
        look_of_year=look_of_year,
        metric="accuracy" if classifies else "accepted_answers",
        min_rows=pipeline.monitor.min_rows,
        served_since=beside.since,
        words=changed_words_of(reference, seen),
        texts=novel_texts_of(reference, seen),
        classes=changed_shares_of(reference.rows, seen.rows, "prediction") if classifies else (),
        languages=changed_shares_of(reference.rows, seen.rows, "language"),
        lengths=changed_lengths_of(reference.rows, seen.rows),
        levels=accuracy_levels(reference, looks, beside.since) if classifies else (*beside.audited, *audited_levels([(now, said)])),
        feedback=feedback_of(version, seen.rows, found.feedback),
        requests=beside.requests,
        notices=beside.notices,
        next_command="tunekeeper retrain CONFIG" if this.alarms else None,
        model_report=beside.model_report,
        history=beside.history,
    )


def payload_of(pipeline: Pipeline, version: str, seen: TrafficWindow, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """What the ledger keeps of a look."""
    window = [each.astimezone(UTC).isoformat(timespec="milliseconds") for each in (seen.start, seen.end)]
    kept = {"version": version, "rows": len(seen.rows), "window": window, "findings": [one.plain() for one in findings]}
    return kept if pipeline.facts.has_labels else {**kept, "accepted": acceptance_rate(seen.rows)}


def feedback_of(version: str, answered: pd.DataFrame, feedback: pd.DataFrame) -> page.FeedbackCounts:
    """What came back on these answers, counted."""
    on = feedback[feedback["answer_id"].isin(answered["id"])]
    thumbs = on.loc[on["kind"] == "thumb", "value"].value_counts()
    labels = on[on["kind"] == "label"]
    return page.FeedbackCounts(
        version=version,
        answers=len(answered),
        audits=int(answered["audit"].sum()),
        audited=int(answered.loc[answered["audit"], "id"].isin(labels.loc[labels["source"] == "audit", "answer_id"]).sum()),
        labels=len(labels),
        up=int(thumbs.get("up", 0)),
        down=int(thumbs.get("down", 0)),
        corrections=int((on["kind"] == "correction").sum()),
    )
