"""Files as streams of chunks of columns, strict about what they hold: every fault is named by its file and line.

The readers are our own because the quick ones guess: types per block, `NA` and `null` as nothing, short lines filled up. A file is
never held in memory, nor is a line of it that is longer than any text may be.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from configs.errors import InputError
from tasks.text import tables
from tasks.text.sources import File, parse_hub

CHUNK_BYTES = 1 << 30
_WIDEST = 16 << 20  # bytes: a field beyond this is refused even in a column that is not used


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of a file: values as found by column (None where absent), `first` the first row's number, from 1."""

    file: File
    first: int
    columns: dict[str, list[Any]]


def chunks(file: File, wanted: tuple[str, ...], max_characters: int, required: tuple[str, ...] | None = None) -> Iterator[Chunk]:
    """Read the wanted columns of a file in chunks of bounded size; InputError names what is malformed, missing or empty.

    Lines of JSON need not all have the same columns: their first chunk must have the `required` ones (default: all).
    """
    rows = max(1, min(2000, CHUNK_BYTES // (4 * max_characters)))
    match file.format:
        case "csv":
            return _csv(file, wanted, rows, max_characters)
        case "jsonl":
            return _jsonl(file, wanted, rows, max_characters, wanted if required is None else required)
        case "parquet":
            return _parquet(file, wanted, rows, max_characters)
        case "table":
            return _table(file, wanted, rows)
        case "hf":
            return _hub(file, wanted, rows)


def header(file: File, max_characters: int) -> tuple[str, ...]:
    """The columns of a file by name; of lines of JSON all that any line has, for which all are read."""
    match file.format:
        case "csv":
            with Path(file.path).open("rb") as stream:
                reader = csv.reader(_lines(stream, file.path, _limit(max_characters)), strict=True)
                return tuple(next((record for record in reader if record), ()))
        case "jsonl":
            with Path(file.path).open("rb") as stream:
                names: dict[str, None] = {}
                for number, line in enumerate(_lines(stream, file.path, _limit(max_characters)), 1):
                    if not line.isspace():
                        names |= dict.fromkeys(_record(line, file.path, number))
                return tuple(names)
        case "parquet":
            return tuple(_parquet_schema(file).names)
        case "table":
            return tables.columns(file.path)
        case "hf":
            raise InputError(f"{file.path}: is no file: name a CSV, JSONL or Parquet file, or a folder of them")


def _parquet_schema(file: File) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(file.path)
    except pa.ArrowInvalid as error:
        raise InputError(f"{file.path}: is not a whole Parquet file ({str(error)[:200]}): write or copy it again") from error


def _lines(stream: BinaryIO, path: str, limit: int) -> Iterator[str]:
    """Decoded lines of at most `limit` bytes each."""
    number = 0
    while line := stream.readline(limit + 1):
        number += 1
        if len(line) > limit:
            raise InputError(
                f"{path} line {number}: is longer than {limit:,} bytes: shorten its text, or raise data.max_characters"
            )
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            bad = line[error.start : error.start + 1].hex()
            raise InputError(f"{path} line {number}: byte 0x{bad} is not UTF-8: save the file as UTF-8, e.g. with iconv") from error


def _limit(max_characters: int) -> int:
    return max(4 * max_characters, _WIDEST) + (1 << 20)


def _csv(file: File, wanted: tuple[str, ...], rows: int, max_characters: int) -> Iterator[Chunk]:
    path = file.path
    before = csv.field_size_limit(max(max_characters, _WIDEST))
    try:
        with Path(path).open("rb") as stream:
            reader = csv.reader(_lines(stream, path, _limit(max_characters)), strict=True)
            filled = (record for record in reader if record)
            header = next(filled, None)
            if header is None:
                raise InputError(f"{path}: is empty: it needs a header line and rows")
            where = {name: _only(header, name, path) for name in wanted}
            first, line = 1, reader.line_num + 1
            while records := list(islice(filled, rows)):
                if set(map(len, records)) != {len(header)}:
                    _blame_width(records, len(header), path, line)
                columns = list(zip(*records, strict=True))
                yield Chunk(file, first, {name: list(columns[i]) for name, i in where.items()})
                first, line = first + len(records), reader.line_num + 1
            if first == 1:
                raise InputError(f"{path}: has a header but no rows")
    except csv.Error as error:
        raise InputError(f"{path} line {reader.line_num}: {error}: mend the quotes or the length of this line") from error
    finally:
        csv.field_size_limit(before)


def _only(header: list[str], name: str, path: str) -> int:
    if header.count(name) != 1:
        problem = "has no column" if name not in header else "has more than one column"
        raise InputError(f"{path}: {problem} `{name}`; its columns are {', '.join(header)[:500]}: correct the names under data")
    return header.index(name)


def _blame_width(records: list[list[str]], width: int, path: str, line: int) -> None:
    for record in records:
        if len(record) != width:
            raise InputError(
                f"{path} line {line}: has {len(record)} fields where the header has {width}: quote the text or mend the line"
            )
        line += 1 + sum(value.count("\n") for value in record)


def _jsonl(file: File, wanted: tuple[str, ...], rows: int, max_characters: int, required: tuple[str, ...]) -> Iterator[Chunk]:
    path, first, line = file.path, 1, 0
    with Path(path).open("rb") as stream:
        lines = _lines(stream, path, _limit(max_characters))
        while block := list(islice(lines, rows)):
            records = []
            for text in block:
                line += 1
                if not text.isspace():
                    records.append(_record(text, path, line))
            if not records:
                continue
            if first == 1:
                _check_present(set().union(*records), required, path)
            yield Chunk(file, first, {name: [r.get(name) for r in records] for name in wanted})
            first += len(records)
    if first == 1:
        raise InputError(f"{path}: is empty: it needs one JSON object per line")


def _record(text: str, path: str, line: int) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path} line {line}: is not JSON ({error}): each line holds one object") from error
    if not isinstance(record, dict):
        raise InputError(f'{path} line {line}: is a {type(record).__name__}, not an object such as {{"text": ...}}')
    return record


def _check_present(present: set[str], wanted: tuple[str, ...], path: str) -> None:
    missing = [name for name in wanted if name not in present]
    if missing:
        raise InputError(
            f"{path}: has no column `{missing[0]}`; it has {', '.join(sorted(present))[:500]}: correct the names under data"
        )


def _parquet(file: File, wanted: tuple[str, ...], rows: int, max_characters: int) -> Iterator[Chunk]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = file.path
    try:
        with pq.ParquetFile(path, memory_map=True) as parquet:
            _check_present(set(parquet.schema_arrow.names), wanted, path)
            if parquet.metadata.num_rows == 0:
                raise InputError(f"{path}: has no rows")
            _check_width(parquet.metadata, wanted, path, max_characters)
            first = 1
            for batch in parquet.iter_batches(batch_size=rows, columns=list(wanted)):
                yield Chunk(file, first, {name: _values(batch.column(name)) for name in wanted})
                first += batch.num_rows
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"{path}: is not a whole Parquet file ({str(error)[:200]}): write or copy it again") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise InputError(f"{path}: is a damaged Parquet file ({str(error)[:200]}): write or copy it again") from error


def _table(file: File, wanted: tuple[str, ...], rows: int) -> Iterator[Chunk]:
    first = 1
    with tables.opened(file.path, "data.source") as source:
        _check_present(set(source.table.c.keys()), wanted, file.path)
        for part in source.partitions(rows, wanted):
            yield Chunk(file, first, dict(zip(wanted, map(list, zip(*part, strict=True)), strict=True)))
            first += len(part)
    if first == 1:
        raise InputError(f"{file.path}: has no rows")


def _check_width(metadata: Any, wanted: tuple[str, ...], path: str, max_characters: int) -> None:
    """Refuse, before any page is decoded, a row group whose texts must on average be too long."""
    for group in (metadata.row_group(i) for i in range(metadata.num_row_groups)):
        for column in (group.column(i) for i in range(group.num_columns)):
            widest = column.total_uncompressed_size / max(1, group.num_rows)
            if column.path_in_schema in wanted and widest > 4 * max_characters + 65536 and column.physical_type == "BYTE_ARRAY":
                raise InputError(
                    f"{path}: texts of `{column.path_in_schema}` take {widest:,.0f} bytes on average, over data.max_characters "
                    f"({max_characters:,}): shorten them, or raise it"
                )


def _hub(file: File, wanted: tuple[str, ...], rows: int) -> Iterator[Chunk]:
    import datasets

    name, split, revision = parse_hub(file.path)
    try:
        table = datasets.load_dataset(name, split=split, revision=revision).with_format("arrow")
    except (FileNotFoundError, ValueError, ConnectionError) as error:
        raise InputError(
            f"{file.path}: cannot be loaded ({str(error)[:300]}): check its name, its split and the network"
        ) from error
    _check_present(set(table.column_names), wanted, file.path)
    if len(table) == 0:
        raise InputError(f"{file.path}: has no rows")
    for start in range(0, len(table), rows):
        batch = table[start : start + rows]
        yield Chunk(file, start + 1, {column: _values(batch.column(column)) for column in wanted})


def _values(column: Any) -> list[Any]:
    """An Arrow column's cells; floats of 32 bits as the numbers they were written for: 0.1, not 0.10000000149011612."""
    import pyarrow as pa

    if pa.types.is_float32(column.type):
        column = column.cast(pa.string()).cast(pa.float64())
    return list(column.to_pylist())
