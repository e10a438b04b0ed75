"""The ledger's tables: what was promoted, decided and trained, and who holds a pipeline. Imports SQLAlchemy alone.

Versions are strings: MLflow gives int from SQLite and str over REST. Times are ISO 8601 in UTC, by the caller's clock, except a
lease's, which only the database's clock may judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Double, Index, Integer, MetaData, PrimaryKeyConstraint, String, Table, Text, TypeDecorator

from configs.credentials import without_credentials

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Dialect

VERSION = (
    3  # 2 added tables; 3 counts looks per model, which were counted per model and champion: `migrate_schema` brings a ledger up
)
metadata = MetaData()


class PlainText(TypeDecorator[str]):
    """Text that is written without the credentials of any URL in it."""

    impl, cache_ok = Text, True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else without_credentials(value)


schema = Table("ledger_schema", metadata, Column("version", Integer, primary_key=True))

promotions = Table(
    "ledger_promotions",
    metadata,
    Column("model", String(255), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("token", String(32), nullable=False),  # tells a writer its own row after a commit whose answer was lost
    Column("kind", String(16), nullable=False),
    Column("from_version", String(64)),
    Column("to_version", String(64)),
    Column("verdict", String(32)),
    Column("rule", String(32)),
    Column("run_id", String(255)),
    Column("train_key", String(128)),
    Column("decision_key", String(128)),
    Column("who", PlainText, nullable=False),
    Column("at", String(40), nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    PrimaryKeyConstraint("model", "epoch"),
)

decisions = Table(
    "ledger_decisions",
    metadata,
    Column("model", String(255), nullable=False),
    Column("decision_key", String(128), nullable=False),
    Column("train_key", String(128)),
    Column("test_rows_hash", String(128), nullable=False),
    Column("champion_version", String(64), nullable=False),  # "" where there was none: NULLs are never equal in a unique index
    Column("look", Integer, nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("run_id", String(255)),
    Column("at", String(40), nullable=False),
    Column("payload", PlainText, nullable=False),
    PrimaryKeyConstraint("model", "decision_key"),
    Index("ledger_decisions_at", "model", "at"),
)

leases = Table(
    "ledger_leases",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("token", String(32), nullable=False),
    Column("holder", PlainText, nullable=False),
    Column("since", String(40), nullable=False),
    Column("expires", Double, nullable=False),  # seconds since 1970 by the database's clock
)

looks = Table(  # what the monitors saw of a champion's traffic
    "ledger_looks",
    metadata,
    Column("model", String(255), nullable=False),
    Column("champion_version", String(64), nullable=False),
    Column("look", Integer, nullable=False),  # from 1, per champion
    Column("at", String(40), nullable=False),
    Column("window_start", String(40), nullable=False),
    Column("window_end", String(40), nullable=False),
    Column("alarm", Boolean, nullable=False),
    Column("payload", PlainText, nullable=False),
    PrimaryKeyConstraint("model", "champion_version", "look"),
)

requests = Table(  # why a retraining was asked for, and what became of it
    "ledger_requests",
    metadata,
    Column("model", String(255), nullable=False),
    Column("id", String(64), nullable=False),
    Column("why", String(32), nullable=False),  # drift, decay, new-data, schedule, person; or approval
    Column("at", String(40), nullable=False),
    Column("state", String(16), nullable=False),  # tasks/ledger/retrain_history.py, tasks/ledger/approvals.py
    Column("payload", PlainText, nullable=False),
    PrimaryKeyConstraint("model", "id"),
    Index("ledger_requests_at", "model", "at"),
)


def migrate_schema(connection: Connection, before: int | None) -> str | None:
    """Make the tables, or bring those of schema `before` up where they are; no row is changed, all that was counted counts.

    Returns a sentence for the user where there was an earlier ledger. The caller holds the writers' lock.
    """
    metadata.create_all(connection)
    connection.execute(sa.delete(schema))
    connection.execute(sa.insert(schema).values(version=VERSION))
    if before is None:
        return None
    connection.execute(sa.text("DROP INDEX IF EXISTS ledger_decisions_looks"))
    for index in decisions.indexes:
        index.create(connection, checkfirst=True)
    counted = connection.scalar(sa.select(sa.func.count()).select_from(decisions))
    return (
        f"brought from schema {before} to {VERSION}: looks are counted per pipeline and year, whoever is champion; all {counted} "
        "decisions are kept, and those of the last 52 weeks count"
    )
