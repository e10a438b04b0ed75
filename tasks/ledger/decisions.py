"""What the ledger remembers besides promotions: every decision, counted as a look of its pipeline's year.

Looks are counted per model, not per champion: each spends a share of the year's alpha, and a new champion brings none of it back.
A known decision-key returns the earlier verdict and is no new look: this is the path of a run in which nothing changed, so it is
one indexed query. Keys hold no names, so all is kept per model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from configs.errors import InfraError
from tasks.ledger.schema import decisions
from tasks.ledger.store import Ledger, lock_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Connection, RowMapping


YEAR = timedelta(weeks=52)  # what gate.looks_per_year is counted over


class LookTakenError(InfraError):
    """Another decision was counted since this one's alpha was worked out: decide again at the next look."""


@dataclass(frozen=True)
class Decision:
    """A verdict as reached at look number `look`, against that champion; `payload` is its outcome.

    `look` counts from 1 over the decisions on a model in the 52 weeks before; 0 is no look: nothing was tested. Rows of an earlier
    schema keep the number they had then, which started anew with each champion.
    """

    model: str
    decision_key: str
    train_key: str | None
    test_rows_hash: str
    champion_version: str | None
    look: int
    verdict: str
    run_id: str | None
    at: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class NewDecision:
    """A decision before it is counted. `look` is the number its verdict was reached at, None the next one.

    0 is for what a person did without a test: it is kept, and no look.
    """

    model: str
    decision_key: str
    test_rows_hash: str
    champion_version: str | None
    verdict: str
    run_id: str | None
    payload: dict[str, Any]
    train_key: str | None = None
    look: int | None = None


def find_decision(ledger: Ledger, model: str, decision_key: str) -> Decision | None:
    """The decision made under this key, if there was one."""
    return ledger.read(lambda connection: _read_decision(connection, model, decision_key))


def last_decision(ledger: Ledger, model: str) -> Decision | None:
    """The newest decision on a model, if there was one."""
    query = sa.select(decisions.c.decision_key).where(decisions.c.model == model).order_by(decisions.c.at.desc()).limit(1)
    key = ledger.read(lambda connection: connection.scalar(query))
    return None if key is None else find_decision(ledger, model, key)


def decisions_of(ledger: Ledger, model: str) -> tuple[Decision, ...]:
    """All decisions on a model, oldest first."""
    query = sa.select(decisions).where(decisions.c.model == model).order_by(decisions.c.at)
    rows = ledger.read(lambda connection: connection.execute(query).mappings().all())
    return tuple(_decision_of(row) for row in rows)


def look_number(ledger: Ledger, model: str) -> int:
    """The number the next decision on a model will have: what alpha is spent by.

    Decisions of the last 52 weeks count, against any champion and on any test rows: neither a promotion nor a test set that grows
    by a row is a new chance.
    """
    return ledger.read(lambda connection: _next_look(connection, ledger, model))


def check_look(ledger: Ledger, model: str, look: int) -> None:
    """Raise LookTakenError where another decision has this look by now: call it before acting on a verdict."""
    number = look_number(ledger, model)
    if look != number:
        raise _look_taken_error(model, look, number)


def record_decision(ledger: Ledger, new: NewDecision) -> Decision:
    """Count and store a decision, once: under a known key the earlier decision is returned and nothing is counted.

    Raises LookTakenError where another decision has the look it was reached at by now.
    """

    def work(connection: Connection) -> Decision:
        lock_table(connection, ledger, f"looks:{new.model}")
        earlier = _read_decision(connection, new.model, new.decision_key)
        if earlier is not None:
            return earlier
        number = 0 if new.look == 0 else _next_look(connection, ledger, new.model)
        if new.look not in (None, number):
            raise _look_taken_error(new.model, new.look, number)
        decision = Decision(**{**vars(new), "look": number}, at=ledger.stamp())
        row = {**vars(decision), "champion_version": decision.champion_version or "", "payload": _canonical_json(decision.payload)}
        connection.execute(sa.insert(decisions).values(**row))
        return decision

    return ledger.write(work)


def _look_taken_error(model: str, look: int | None, number: int) -> LookTakenError:
    return LookTakenError(f"{model}: decided at look {look}, but look {number} is the next by now: decide again")


def _read_decision(connection: Connection, model: str, decision_key: str) -> Decision | None:
    query = sa.select(decisions).where(decisions.c.model == model, decisions.c.decision_key == decision_key)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _decision_of(row)


def _decision_of(row: RowMapping) -> Decision:
    return Decision(**{**_row_values(row), "champion_version": row["champion_version"] or None})


def _next_look(connection: Connection, ledger: Ledger, model: str) -> int:
    since = (ledger.now().astimezone(UTC) - YEAR).isoformat(timespec="milliseconds")
    looks = (decisions.c.model == model) & (decisions.c.at > since) & (decisions.c.look > 0)
    return (connection.scalar(sa.select(sa.func.count()).where(looks)) or 0) + 1


def _canonical_json(payload: Mapping[str, object]) -> str:
    return json.dumps(payload, ensure_ascii=False, sort_keys=True)


def _row_values(row: RowMapping) -> dict[str, Any]:
    return {**row, "payload": json.loads(row["payload"])}
