"""The stored requests for a retraining, and the sources that their runs looked at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

import sqlalchemy as sa

from tasks.ledger.schema import requests as rows
from tasks.ledger.store import CLOCKS_APART

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from tasks.ledger.store import Ledger

Trigger = Literal["drift", "decay", "new-data", "schedule", "person"]
State = Literal["running", "done", "skipped", "failed", "coalesced", "refused", "waiting"]
WHYS: tuple[Trigger, ...] = get_args(Trigger)
DIED = {"reason": "its process ended without a word", "at_fault": False}


@dataclass(frozen=True)
class RequestRow:
    """A row: `at` is when it came to its state; `payload` says when it was asked for and began, and what came of it."""

    model: str
    id: str
    why: str
    at: str
    state: str
    payload: dict[str, Any]


def requests_since(ledger: Ledger, model: str, when: datetime, states: tuple[str, ...] = ("done", "skipped")) -> list[RequestRow]:
    """The requests that came to one of the states since then, in order of time; what a clock far ahead has stamped is left out."""
    return _read_requests(ledger, model, rows.c.at >= iso_time(when), _has_been(ledger), rows.c.state.in_(states))


def _has_been(ledger: Ledger) -> sa.ColumnElement[bool]:
    """Whether a request's time can have been: it would be the newest for as long as a clock was ahead."""
    return rows.c.at <= iso_time(ledger.now() + CLOCKS_APART)


def _read_requests(ledger: Ledger, model: str, *conditions: sa.ColumnElement[bool]) -> list[RequestRow]:
    query = sa.select(rows).where(rows.c.model == model, rows.c.why.in_(WHYS), *conditions)

    def work(connection: Connection) -> list[RequestRow]:
        records = connection.execute(query.order_by(rows.c.at)).mappings().all()
        return [RequestRow(**{**row, "payload": json.loads(row["payload"])}) for row in records]

    return ledger.read(work)


def last_seen(ledger: Ledger, model: str) -> str | None:
    """The digest of the sources of the last run that came to a decision, or to a fault of the input.

    A run that died, was stopped or met a fault outside the input does not count.
    """
    ends = ("done", "skipped", "failed", "waiting")
    query = sa.select(rows.c.state, rows.c.payload).where(rows.c.model == model, rows.c.why.in_(WHYS), rows.c.state.in_(ends))
    newest = query.where(_has_been(ledger)).order_by(rows.c.at.desc()).limit(100)
    runs = [(state, json.loads(payload)) for state, payload in ledger.read(lambda connection: connection.execute(newest).all())]
    looked = ((state, payload) for state, payload in runs if "sources" in payload)
    return next((payload["sources"] for state, payload in looked if state != "failed" or payload["at_fault"]), None)


def waits_under(ledger: Ledger, model: str) -> str | None:
    """The digest of the contract that the pipeline's last run waits under, or None where that run did not wait."""
    runs = requests_since(ledger, model, datetime.fromtimestamp(0, UTC), ("done", "skipped", "failed", "waiting"))
    return runs[-1].payload["settings"] if runs and runs[-1].state == "waiting" else None


def waited_before(ledger: Ledger, model: str) -> bool:
    """Whether the pipeline's last two runs wait for the same reason: people were notified of the first already."""
    runs = requests_since(ledger, model, datetime.fromtimestamp(0, UTC), ("done", "skipped", "failed", "waiting"))[-2:]
    return len(runs) == 2 and {run.state for run in runs} == {"waiting"} and len({run.payload["reason"] for run in runs}) == 1


def requests_of(ledger: Ledger, model: str) -> tuple[RequestRow, ...]:
    """Every request for a retraining of a model, in order of time."""
    return tuple(_read_requests(ledger, model))


def fail_dead_requests(ledger: Ledger, model: str) -> None:
    """Mark as failed what dead processes left as running; call it while holding the pipeline, so that no other run is alive."""
    for left in _read_requests(ledger, model, rows.c.state == "running"):
        mine = (rows.c.model == model) & (rows.c.id == left.id)
        values = {"state": "failed", "at": ledger.stamp(), "payload": json.dumps({**left.payload, **DIED})}
        change = sa.update(rows).where(mine).values(**values)
        ledger.write(lambda connection, change=change: connection.execute(change))  # type: ignore[misc]


def iso_time(when: datetime) -> str:
    """As `Ledger.stamp` writes it, so that texts compare as times do."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds")
