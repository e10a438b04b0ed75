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

SAID = {"note": "reason", "run_id": "run_id", "verdict": "verdict", "version": "version"}  # a page's words for a request's


def requests_of_page(
    tracking: Tracking, requests: Iterable[RequestRow], looks: Iterable[Look], decisions: Iterable[Decision]
) -> tuple[page.RequestStory, ...]:
    """Requests for a retraining as the pages show them, each with the look that asked for it and the report of what it led to."""
    seen, decided = {each.name: each for each in looks}, {each.decision_key: each for each in decisions}
    return tuple(
        _request(tracking, each, seen.get(each.payload.get("look", "")), decided.get(each.payload.get("decision_key", "")))
        for each in requests
    )


def _request(tracking: Tracking, request: RequestRow, look: Look | None, decision: Decision | None) -> page.RequestStory:
    said = request.payload
    return page.RequestStory(
        at=said.get("asked") or request.at,
        why=request.why,
        state=request.state,
        id=request.id,
        look="" if look is None else f"look {look.look} of version {look.champion_version}",
        look_report="" if look is None else look_page(tracking, look),
        monitors=() if look is None else alarms_of(look),
        report=report_page(tracking, decision),
        **{name: str(said.get(key) or "") for name, key in SAID.items()},
    )


def alarms_of(look: Look) -> tuple[str, ...]:
    """The monitors that spoke."""
    return tuple(one["monitor"] for one in look.payload["findings"] if one["alarm"])


def recent_requests(requests: Sequence[RequestRow], now: datetime, days: float = 60) -> tuple[RequestRow, ...]:
    """The requests that a look's page has room for."""
    return tuple(each for each in requests if datetime.fromisoformat(each.at) > now - timedelta(days=days))
