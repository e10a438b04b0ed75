"""What the monitors saw, look by look and champion by champion, in the ledger's database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tasks.ledger.schema import looks
from tasks.ledger.store import Ledger, lock_table

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, RowMapping

YEAR = timedelta(weeks=52)  # what monitor.looks_per_year is counted over


@dataclass(frozen=True)
class LookWindow:
    """The traffic that a look is at: from `start` to `end`, ISO times in UTC."""

    start: str
    end: str


@dataclass(frozen=True)
class Look:
    """Look number `look` (from 1) at the traffic of one champion; `payload` holds its findings and its report."""

    model: str
    champion_version: str
    look: int
    at: str
    window_start: str
    window_end: str
    alarm: bool
    payload: dict[str, Any]

    @property
    def name(self) -> str:
        return look_name(self.champion_version, self.look)


@dataclass(frozen=True)
class MonitoredChampion:
    """The champion that a look is at, and the looks at it before."""

    model: str
    version: str
    earlier: tuple[Look, ...]


def look_name(version: str, number: int) -> str:
    """What a look is called in folders, events and requests."""
    return f"v{version}-{number}"


def all_looks(ledger: Ledger, model: str, version: str | None = None) -> tuple[Look, ...]:
    """The looks at a model's champions, or at one of them, oldest first."""
    query = sa.select(looks).where(looks.c.model == model).order_by(looks.c.at, looks.c.look)
    if version is not None:
        query = query.where(looks.c.champion_version == version)
    rows = ledger.read(lambda connection: connection.execute(query).mappings().all())
    return tuple(_look_of(row) for row in rows)


def look_of_year(ledger: Ledger, model: str, version: str) -> int:
    """The number of the next look in this champion's year: what alpha is spent by."""
    since = (ledger.now().astimezone(UTC) - YEAR).isoformat(timespec="milliseconds")
    return sum(look.at > since for look in all_looks(ledger, model, version)) + 1


def record_look(ledger: Ledger, model: str, version: str, window: LookWindow, *, alarm: bool, payload: dict[str, Any]) -> Look:
    """Store a look under the champion's next number; of two that end at the same moment the first is kept and returned."""

    def work(connection: Connection) -> Look:
        lock_table(connection, ledger, f"monitor:{model}")
        mine = (looks.c.model == model) & (looks.c.champion_version == version)
        same = connection.execute(sa.select(looks).where(mine, looks.c.window_end == window.end)).mappings().first()
        if same is not None:
            return _look_of(same)
        number = (connection.scalar(sa.select(sa.func.max(looks.c.look)).where(mine)) or 0) + 1
        look = Look(model, version, number, ledger.stamp(), window.start, window.end, alarm, payload)
        connection.execute(sa.insert(looks).values(**{**vars(look), "payload": json.dumps(payload, sort_keys=True)}))
        return look

    return ledger.write(work)


def _look_of(row: RowMapping) -> Look:
    return Look(**{**row, "payload": json.loads(row["payload"])})
