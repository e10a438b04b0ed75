"""Requests for a retraining as the pages show them, with the looks that asked for them and what they led to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tasks.collect.links import look_page, report_page
from tasks.ledger.decisions import Decision
from tasks.ledger.monitor_runs import Look
from tasks.ledger.retrain_history import RequestRow
from tasks.report.monitor import data as page

if TYPE_CHECKING:
    from tasks.tracking.client import Tracking

PAYLOAD_KEYS = {"note": "reason", "run_id": "run_id", "verdict": "verdict", "version": "version"}  # by a page's field


def requests_of_page(
    tracking: Tracking, requests: Iterable[RequestRow], looks: Iterable[Look], decisions: Iterable[Decision]
) -> tuple[page.RequestStory, ...]:
    """Requests for a retraining as the pages show them, each with the look that asked for it and the report of what it led to."""
    looks_by_name = {look.name: look for look in looks}
    decisions_by_key = {decision.decision_key: decision for decision in decisions}
    return tuple(
        _request_story(
            tracking,
            request,
            looks_by_name.get(request.payload.get("look", "")),
            decisions_by_key.get(request.payload.get("decision_key", "")),
        )
        for request in requests
    )


def _request_story(tracking: Tracking, request: RequestRow, look: Look | None, decision: Decision | None) -> page.RequestStory:
    payload = request.payload
    return page.RequestStory(
        at=payload.get("asked") or request.at,
        why=request.why,
        state=request.state,
        id=request.id,
        look="" if look is None else f"look {look.look} of version {look.champion_version}",
        look_report="" if look is None else look_page(tracking, look),
        monitors=() if look is None else alarms_of(look),
        report=report_page(tracking, decision),
        **{name: str(payload.get(key) or "") for name, key in PAYLOAD_KEYS.items()},
    )


def alarms_of(look: Look) -> tuple[str, ...]:
    """The monitors that raised an alarm."""
    return tuple(finding["monitor"] for finding in look.payload["findings"] if finding["alarm"])


def recent_requests(requests: Sequence[RequestRow], now: datetime, days: float = 60) -> tuple[RequestRow, ...]:
    """The requests that a look's page has room for."""
    return tuple(request for request in requests if datetime.fromisoformat(request.at) > now - timedelta(days=days))
