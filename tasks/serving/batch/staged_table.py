"""A table of a database as a Parquet file: one state of it for all readers; the scores of equal rows are kept.

It is read anew each time, for its rows may be others since; equal rows make an equal file, byte for byte, so that the parts that a
killed scoring left are found again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InputError
from tasks.common.workspace import workspace, world_faults
from tasks.data.sources.source_files import faults_naming
from tasks.data.sources.tables import open_table
from tasks.serving.batch.input_files import staging_prefix

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

ROWS = 10_000
EXACT = 1 << 53  # whole numbers up to it are real ones too, digit by digit


@contextmanager
def stage_table(address: str, output: Path) -> Iterator[str]:
    """The table's rows as they are now, in a file beside the result that goes when the block ends, or after a kill next time."""
    with ExitStack() as stack:
        with world_faults(output.parent):
            folder = stack.enter_context(workspace(output.parent, staging_prefix(output)))
            place = folder / "table.parquet"
            shown = _copy_table(address, place)
        stack.enter_context(faults_naming(shown, str(place)))
        yield str(place)


def _copy_table(address: str, path: Path) -> str:
    """Write the rows to a file; returns how an error names the table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_table(address, "--input") as source:
        schema = pa.schema([(column.name, _arrow_type(column.type)) for column in source.table.columns])
        count = 0
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for rows in source.partitions(ROWS):
                writer.write_table(_table_of_columns(schema, list(zip(*rows, strict=True)), source.shown, count + 1))
                count += len(rows)
        if count == 0:
            raise InputError(f"{source.shown}: has no rows")
        return source.shown


def _arrow_type(kind: sa.types.TypeEngine[object]) -> pa.DataType:
    import pyarrow as pa
    import sqlalchemy as sa

    for known, arrow in (
        (sa.Boolean, pa.bool_()),
        (sa.Integer, pa.int64()),
        (sa.Float, pa.float64()),
        (sa.Date, pa.date32()),
        (sa.LargeBinary, pa.binary()),
    ):
        if isinstance(kind, known):
            return arrow
    if isinstance(kind, sa.DateTime):
        return pa.timestamp("us", tz="UTC" if kind.timezone else None)
    return pa.string()


def _table_of_columns(schema: pa.Schema, columns: list[tuple[object, ...]], shown: str, first: int) -> pa.Table:
    """Some rows of a table, the first of which has that number; InputError for a cell that is none of its column's type."""
    import pyarrow as pa

    for field, cells in zip(schema, columns, strict=True):
        for place, cell in enumerate(cells):
            if cell is not None and not _has_type(cell, field.type):
                raise InputError(
                    f"{shown} row {first + place}: `{field.name}` holds a {type(cell).__name__}, and is declared {field.type}: "
                    "correct it, or name a view that leaves the column out or casts it to text"
                )
    arrays = [_arrow_array(cells, field.type) for field, cells in zip(schema, columns, strict=True)]
    return pa.table(arrays, schema=schema)


def _has_type(cell: object, kind: pa.DataType) -> bool:
    """Whether a cell is of its column's type: Arrow would cut a real number to a whole one, and shift a time to UTC."""
    import pyarrow as pa

    if pa.types.is_string(kind):
        return not isinstance(cell, bytes)
    match cell:
        case bool():
            return bool(pa.types.is_boolean(kind))
        case int():
            return bool(pa.types.is_integer(kind) or (pa.types.is_floating(kind) and abs(cell) <= EXACT))
        case float():
            return bool(pa.types.is_floating(kind))
        case datetime():
            return bool(pa.types.is_timestamp(kind) and (kind.tz is None) == (cell.tzinfo is None))
        case date():
            return bool(pa.types.is_date(kind))
        case bytes():
            return bool(pa.types.is_binary(kind))
    return False


def _arrow_array(cells: Sequence[object], kind: pa.DataType) -> pa.Array:
    """Cells as an Arrow array; bytes of a text that are no UTF-8 stay as they are, for they cost their row, as in a file."""
    import pyarrow as pa

    if not pa.types.is_string(kind):
        return pa.array(cells, type=kind)
    texts = [None if cell is None else _cell_text(cell).encode("utf-8", "surrogateescape") for cell in cells]
    return pa.array(texts, type=pa.binary()).view(kind)


def _cell_text(cell: object) -> str:
    return json.dumps(cell, ensure_ascii=False, default=str) if isinstance(cell, dict | list) else str(cell)
