"""CSV in its dialects: the separator is given, or the one under which the header has the required columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from configs.errors import InputError
from tasks.data.sources.chunk import WIDEST, Chunk, bounded_lines, check_present, line_limit, named_columns
from tasks.data.sources.source_files import File
from tasks.data.sources.streams import open_text

if TYPE_CHECKING:
    from _csv import Reader

SEPARATORS = (",", ";", "\t", "|")  # tried in this order where none is given
_HEADER_LINES = 20  # at most, in which the separator is looked for
_SAYS = "sep="  # how Excel names the separator, in a line before the header


@dataclass(frozen=True)
class _CsvTable:
    """The header, and the records after it."""

    columns: list[str]
    records: Iterator[list[str]]
    separator: str


def read_csv(file: File, names: tuple[str, ...], rows: int, max_characters: int) -> Iterator[Chunk]:
    """Chunks of the wanted columns."""
    path = file.path
    with _open_table(file, names, max_characters) as table:
        lone = "" if len(table.columns) > 1 else f", or set data.separator (it was read with `{table.separator}`)"
        check_present(table.columns, names, path, lone)
        where = {name: table.columns.index(name) for name in names}
        first = 1
        while records := list(islice(table.records, rows)):
            columns = list(zip(*records, strict=True))
            yield Chunk(file, first, {name: list(columns[i]) for name, i in where.items()})
            first += len(records)
        if first == 1:
            raise InputError(f"{path}: has a header but no rows")


def csv_header(file: File, names: tuple[str, ...], max_characters: int) -> tuple[str, ...]:
    """The columns by name."""
    with _open_table(file, names, max_characters) as table:
        return named_columns(table.columns)


@contextmanager
def _open_table(file: File, names: Sequence[str], max_characters: int) -> Iterator[_CsvTable]:
    before = csv.field_size_limit(max(max_characters, WIDEST))
    try:
        with open_text(file) as stream:
            plain = bounded_lines(stream, file.path, line_limit(max_characters))
            skipped, head = _first_line(plain)
            separator = file.separator
            if head.lower().startswith(_SAYS) and len(head.strip("\r\n")) == len(_SAYS) + 1:
                separator, (more, head) = separator or head[len(_SAYS)], _first_line(plain)
                skipped = [*skipped, "\n", *more]
            header_lines = [head] if separator else _header_lines(head, plain)
            separator = separator or _detect_separator(header_lines, names)
            reader = csv.reader(chain(skipped, header_lines, plain), strict=True, delimiter=separator)
            records = _read_records(reader, file.path)
            columns = next(records, None)
            if columns is None:
                raise InputError(f"{file.path}: is empty: it needs a header line and rows")
            yield _CsvTable(columns, records, separator)
    except csv.Error as error:  # of a header, in which the separator is looked for
        raise _malformed_error(error, f"{file.path} line 1") from error
    finally:
        csv.field_size_limit(before)


def _first_line(plain: Iterator[str]) -> tuple[list[str], str]:
    """The empty lines at the beginning, and the first line that is not empty."""
    skipped: list[str] = []
    for line in plain:
        if line.strip("\r\n"):
            return skipped, line
        skipped.append(line)
    return skipped, ""


def _header_lines(head: str, plain: Iterator[str]) -> list[str]:
    """The lines of the header: the next ones too where a quoted name has a line break."""
    header_lines = [head]
    while (
        sum(line.count('"') for line in header_lines) % 2
        and len(header_lines) < _HEADER_LINES
        and sum(map(len, header_lines)) < WIDEST
    ):
        line = next(plain, None)
        if line is None:
            break
        header_lines.append(line)
    return header_lines


def _detect_separator(header_lines: list[str], names: Sequence[str]) -> str:
    """The first separator that gives all wanted columns, else the first that gives more than one, else the comma."""
    fields = {sign: next(csv.reader(header_lines, delimiter=sign), []) for sign in SEPARATORS}
    fitting = [sign for sign in SEPARATORS if names and set(names) <= set(fields[sign])]
    return next(iter([*fitting, *(sign for sign in SEPARATORS if len(fields[sign]) > 1)]), ",")


def _read_records(reader: Reader, path: str) -> Iterator[list[str]]:
    """The header, and the records below it that are no empty lines; a faulty one is named by the line that it begins in."""
    columns: list[str] = []
    line = 1
    try:
        for record in reader:
            if record:
                if columns and (len(record) != len(columns) or record == columns):
                    _check_record(record, columns, f"{path} line {line}")
                columns = columns or record
                yield record
            line = reader.line_num + 1
    except csv.Error as error:
        read_on = f" (read on to line {reader.line_num})" if reader.line_num > line else ""
        raise _malformed_error(error, f"{path} line {line}{read_on}") from error


def _check_record(record: list[str], columns: list[str], where: str) -> None:
    if len(record) != len(columns):
        raise InputError(f"{where}: has {len(record)} fields where the header has {len(columns)}: quote the text or mend the line")
    if len(columns) > 1:  # of one column a row may equal the header
        raise InputError(
            f"{where}: is the header once more, as where one file is appended to another: take this line out (`tail -n +2` gives a "
            "file without its header)"
        )


def _malformed_error(error: csv.Error, where: str) -> InputError:
    if "new-line character" in str(error):
        fault = "has a carriage return (CR) outside of quotes: save the file with LF line ends, or quote the text"
    else:
        fault = f"{error}: mend the quotes or the length of this line"
    return InputError(f"{where}: {fault}")
