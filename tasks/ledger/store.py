"""A ledger's database: SQLite in a file, or PostgreSQL. One place for its connections and its retries.

Work handed to `read` and `write` may run more than once: a commit whose answer was lost is tried again. So each piece is written to
find what its first run did.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from configs.errors import InfraError, InputError
from tasks.ledger import schema as tables
from tasks.ledger.database_faults import database_fault, may_pass

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

T = TypeVar("T")
DIALECTS = ("sqlite", "postgresql+psycopg2")
BUSY_SECONDS = 5.0
CLOCKS_APART = timedelta(hours=1)  # of machines that share a ledger, at the most: a later time is of a clock that was wrong
# The server too must notice within half a minute that a machine lost its power, or its locks would stay for hours.
POSTGRES = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3 -c statement_timeout=60000",
}


def utc_now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """One ledger, by its URL (`sqlite:///FILE` or `postgresql+psycopg2://...`); nothing is opened before it is used.

    No connection outlives its transaction, so a forked process shares none. `notify` gets a sentence where an older ledger was
    brought up to this schema. Raises InputError for a URL that cannot be one.
    """

    def __init__(
        self, url: str, *, now: Callable[[], datetime] = utc_now, sleep: Callable[[float], None] = time.sleep, attempts: int = 5,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.url = _parse_url(url)
        self.now, self.sleep, self.attempts, self.notify = now, sleep, attempts, notify
        self._ready = False

    @property
    def shared(self) -> bool:
        """Whether other machines can reach it, so that a file lock on this one is not enough."""
        return self.url.get_backend_name() != "sqlite"

    @property
    def exists(self) -> bool:
        """Whether there is one to be read; of a shared one that is taken for granted."""
        return self.shared or Path(str(self.url.database)).is_file()

    @property
    def name(self) -> str:
        """Its URL as it may be shown: without password and query."""
        return self.url.set(query={}).render_as_string(hide_password=True)

    @property
    def clock(self) -> sa.ColumnElement[float]:
        """The database's own time in seconds since 1970, read at the moment the statement runs."""
        text = "extract(epoch from clock_timestamp())" if self.shared else "((julianday('now') - 2440587.5) * 86400.0)"
        return sa.literal_column(text, sa.Double)

    def stamp(self) -> str:
        return self.now().astimezone(UTC).isoformat(timespec="milliseconds")

    def insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        """An INSERT that knows ON CONFLICT, which SQLAlchemy keeps per dialect."""
        return postgresql.insert(table) if self.shared else sqlite.insert(table)

    def read(self, work: Callable[[Connection], T]) -> T:
        return self._run_with_retries(work, self._engine)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction that is wholly there afterwards, or not at all."""
        return self._run_with_retries(work, self._engine.execution_options(tunekeeper_write=True))

    @contextmanager
    def exclusive(self, key: str, timeout: float = 60.0) -> Iterator[Callable[[], None]]:
        """Hold `key` alone until the block ends or the process dies; yields a check that raises where the lock was lost.

        MLflow sets an alias without comparing, so two promotions under way at once could not be kept apart by the rows alone.
        """
        lock = self._postgres_lock if self.shared else self._file_lock
        with lock(key, timeout) as still_mine:
            yield still_mine

    @contextmanager
    def _file_lock(self, key: str, timeout: float) -> Iterator[Callable[[], None]]:
        from tasks.ledger.pipeline_lock import file_lock

        path = Path(f"{self.url.database}.{sha256(key.encode()).hexdigest()[:12]}.lock")
        with file_lock(path, f"the ledger's row of {key}", lambda _: None, timeout):
            yield lambda: None

    @contextmanager
    def _postgres_lock(self, key: str, timeout: float) -> Iterator[Callable[[], None]]:
        number = int.from_bytes(sha256(f"tunekeeper:{key}".encode()).digest()[:8], "big", signed=True)
        self.read(lambda _: None)  # retries, the tables and the clear errors
        with self._translate_faults():
            connection = self._engine.execution_options(isolation_level="AUTOCOMMIT").connect()
        with connection:
            with self._translate_faults():
                connection.execute(sa.text(f"SET lock_timeout = {int(timeout * 1000)}"))
                connection.execute(sa.select(sa.func.pg_advisory_lock(number)))
            yield lambda: self._ping(connection)

    def _ping(self, connection: Connection) -> None:
        with self._translate_faults():
            connection.execute(sa.text("SELECT 1"))

    def _run_with_retries(self, work: Callable[[Connection], T], engine: Engine) -> T:
        attempts = Retrying(
            stop=stop_after_attempt(self.attempts), wait=wait_exponential(multiplier=0.2), retry=retry_if_exception(may_pass),
            sleep=self.sleep, reraise=True,
        )  # fmt: skip
        try:
            done: T = attempts(self._run_once, work, engine)
            return done
        except DBAPIError as error:
            raise database_fault(self.name, error, attempts.statistics["attempt_number"]) from error

    def _run_once(self, work: Callable[[Connection], T], engine: Engine) -> T:
        self._prepare_tables()
        with engine.begin() as connection:
            return work(connection)

    @contextmanager
    def _translate_faults(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise database_fault(self.name, error, 1) from error

    def _prepare_tables(self) -> None:
        """Make the tables once, and those that an older ledger lacks.

        Any process may be the first, so they are made under the writer's lock.
        """
        if self._ready:
            return
        if not self.shared:
            _make_folder(Path(str(self.url.database)).parent, self.name)
        with self._engine.begin() as connection:
            version = _schema_version(connection)
        if version is None or version < tables.VERSION:
            with self._engine.execution_options(tunekeeper_write=True).begin() as connection:
                notice = _migrate(connection, self)
            if notice is not None:
                self.notify(f"the ledger at {self.name} was {notice}")
        elif version > tables.VERSION:
            raise InfraError(
                f"the ledger at {self.name} has schema {version}, this Tunekeeper knows {tables.VERSION}: run the one that made it"
            )
        self._ready = True

    @cached_property
    def _engine(self) -> Engine:
        arguments = POSTGRES if self.shared else {"timeout": BUSY_SECONDS, "isolation_level": None}
        try:
            engine = sa.create_engine(self.url, poolclass=sa.NullPool, connect_args=arguments)
        except ModuleNotFoundError as error:
            raise InfraError(f"the ledger at {self.name} needs the package {error.name}: pip install psycopg2-binary") from error
        if not self.shared:
            sa.event.listen(engine, "connect", _set_pragmas)
            sa.event.listen(engine, "begin", _begin_transaction)
        return engine


def _parse_url(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InputError("TUNEKEEPER_LEDGER_URL is no database URL: write sqlite:///FILE or postgresql+psycopg2://...") from error
    if parsed.drivername not in DIALECTS:
        raise InputError(f"TUNEKEEPER_LEDGER_URL begins with `{parsed.drivername}`: the ledger knows {' and '.join(DIALECTS)}")
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise InputError("TUNEKEEPER_LEDGER_URL names no file: a ledger in memory would be forgotten; write sqlite:///FILE")
    return parsed


def _make_folder(folder: Path, ledger: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfraError(
            f"the ledger at {ledger} cannot be made ({error.strerror}: {folder}): check the path, or free the disk"
        ) from error


def _set_pragmas(connection: Any, _: object) -> None:
    """WAL so that readers never wait; FULL so that a promotion survives the power."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _begin_transaction(connection: Connection) -> None:
    writes = connection.get_execution_options().get("tunekeeper_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _schema_version(connection: Connection) -> int | None:
    there = sa.inspect(connection).has_table(tables.schema.name)
    return connection.scalar(sa.select(tables.schema.c.version)) if there else None


def _migrate(connection: Connection, ledger: Ledger) -> str | None:
    """Bring the tables up, unless another process did so meanwhile; a sentence for the user where there was an older ledger."""
    lock_table(connection, ledger, "schema")
    version = _schema_version(connection)
    return None if version == tables.VERSION else tables.migrate_schema(connection, version)


def lock_table(connection: Connection, ledger: Ledger, key: str) -> None:
    """Let writers that read before they insert go one after the other; on SQLite BEGIN IMMEDIATE already does."""
    if ledger.shared:
        number = int.from_bytes(sha256(f"tunekeeper:write:{key}".encode()).digest()[:8], "big", signed=True)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))
