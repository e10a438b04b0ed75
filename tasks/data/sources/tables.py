"""A table of a database as a source of rows: DIALECT://HOST/DATABASE/TABLE, read as a stream in an order that does not change.

The order is that of the primary key, or of all columns where there is none, so that equal content is read and hashed equally.
Only the required columns are read, so that the content of another stops nothing.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from configs.errors import InfraError, InputError
from tasks.data.sources.chunk import library_text, meant_column

if TYPE_CHECKING:
    import sqlalchemy as sa

CONNECT_SECONDS = 10


@dataclass(frozen=True)
class OpenTable:
    """A table and a connection to its database; `shown` is how an error names it."""

    table: sa.Table
    connection: sa.Connection
    shown: str

    def partitions(
        self, rows: int, names: tuple[str, ...] | None = None, most: int | None = None
    ) -> Iterator[list[tuple[object, ...]]]:
        """Lists of at most so many rows, of the wanted columns (all where none are named), never all in memory.

        `most`: only so many rows, whichever the database gives first.
        """
        import sqlalchemy as sa

        columns = [self.table.c[name] for name in dict.fromkeys(names or self.table.c.keys())]
        order: list[sa.ColumnElement[Any]] = list(self.table.primary_key.columns) or [
            _sort_column(column) for column in self.table.c
        ]
        lenient = self.connection.dialect.name == "sqlite"  # any cell of it may hold anything
        selected = [sa.type_coerce(c, sa.types.NullType()).label(f"c{i}") for i, c in enumerate(columns)] if lenient else columns
        read = [_cell_reader(column, self.connection.dialect) if lenient else None for column in columns]
        query = sa.select(*selected).order_by(*order) if most is None else sa.select(*selected).limit(most)
        result = self.connection.execution_options(stream_results=True).execute(query)
        try:
            for part in result.partitions(rows):
                if any(read):
                    yield [tuple(f(v) if f else v for f, v in zip(read, row, strict=True)) for row in part]
                else:
                    yield [tuple(row) for row in part]
        except (ValueError, OverflowError) as error:  # a driver's: a time that Python cannot hold
            listed = ", ".join(f"`{column.name}`" for column in columns)
            raise InputError(
                f"{self.shown}: one of the columns {listed} holds a value that cannot be read ({library_text(error)}): correct it, "
                "or name a view that leaves it out"
            ) from error


def _cell_reader(column: sa.Column[Any], dialect: sa.Dialect) -> Callable[[object], object] | None:
    """A cell as its column's type has it, or as it stands there where it is none of that type; None where they are the same."""
    process = column.type.dialect_impl(dialect).result_processor(dialect, None)
    if process is None:
        return None
    fits = _fits_stored_type(column.type)

    def read(value: object) -> object:
        try:
            return process(value) if fits(value) else value
        except (ValueError, TypeError, InvalidOperation):
            return value

    return read


def _fits_stored_type(kind: sa.types.TypeEngine[Any]) -> Callable[[object], bool]:
    """Which cells SQLite stores for a type: of others the processor would make another value without an error."""
    import sqlalchemy as sa

    if isinstance(kind, sa.Boolean):
        return lambda value: value in (0, 1)
    if isinstance(kind, sa.Numeric):  # a whole number would get ten decimals, or lose its last digits
        return lambda value: isinstance(value, float)
    if isinstance(kind, sa.LargeBinary):
        return lambda value: isinstance(value, bytes)
    return lambda _: True


def _sort_column(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """A column as rows are ordered by it; databases do not order JSON."""
    import sqlalchemy as sa

    return sa.cast(column, sa.Text) if type(column.type).__name__ in ("JSON", "XML", "NullType") else column


def without_login(address: str) -> str:
    """The address as it may be shown."""
    import sqlalchemy as sa

    url = sa.make_url(address)
    return url._replace(username=None, password=None, query=sa.util.EMPTY_DICT).render_as_string()


@contextmanager
def open_table(address: str, where: str) -> Iterator[OpenTable]:
    """The table, for as long as the block lasts; `where` is the setting that named it, for errors: `data.source`, `--input`."""
    import sqlalchemy as sa
    from sqlalchemy.exc import DBAPIError, NoSuchTableError

    url = sa.make_url(address)
    database, _, table_name = (url.database or "").rpartition("/")
    space, _, name = table_name.rpartition(".")
    label = f"{where} {without_login(address)}"
    if not database or not name:
        raise InputError(f"{label}: names no table: write DIALECT://HOST/DATABASE/TABLE")
    try:
        engine = _engine(url, database, label)
        table = sa.Table(name, sa.MetaData(), autoload_with=engine, schema=space or None)
        with engine.connect() as connection:
            yield OpenTable(table, connection, label)
    except ModuleNotFoundError as error:
        raise InfraError(f"{label}: needs the package {error.name}: pip install psycopg2-binary") from error
    except NoSuchTableError as error:
        raise InputError(f"{label}: there is no table {table_name} in that database: correct the name") from error
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.DatabaseError) and "not a database" in str(error.orig):
            raise InputError(f"{label}: is no SQLite database: correct the path") from error
        answer = (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
        if _is_answer(error):
            raise InputError(
                f"{label}: cannot be read ({answer}): correct the table, or the view and what it is made of"
            ) from error
        raise InfraError(f"{label}: the database does not answer ({answer}): see that it is up, then run again") from error


def _is_answer(error: sa.exc.DBAPIError) -> bool:
    """Whether a database says what is wrong with what it holds, or was asked for: SQLite has one error for that and for a lock."""
    from sqlalchemy.exc import DataError, ProgrammingError

    if isinstance(error.orig, sqlite3.DatabaseError):
        return error.orig.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT)
    return isinstance(error, DataError | ProgrammingError)


def _engine(url: sa.URL, database: str, label: str) -> sa.Engine:
    import sqlalchemy as sa

    if url.get_backend_name() != "sqlite":
        patience = {"connect_timeout": CONNECT_SECONDS} if url.get_backend_name() == "postgresql" else {}
        return sa.create_engine(url.set(database=database), poolclass=sa.NullPool, connect_args=patience)
    place = Path(database).expanduser().absolute()
    if not place.is_file():
        raise InputError(f"{label}: there is no file {place}: correct the path, as in sqlite:///FOLDER/FILE.db/TABLE")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{quote(str(place))}?mode=ro", uri=True)
        connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        return connection

    return sa.create_engine("sqlite://", creator=connect, poolclass=sa.NullPool)


def table_columns(address: str) -> tuple[str, ...]:
    """The table's columns by name."""
    with open_table(address, "data.source") as source:
        return tuple(source.table.c.keys())


def count_rows(address: str) -> int:
    """How many rows the table has now."""
    import sqlalchemy as sa

    with open_table(address, "data.source") as source:
        return int(source.connection.scalar(sa.select(sa.func.count()).select_from(source.table)) or 0)


def table_digest(address: str, columns: tuple[str, ...] | None = None) -> str:
    """`N rows, sha256 HASH` of the table's content (of these columns), whatever the order it is stored in."""
    rows, hashed = 0, hashlib.sha256()
    with open_table(address, "data.source") as source:
        names = tuple(columns or source.table.c.keys())
        check_columns(source, names)
        hashed.update(json.dumps(names).encode())
        for part in source.partitions(10_000, names):
            rows += len(part)
            hashed.update("\n".join(json.dumps(row, default=str) for row in part).encode() + b"\n")
    return f"{rows} rows, sha256 {hashed.hexdigest()}"


def check_columns(source: OpenTable, columns: tuple[str, ...]) -> None:
    """Refuse a column that the table does not have."""
    there = source.table.c.keys()
    if missing := [name for name in columns if name not in there]:
        listed = ", ".join(f"`{name}`" for name in there)[:500]
        suggestion = meant_column(missing[0], list(there))
        raise InputError(
            f"{source.shown}: has no column `{missing[0]}`; its columns are {listed}: {suggestion}correct the names under data"
        )


def rows_in(digest: str) -> int:
    """The number of rows in a `table_digest`."""
    return int(digest.split(maxsplit=1)[0])
