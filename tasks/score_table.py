"""A table of a database as a Parquet file: read once, so that scoring it again after a kill scores the same rows."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.text.tables import opened
from tasks.text.workspace import world_faults

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 10_000


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

    with opened(address, "--input") as source:
        schema = pa.schema([(column.name, _type(column.type)) for column in source.table.columns])
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for rows in source.partitions(ROWS):
                writer.write_table(_rows(schema, list(zip(*rows, strict=True))))


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
