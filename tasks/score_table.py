"""A table of a database as a Parquet file: read once, so that scoring it again after a kill scores the same rows."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import InfraError, InputError
from tasks.text.workspace import world_faults

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 10_000
DIALECTS = ("postgresql+psycopg2", "sqlite")


def is_address(source: str) -> bool:
    """Whether a source is a table: DIALECT://.../DATABASE/TABLE."""
    return source.partition("://")[0] in DIALECTS and "://" in source


@contextmanager
def staged(address: str, output: Path) -> Iterator[str]:
    """The table's rows in a file beside the result, as they were when scoring began; removed when the block ends well."""
    name = hashlib.sha256(address.encode()).hexdigest()[:16]
    place = output.with_name(f".{output.name}.{name}.table.parquet")
    with world_faults(output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_file():
            aside = place.with_suffix(f".{os.getpid()}")
            try:
                _copy(address, aside)
                aside.replace(place)
            finally:
                aside.unlink(missing_ok=True)
    yield str(place)
    place.unlink(missing_ok=True)


def _copy(address: str, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import sqlalchemy as sa
    from sqlalchemy.exc import DBAPIError, NoSuchTableError

    url = sa.make_url(address)
    database, _, named = (url.database or "").rpartition("/")
    space, _, table_name = named.rpartition(".")
    shown = url.set(query={}).render_as_string(hide_password=True)
    if not database or not table_name:
        raise InputError(f"--input {shown}: names no table: write DIALECT://HOST/DATABASE/TABLE")
    try:
        engine = sa.create_engine(url.set(database=database), poolclass=sa.NullPool)
        table = sa.Table(table_name, sa.MetaData(), autoload_with=engine, schema=space or None)
        schema = pa.schema([(column.name, _type(column.type)) for column in table.columns])
        with engine.connect() as connection, pq.ParquetWriter(path, schema, compression="zstd") as writer:
            result = connection.execution_options(stream_results=True).execute(sa.select(table))
            for rows in result.partitions(ROWS):
                writer.write_table(_rows(schema, list(zip(*rows, strict=True))))
    except ModuleNotFoundError as error:
        raise InfraError(f"--input {shown}: needs the package {error.name}: pip install psycopg2-binary") from error
    except NoSuchTableError as error:
        raise InputError(f"--input {shown}: there is no table {named} in that database: correct the name") from error
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        raise InfraError(f"--input {shown}: the database does not answer ({said[0]}): see that it is up, then run again") from error


def _type(kind: Any) -> pa.DataType:
    import pyarrow as pa
    import sqlalchemy as sa

    for known, arrow in (
        (sa.Boolean, pa.bool_()),
        (sa.Integer, pa.int64()),
        (sa.Float, pa.float64()),
        (sa.Date, pa.date32()),
    ):
        if isinstance(kind, known):
            return arrow
    if isinstance(kind, sa.DateTime):
        return pa.timestamp("us", tz="UTC" if kind.timezone else None)
    return pa.string()


def _rows(schema: pa.Schema, columns: list[tuple[Any, ...]]) -> pa.Table:
    import pyarrow as pa

    arrays = []
    for field, values in zip(schema, columns, strict=True):
        text = pa.types.is_string(field.type)
        given = [None if value is None else str(value) for value in values] if text else list(values)
        arrays.append(pa.array(given, type=field.type))
    return pa.table(arrays, schema=schema)
