"""Traffic in a database that many machines share: two tables, into which the same journal may be put twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError

from configs.errors import InfraError, InputError
from tasks.traffic.records import KINDS, Kind, empty_table
from tasks.traffic.store import Query

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy.engine import Connection, Engine

VARIABLE = "TUNEKEEPER_TRAFFIC_URL"
DIALECTS = ("sqlite", "postgresql+psycopg2")
ROWS = 1000  # of one insert
FETCHED = 10_000
IDS = 5000  # asked for at once
POSTGRES = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "options": "-c statement_timeout=60000",
}
metadata = sa.MetaData()
_TEXT, _REAL = sa.Text, sa.Double
_TYPES: dict[str, sa.DateTime | type[sa.Double[Any]] | type[sa.Boolean]] = {
    "time": sa.DateTime(timezone=True), "score": _REAL, "latency_ms": _REAL, "audit_probability": _REAL, "audit": sa.Boolean,
}  # fmt: skip
_COLUMNS: dict[Kind, tuple[str, ...]] = {
    "answers": (
        "id", "time", "version", "text", "prediction", "score", "latency_ms", "audit", "audit_probability", "origin",
    ),
    "feedback": ("id", "answer_id", "time", "kind", "value", "source"),
}  # fmt: skip
TABLES: dict[Kind, sa.Table] = {
    kind: sa.Table(
        f"traffic_{kind}",
        metadata,
        sa.Column("pipeline", sa.String(63), primary_key=True),
        *(sa.Column(name, _TYPES.get(name, _TEXT), primary_key=name == "id", nullable=name == "score") for name in _COLUMNS[kind]),
        sa.Index(f"traffic_{kind}_time", "pipeline", "time"),
    )
    for kind in KINDS
}


class SqlStore:
    """The tables of one database, the rows of one pipeline. Raises InfraError, without the password, where it does not answer."""

    seal_seconds = 2.0  # others look at it from elsewhere
    seal_bytes = 8 << 20

    def __init__(self, url: str, pipeline: str) -> None:
        self.url, self.pipeline = _parse_url(url), pipeline
        self._ready = False

    @property
    def name(self) -> str:
        return self.url.set(query={}).render_as_string(hide_password=True)

    def put(self, name: str, tables: dict[Kind, pa.Table]) -> None:
        """One transaction; a row that is there stays as it is."""
        with self._transaction() as connection:
            for kind in KINDS:
                insert = (postgresql if self._is_server else sqlite).insert(TABLES[kind]).on_conflict_do_nothing()
                for batch in tables[kind].to_batches(max_chunksize=ROWS):
                    connection.execute(insert, [{**row, "pipeline": self.pipeline} for row in batch.to_pylist()])

    def read(self, kind: Kind, query: Query) -> pa.Table:
        import pyarrow as pa

        with self._transaction() as connection:
            tables = [rows for ids in _id_batches(query.ids) for rows in self._rows(connection, kind, query, ids)]
        return pa.concat_tables([empty_table(kind).select(query.names(kind)), *tables])

    def tidy(self) -> None:
        return None

    def close(self) -> None:
        return None

    def _rows(self, connection: Connection, kind: Kind, query: Query, ids: list[str] | None) -> Iterator[pa.Table]:
        table, names = TABLES[kind], query.names(kind)
        statement = sa.select(*(table.c[name] for name in names)).where(table.c.pipeline == self.pipeline)
        if query.start is not None:
            statement = statement.where(table.c.time >= query.start.astimezone(UTC))
        if query.end is not None:
            statement = statement.where(table.c.time < query.end.astimezone(UTC))
        if ids is not None:
            statement = statement.where(table.c.id.in_(ids))
        if query.audits:
            statement = statement.where(table.c.audit)
        for name, value in query.values.items():
            statement = statement.where(table.c[name] == value)
        if query.most is not None:
            statement = statement.order_by(table.c.id).limit(query.most)
        result = connection.execution_options(stream_results=True).execute(statement)
        for rows in result.partitions(FETCHED):
            yield _table_of_columns(kind, names, list(zip(*rows, strict=True)))

    @property
    def _is_server(self) -> bool:
        return self.url.get_backend_name() != "sqlite"

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            if not self._ready:
                with self._engine.begin() as connection:
                    if self._is_server:
                        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(0x74756E65)))
                    metadata.create_all(connection)
                self._ready = True
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            lines = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
            raise InfraError(
                f"the traffic log at {self.name} does not answer ({lines[0]}): see that it is up and {VARIABLE} is right"
            ) from error

    @cached_property
    def _engine(self) -> Engine:
        try:
            options = {name: value for name, value in POSTGRES.items() if name not in self.url.query}
            return sa.create_engine(self.url, poolclass=sa.NullPool, connect_args=options if self._is_server else {"timeout": 5.0})
        except ModuleNotFoundError as error:
            raise InfraError(
                f"the traffic log at {self.name} needs the package {error.name}: pip install psycopg2-binary"
            ) from error


def _parse_url(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InputError(
            f"{VARIABLE} is no database URL: write postgresql+psycopg2://..., or leave it unset for Parquet"
        ) from error
    if parsed.drivername not in DIALECTS or (parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:")):
        raise InputError(f"{VARIABLE} begins with `{parsed.drivername}`: write postgresql+psycopg2://..., or sqlite:///FILE")
    return parsed


def _id_batches(ids: frozenset[str] | None) -> list[list[str] | None]:
    if ids is None:
        return [None]
    in_order = sorted(ids)
    return [in_order[start : start + IDS] for start in range(0, len(in_order), IDS)]


def _table_of_columns(kind: Kind, names: list[str], columns: list[tuple[Any, ...]]) -> pa.Table:
    import pyarrow as pa

    schema = empty_table(kind).select(names).schema
    values = dict(zip(names, columns, strict=True))
    values["time"] = tuple(time if time.tzinfo else time.replace(tzinfo=UTC) for time in values["time"])
    return pa.table([pa.array(values[field.name], type=field.type) for field in schema], schema=schema)
