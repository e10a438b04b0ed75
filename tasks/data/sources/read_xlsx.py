"""The one sheet of a spreadsheet (XLSX), row by row: its first row that is not empty is the header."""

from __future__ import annotations

import errno
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO
from zipfile import BadZipFile, ZipFile

from configs.errors import InfraError, InputError
from tasks.data.sources.chunk import Chunk, check_present, library_text, named_columns
from tasks.data.sources.source_files import File
from tasks.data.sources.streams import check_growth, open_packed

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

# openpyxl has no error of its own: these are of zipfile, zlib and XML (a SyntaxError), and of parts that are not as they must be.
_DAMAGED = (
    BadZipFile, zlib.error, EOFError, SyntaxError, ValueError, LookupError, TypeError, AttributeError, NotImplementedError,
    RuntimeError,
)  # fmt: skip
_FAILED = ("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A")


def read_xlsx(file: File, columns: tuple[str, ...], rows: int) -> Iterator[Chunk]:
    """Chunks of the wanted columns."""
    with _open_sheet(file) as (header, records):
        check_present(header, columns, file.path)
        where = {name: header.index(name) for name in columns}
        first = 1
        while part := list(islice(records, rows)):
            yield Chunk(file, first, {name: [_read_cell(row, place) for row in part] for name, place in where.items()})
            first += len(part)
        if first == 1:
            raise InputError(f"{file.path}: has a header but no rows")


def xlsx_header(file: File) -> tuple[str, ...]:
    """The columns by name."""
    with _open_sheet(file) as (columns, _):
        return named_columns(columns)


@contextmanager
def _open_sheet(file: File) -> Iterator[tuple[list[str], Iterator[tuple[object, ...]]]]:
    """The columns, and the rows below them that are not empty."""
    try:
        import openpyxl
    except ImportError as error:
        raise InfraError(f"{file.path}: XLSX needs a package that is not installed: pip install 'tunekeeper[xlsx]'") from error
    with open_packed(file) as stream:
        with _report_damage(file.path):
            _check_size(stream, file.path)
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
        try:
            with _report_damage(file.path):
                records = _read_rows(_only_sheet(book, file.path), file.path)
            top = next(records, None)
            if top is None:
                raise InputError(f"{file.path}: is empty: it needs a header row and rows")
            yield ["" if name is None else str(_unescape_cell(name)) for name in top], records
        finally:
            book.close()


@contextmanager
def _report_damage(path: str) -> Iterator[None]:
    """Report the libraries' fault of a damaged file."""
    try:
        yield
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and not _is_of_the_file(error):
            raise
        raise InputError(f"{path}: is no whole XLSX file ({library_text(error)}): save or copy it again") from error


def _is_of_the_file(error: OSError) -> bool:
    """Whether it tells of what the file holds, not of a disk or a store.

    EINVAL is a place before its beginning, named by a damaged directory; openpyxl raises a plain one for a book without a workbook.
    """
    return error.errno == errno.EINVAL or (error.errno is None and type(error) is OSError)


def _read_rows(sheet: ReadOnlyWorksheet | tuple[()], path: str) -> Iterator[tuple[object, ...]]:
    with _report_damage(path):
        yield from _nonempty_rows(sheet)


def _check_size(stream: BinaryIO, path: str) -> None:
    with ZipFile(stream) as archive:
        parts = archive.infolist()
    check_growth(path, sum(part.compress_size for part in parts), sum(part.file_size for part in parts))
    stream.seek(0)


def _only_sheet(book: Workbook, path: str) -> ReadOnlyWorksheet | tuple[()]:
    """The one sheet that has rows; two are ambiguous and refused."""
    filled = []
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what a sheet says of its size need not be true
        if next(_nonempty_rows(sheet), None) is not None:
            filled.append(sheet)
    if len(filled) > 1:
        names = ", ".join(f"`{sheet.title}`" for sheet in filled[:10])
        raise InputError(f"{path}: has rows in {len(filled)} sheets ({names}): save the one that is meant as a file of its own")
    return filled[0] if filled else ()


def _nonempty_rows(sheet: ReadOnlyWorksheet | tuple[()]) -> Iterator[tuple[object, ...]]:
    rows = sheet.iter_rows(values_only=True) if hasattr(sheet, "iter_rows") else iter(sheet)
    return (row for row in rows if any(cell is not None and cell != "" for cell in row))


def _read_cell(row: tuple[object, ...], place: int) -> object:
    """A cell; the error value of a formula is null, not a text or a class of that name."""
    value = row[place] if place < len(row) else None
    return None if value in _FAILED else _unescape_cell(value)


def _unescape_cell(value: object) -> object:
    """A text with its escapes as what they mean (`_x000D_` is a carriage return, `_x005F_` an underscore); all else as it is."""
    if not isinstance(value, str) or "_x" not in value:
        return value
    from openpyxl.utils.escape import unescape

    return unescape(value).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
