"""A table of a database as a Parquet file: one state of it for all readers; the scores of equal rows are kept.

It is read anew each time, for its rows may be others since; equal rows make an equal file, byte for byte, so that the parts that a
killed scoring left are found again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.common.workspace import workspace, world_faults
from tasks.data.sources.tables import open_table
from tasks.serving.batch.input_files import staging_prefix

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

ROWS = 10_000


@contextmanager
def stage_table(address: str, output: Path) -> Iterator[str]:
    """The table's rows as they are now, in a file beside the result that goes when the block ends, or after a kill next time."""
    with ExitStack() as stack:
        with world_faults(output.parent):
            folder = stack.enter_context(workspace(output.parent, staging_prefix(output)))
            place = folder / "table.parquet"
            _copy_table(address, place)
        yield str(place)


def _copy_table(address: str, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_table(address, "--input") as source:
        schema = pa.schema([(column.name, _arrow_type(column.type)) for column in source.table.columns])
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for rows in source.partitions(ROWS):
                writer.write_table(_table_of_columns(schema, list(zip(*rows, strict=True))))


def _arrow_type(kind: sa.types.TypeEngine[object]) -> pa.DataType:
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


def _table_of_columns(schema: pa.Schema, columns: list[tuple[object, ...]]) -> pa.Table:
    import pyarrow as pa

    arrays = []
    for field, values in zip(schema, columns, strict=True):
        text = pa.types.is_string(field.type)
        cells = [None if value is None else str(value) for value in values] if text else list(values)
        arrays.append(pa.array(cells, type=field.type))
    return pa.table(arrays, schema=schema)
