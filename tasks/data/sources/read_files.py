"""Files as streams of chunks of columns, strict about what they hold: every fault is named by its file and line.

The readers are our own because the quick ones guess: types per block, `NA` and `null` as nothing, short lines filled up. A file is
never held in memory, nor is a line of it that is longer than any text may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from configs.errors import InputError
from tasks.data.sources import read_csv, read_json, read_parquet, read_xlsx, tables
from tasks.data.sources.chunk import Chunk, check_present, line_limit
from tasks.data.sources.source_files import File, parse_hub
from tasks.data.sources.streams import open_text

__all__ = ["CHUNK_BYTES", "Chunk", "file_header", "read_chunks", "read_hub_rows"]

CHUNK_BYTES = 1 << 30


def read_chunks(
    file: File, columns: tuple[str, ...], max_characters: int, required: tuple[str, ...] | None = None
) -> Iterator[Chunk]:
    """Read the wanted columns of a file in chunks of bounded size; InputError names what is malformed, missing or empty.

    Objects of JSON need not all have the same columns: each of the `required` ones (default: all) must be in one of them, which is
    known once all are read.
    """
    rows = max(1, min(2000, CHUNK_BYTES // (4 * max_characters)))
    match file.format:
        case "csv":
            return read_csv.read_csv(file, columns, rows, max_characters)
        case "jsonl":
            return _read_json_chunks(file, columns, rows, max_characters, columns if required is None else required)
        case "parquet":
            return read_parquet.read_parquet(file, columns, rows, max_characters)
        case "xlsx":
            return read_xlsx.read_xlsx(file, columns, rows)
        case "table":
            return _read_table_chunks(file, columns, rows)
        case "hf":
            return read_hub_rows(file, rows, columns)


def file_header(file: File, max_characters: int, columns: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The columns of a file by name; of JSON all that any row has, for which all are read.

    The separator of a CSV file is the one that gives the wanted columns.
    """
    match file.format:
        case "csv":
            return read_csv.csv_header(file, columns, max_characters)
        case "jsonl":
            names: dict[str, None] = {}
            with open_text(file) as stream:
                for record in read_json.json_records(stream, file.path, line_limit(max_characters)):
                    names |= dict.fromkeys(record)
            return tuple(names)
        case "parquet":
            return read_parquet.parquet_header(file)
        case "xlsx":
            return read_xlsx.xlsx_header(file)
        case "table":
            return tables.table_columns(file.path)
        case "hf":
            raise InputError(f"{file.path}: is no file: name a CSV, JSONL or Parquet file, or a folder of them")


def _read_json_chunks(
    file: File, columns: tuple[str, ...], rows: int, max_characters: int, required: tuple[str, ...]
) -> Iterator[Chunk]:
    first = 1
    keys: set[str] = set()
    with open_text(file) as stream:
        objects = read_json.json_records(stream, file.path, line_limit(max_characters))
        while records := list(islice(objects, rows)):
            if not keys.issuperset(required):
                keys.update(*records)
            yield Chunk(file, first, {name: [record.get(name) for record in records] for name in columns})
            first, last = first + len(records), records[-1]
    if first == 1:
        raise InputError(f"{file.path}: is empty: it needs one JSON object per line, or an array of them")
    check_present(keys, required, file.path, read_json.nested_hint(last) if first == 2 else "")


def _read_table_chunks(file: File, columns: tuple[str, ...], rows: int) -> Iterator[Chunk]:
    first = 1
    with tables.open_table(file.path, "data.source") as source:
        tables.check_columns(source, columns)
        for part in source.partitions(rows, columns):
            yield Chunk(file, first, dict(zip(columns, map(list, zip(*part, strict=True)), strict=True)))
            first += len(part)
    if first == 1:
        raise InputError(f"{file.path}: has no rows")


def read_hub_rows(file: File, rows: int, columns: tuple[str, ...] | None = None) -> Iterator[Chunk]:
    """Chunks of a hub data set's split, of the wanted columns; all where none are named."""
    import datasets

    name, split, revision = parse_hub(file.path)
    try:
        table = datasets.load_dataset(name, split=split, revision=revision)
    except (FileNotFoundError, ValueError, ConnectionError) as error:
        raise InputError(
            f"{file.path}: cannot be loaded ({str(error)[:300]}): check its name, its split and the network"
        ) from error
    columns = tuple(table.column_names) if columns is None else columns
    check_present(table.column_names, columns, file.path)
    if len(table) == 0:
        raise InputError(f"{file.path}: has no rows")
    used = table.select_columns(list(_without_duplicates(columns))).with_format("arrow")
    for start in range(0, len(table), rows):
        batch = used[start : start + rows]
        where = {column: f"{file.path}: `{column}`" for column in columns}
        yield Chunk(file, start + 1, {column: read_parquet.arrow_cells(batch.column(column), where[column]) for column in columns})


def _without_duplicates(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
