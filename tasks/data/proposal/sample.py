"""The first rows of a source, whatever its format, at a cost that does not grow with the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

from configs.errors import InputError
from configs.schema import Data
from tasks.data.sources import read_csv, read_json, read_parquet, read_xlsx, tables
from tasks.data.sources.chunk import Chunk, line_limit
from tasks.data.sources.csv_separator import find_separator, is_found_alone
from tasks.data.sources.read_files import read_hub_rows
from tasks.data.sources.source_files import File, resolve_source
from tasks.data.sources.streams import open_text

MOST_ROWS = 20_000  # files are often sorted by label: two thousand rows may show a single one
MOST_CHARACTERS = 16_000_000
MOST_CELLS = 2_000_000
MOST_COLUMNS = 500
MOST_FILES = 10  # of a folder or a pattern, evenly spread
_CHUNK = 50  # rows that are read at once: a row may be long
_LONGEST: int = Data.model_fields["max_characters"].default


@dataclass(frozen=True)
class RowSample:
    """Rows of a source: column -> cells as found, all of one length.

    `is_whole`: these are all rows of the source. `separator` is the one that was found in its CSV files. `files` are those that
    were looked at.
    """

    files: tuple[File, ...]
    columns: dict[str, list[object]]
    is_whole: bool
    separator: str | None = None

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def separator_to_name(self, names: Sequence[str]) -> str | None:
        """The separator that a config has to name, since a reader that looks for these columns would find another one."""
        files = [file for file in self.files if file.format == "csv" and self.separator is not None]
        return None if all(is_found_alone(file, str(self.separator), tuple(names)) for file in files) else self.separator

    def of(self, names: Sequence[str]) -> Chunk:
        """Some of its columns as the chunk that a reader gives."""
        return Chunk(self.files[0], 1, {name: self.columns[name] for name in names})


@dataclass
class _Budget:
    """What may still be read."""

    rows: int
    characters: int
    cells: int

    @property
    def is_spent(self) -> bool:
        return min(self.rows, self.characters, self.cells) <= 0

    def spend(self, chunk: Chunk) -> None:
        cells = [cell for column in chunk.columns.values() for cell in column]
        self.rows -= len(next(iter(chunk.columns.values()), ()))
        self.cells -= len(cells)
        self.characters -= sum(len(cell) if isinstance(cell, str) else len(str(cell)) for cell in cells)


def read_sample(source: str, most_rows: int = MOST_ROWS) -> RowSample:
    """Read at most so many rows of what `data.source` may be, of ten files at most.

    InputError where there are none, where they are malformed, or where its files share no column.
    """
    every = resolve_source(source)
    files = every if len(every) <= MOST_FILES else tuple(every[i * len(every) // MOST_FILES] for i in range(MOST_FILES))
    parts, whole, separator = [], len(files) == len(every), None
    for file in files:
        own = find_separator(file) if file.format == "csv" and file.separator is None else None
        columns, is_whole = _read_part(replace(file, separator=own) if own else file, max(1, most_rows // len(files)))
        parts.append(columns)
        whole, separator = whole and is_whole, separator or own
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    if not parts[0]:
        raise InputError(f"{source}: {files[0].name} has a first line in which no column has a name: give it a header line")
    if not shared:
        raise InputError(
            f"{source}: its files have no column in common ({files[0].name} and {files[-1].name}): name those that are rows of one "
            "table, as in data/*.csv"
        )
    return RowSample(files, {name: [cell for part in parts for cell in part[name]] for name in shared}, whole, separator)


def _read_part(file: File, most_rows: int) -> tuple[dict[str, list[object]], bool]:
    """The columns of the first rows of one file, and whether these are all of them."""
    budget, columns = _Budget(most_rows, MOST_CHARACTERS, MOST_CELLS), dict[str, list[object]]()
    with _closed_chunks(file, most_rows) as chunks:
        rows = 0
        for chunk in chunks:
            size = len(next(iter(chunk.columns.values()), ()))
            for name in {**columns, **chunk.columns}:  # an object of JSON may have columns that none before had
                column_cells = columns.setdefault(name, [None] * rows)
                column_cells += chunk.columns.get(name) or [None] * size
            rows += size
            budget.spend(chunk)
            if budget.is_spent:
                return columns, next(chunks, None) is None
    return columns, True


@contextmanager
def _closed_chunks(file: File, most_rows: int) -> Iterator[Iterator[Chunk]]:
    """The chunks; the file is closed at the end of the block, whether all were read or not."""
    chunks = _chunks(file, most_rows)
    try:
        yield chunks
    finally:
        if isinstance(chunks, Generator):
            chunks.close()


def _chunks(file: File, most_rows: int) -> Iterator[Chunk]:
    match file.format:
        case "csv":
            return read_csv.read_csv(file, _usable(read_csv.csv_header(file, (), _LONGEST)), _CHUNK, _LONGEST)
        case "parquet":
            return read_parquet.read_parquet(file, _usable(read_parquet.parquet_header(file)), _CHUNK, _LONGEST)
        case "xlsx":
            return read_xlsx.read_xlsx(file, _usable(read_xlsx.xlsx_header(file)), _CHUNK)
        case "jsonl":
            return _json_chunks(file)
        case "table":
            return _table_chunks(file, most_rows + 2 * _CHUNK)  # one chunk more tells that there are more rows
        case "hf":
            return read_hub_rows(file, _CHUNK)


def _usable(names: Sequence[str]) -> tuple[str, ...]:
    """The columns that a config can name: those with a name of their own."""
    counts = Counter(names)
    return tuple(str(name) for name in names if name.strip() and counts[name] == 1)[:MOST_COLUMNS]


def _json_chunks(file: File) -> Iterator[Chunk]:
    first = 1
    with open_text(file) as stream:
        records = read_json.json_records(stream, file.path, line_limit(_LONGEST))
        while part := list(islice(records, _CHUNK)):
            names = _usable(tuple(dict.fromkeys(name for record in part for name in record)))
            yield Chunk(file, first, {name: [record.get(name) for record in part] for name in names})
            first += len(part)
    if first == 1:
        raise InputError(f"{file.path}: is empty: it needs one JSON object per line, or an array of them")


def _table_chunks(file: File, most_rows: int) -> Iterator[Chunk]:
    """The first rows as the database gives them: to order a large table takes long."""
    first = 1
    with tables.open_table(file.path, "--data") as source:
        names = _usable(source.table.c.keys())
        for part in source.partitions(_CHUNK, names, most_rows):
            yield Chunk(file, first, dict(zip(names, map(list, zip(*part, strict=True)), strict=True)))
            first += len(part)
    if first == 1:
        raise InputError(f"{file.path}: has no rows")
