"""A table of a database as a source of rows: DIALECT://HOST/DATABASE/TABLE, read as a stream in an order that does not change.

The order is that of the primary key, or of all columns where there is none, so that equal content is read and hashed equally.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from configs.errors import InfraError, InputError

if TYPE_CHECKING:
    import sqlalchemy as sa

CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Opened:
    """A table and a connection to its database."""

    table: sa.Table
    connection: sa.Connection

    def partitions(self, rows: int, wanted: tuple[str, ...] | None = None) -> Iterator[list[tuple[Any, ...]]]:
        """Lists of at most so many rows, of the wanted columns (all where none are named), never all in memory."""
        import sqlalchemy as sa

        named = [self.table.c[name] for name in (wanted or self.table.c.keys())]
        order = list(self.table.primary_key.columns) or list(self.table.c)
        result = self.connection.execution_options(stream_results=True).execute(sa.select(*named).order_by(*order))
        for part in result.partitions(rows):
            yield [tuple(row) for row in part]


def without_login(address: str) -> str:
    """The address as it may be shown."""
    import sqlalchemy as sa

    url = sa.make_url(address)
    return url._replace(username=None, password=None, query=sa.util.EMPTY_DICT).render_as_string()


@contextmanager
def opened(address: str, where: str) -> Iterator[Opened]:
    """The table, for as long as the block lasts; `where` is what an error says named it: `data.source`, `--input`."""
    import sqlalchemy as sa
    from sqlalchemy.exc import DBAPIError, NoSuchTableError

    url = sa.make_url(address)
    database, _, named = (url.database or "").rpartition("/")
    space, _, name = named.rpartition(".")
    shown = f"{where} {without_login(address)}"
    if not database or not name:
        raise InputError(f"{shown}: names no table: write DIALECT://HOST/DATABASE/TABLE")
    try:
        patience = {"connect_timeout": CONNECT_SECONDS} if url.get_backend_name() == "postgresql" else {}
        engine = sa.create_engine(url.set(database=database), poolclass=sa.NullPool, connect_args=patience)
        table = sa.Table(name, sa.MetaData(), autoload_with=engine, schema=space or None)
        with engine.connect() as connection:
            yield Opened(table, connection)
    except ModuleNotFoundError as error:
        raise InfraError(f"{shown}: needs the package {error.name}: pip install psycopg2-binary") from error
    except NoSuchTableError as error:
        raise InputError(f"{shown}: there is no table {named} in that database: correct the name") from error
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        raise InfraError(f"{shown}: the database does not answer ({said[0]}): see that it is up, then run again") from error


def columns(address: str) -> tuple[str, ...]:
    """The table's columns by name."""
    with opened(address, "data.source") as source:
        return tuple(source.table.c.keys())


def count(address: str) -> int:
    """How many rows the table has now."""
    import sqlalchemy as sa

    with opened(address, "data.source") as source:
        return int(source.connection.scalar(sa.select(sa.func.count()).select_from(source.table)) or 0)


def digest(address: str) -> str:
    """`N rows, sha256 HASH` of all that the table holds, whatever the order it is stored in."""
    seen, hashed = 0, hashlib.sha256()
    with opened(address, "data.source") as source:
        hashed.update(json.dumps(source.table.c.keys()).encode())
        for part in source.partitions(10_000):
            seen += len(part)
            hashed.update("\n".join(json.dumps(row, default=str) for row in part).encode() + b"\n")
    return f"{seen} rows, sha256 {hashed.hexdigest()}"


def rows_in(found: str) -> int:
    """The number of rows that a `digest` tells of."""
    return int(found.split(maxsplit=1)[0])
