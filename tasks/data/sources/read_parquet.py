"""Parquet, batch by batch; the sizes that a file claims are checked before any of it is decoded."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from configs.errors import InputError
from tasks.data.sources.chunk import Chunk, check_present, library_text
from tasks.data.sources.source_files import File
from tasks.data.sources.streams import check_growth, open_packed

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_END = struct.Struct("<I4s")  # how a file ends: the size of its footer, and PAR1
_SIGNATURE_BYTES = 28  # of a footer: a nonce and a tag
_SIZED = "Expected all lists to be of size"  # how the library says that it cannot read its own nulls
_ROW_BYTES = 16  # what a row costs at least once it is read, however little of the file it takes


def read_parquet(file: File, columns: tuple[str, ...], rows: int, max_characters: int) -> Iterator[Chunk]:
    """Chunks of the wanted columns."""
    path = file.path
    with open_parquet(file) as parquet:
        check_present(parquet.schema_arrow.names, columns, path)
        if parquet.metadata.num_rows == 0:
            raise InputError(f"{path}: has no rows")
        _check_width(parquet.metadata, columns, path, max_characters)
        first = 1
        for batch in parquet.iter_batches(batch_size=rows, columns=list(columns)):
            yield Chunk(file, first, {name: arrow_cells(batch.column(name), f"{path}: `{name}`") for name in columns})
            first += batch.num_rows


def parquet_header(file: File) -> tuple[str, ...]:
    """The columns by name."""
    with open_parquet(file) as parquet:
        return tuple(parquet.schema_arrow.names)


@contextmanager
def open_parquet(file: File) -> Iterator[pq.ParquetFile]:
    """The file as a pyarrow.parquet.ParquetFile; InputError where it is damaged, or claims far more rows than it can hold."""
    import pyarrow.parquet as pq

    # The stream is outermost: to a store, an error of Parquet's would look like one of its own.
    with open_packed(file) as stream, _report_damage(file.path):
        source = file.path if file.is_local else stream
        with pq.ParquetFile(source, memory_map=file.is_local, page_checksum_verification=True) as parquet:
            _check_signature(stream, parquet.metadata, file.path)
            yield _check_unpacked_size(parquet, file.path)


@contextmanager
def _report_damage(path: str) -> Iterator[None]:
    """Report the library's fault of a damaged file as InputError; an error of a store or a disk passes."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if _SIZED in str(error):
            fault = f"has a column of lists of one fixed size with nulls in it, which cannot be read back ({str(error)[:100]})"
            raise InputError(f"{path}: {fault}: write the column as plain lists") from error
        raise InputError(f"{path}: is not a whole Parquet file ({library_text(error)}): write or copy it again") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: has a column whose name is not UTF-8 ({library_text(error)}): write the file again") from error
    except OSError as error:
        if type(error) is not OSError or error.errno is not None:
            raise
        raise InputError(f"{path}: is a damaged Parquet file ({library_text(error)}): write or copy it again") from error


def arrow_cells(column: pa.Array | pa.ChunkedArray, where: str) -> list[object]:
    """An Arrow column's cells; floats of 32 bits as the numbers they were written for: 0.1, not 0.10000000149011612.

    A time of a day in nanoseconds is the text of it, for Python's have none. Bytes of a text that are no UTF-8 become halves of
    surrogate pairs: they cost their row, not the file. InputError, which begins with `where`, for a value that Python cannot hold.
    """
    import pyarrow as pa

    if pa.types.is_float32(column.type):
        column = column.cast(pa.string()).cast(pa.float64())
    if column.type == pa.time64("ns"):
        column = column.cast(pa.string())
    try:
        try:
            return list(column.to_pylist())
        except UnicodeDecodeError:
            return [_decode_cell(scalar) for scalar in column]
    except (ValueError, OverflowError, KeyError) as error:  # a time before the year 1 or after 9999, or of a zone that is unknown
        raise InputError(
            f"{where} holds a value that cannot be read ({library_text(error)}): correct it, or write the column as text"
        ) from error


def _decode_cell(scalar: pa.Scalar) -> object:
    """A cell in which bytes, at any depth, may be no UTF-8."""
    import pyarrow as pa

    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        if isinstance(scalar, pa.DictionaryScalar):
            return _decode_cell(scalar.value)
        if isinstance(scalar, pa.StructScalar):
            return {name: _decode_cell(part) for name, part in scalar.items()}
        if isinstance(scalar, pa.MapScalar):
            return [(_decode_cell(part["key"]), _decode_cell(part["value"])) for part in scalar.values]
        if isinstance(scalar, pa.ListScalar):
            return [_decode_cell(part) for part in scalar.values]
        return scalar.as_buffer().to_pybytes().decode("utf-8", "surrogateescape")


def _check_signature(stream: BinaryIO, metadata: pq.FileMetaData, path: str) -> None:
    """Refuse a file of encrypted columns whose footer is plain, and signed: the library ends the process where it looks at them."""
    stream.seek(-_END.size, os.SEEK_END)
    footer_bytes, _ = _END.unpack(stream.read(_END.size))
    if footer_bytes - metadata.serialized_size == _SIGNATURE_BYTES:
        raise InputError(f"{path}: has encrypted columns: write the file again without encryption")


def _check_unpacked_size(parquet: pq.ParquetFile, path: str) -> pq.ParquetFile:
    metadata = parquet.metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    packed = sum(group.column(i).total_compressed_size for group in groups for i in range(group.num_columns))
    check_growth(path, packed, _ROW_BYTES * metadata.num_rows)
    return parquet


def _check_width(metadata: pq.FileMetaData, columns: tuple[str, ...], path: str, max_characters: int) -> None:
    """Refuse, before any page is decoded, a row group whose texts must on average be too long."""
    for group in (metadata.row_group(i) for i in range(metadata.num_row_groups)):
        for column in (group.column(i) for i in range(group.num_columns)):
            widest = column.total_uncompressed_size / max(1, group.num_rows)
            if column.path_in_schema in columns and widest > 4 * max_characters + 65536 and column.physical_type == "BYTE_ARRAY":
                raise InputError(
                    f"{path}: texts of `{column.path_in_schema}` take {widest:,.0f} bytes on average, over data.max_characters "
                    f"({max_characters:,}): shorten them, or raise it"
                )
