"""The input of a batch scoring: files as they come, all their columns kept, read once to the end before anything is scored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from configs.errors import InputError
from tasks.data.messages import read_question
from tasks.data.normalise import holds_half_character
from tasks.data.sources import read_parquet
from tasks.data.sources.chunk import cell_text, check_present
from tasks.data.sources.read_files import Chunk, file_header, read_chunks
from tasks.data.sources.source_files import File, faults_naming, resolve_source
from tasks.data.span_cells import text_of_words
from tasks.data.text_parts import join_parts

if TYPE_CHECKING:
    import pyarrow as pa

InputCells = Literal["text", "messages", "words"]  # a text, a conversation, a list of words
TEXT, WHOLE, LARGE, REAL, TRUTH = "text", "whole", "large", "real", "truth"
_EXACT = 1 << 53  # whole numbers up to it are real ones too, digit by digit
_LARGEST = (1 << 63) - 1  # of a column of whole numbers


@dataclass(frozen=True)
class Batch:
    """Files with the same meaning: `columns` is the union of theirs, with their types; `rows` how many there are in all.

    `inputs` are the columns that are read, two where two texts are read beside one another; `cells` is what theirs hold.
    """

    files: tuple[File, ...]
    inputs: tuple[str, ...]
    columns: dict[str, pa.DataType]
    rows: int
    max_characters: int
    cells: InputCells = "text"

    @property
    def text(self) -> str:
        """The first column that is read."""
        return self.inputs[0]

    def chunks(self) -> Iterator[Chunk]:
        """All rows, in the files' order, the same chunks each time."""
        for file in self.files:
            names = file_header(file, self.max_characters, self.inputs)
            yield from read_chunks(file, names, self.max_characters, required=self.inputs)

    def texts(self, chunk: Chunk) -> list[str]:
        """The input of each row, read as preparation reads it; empty where there is none."""
        if self.cells == "messages":
            return [_question(cell) for cell in chunk.columns[self.text]]
        if self.cells == "words":
            return [join_parts((text_of_words(cell),)) for cell in chunk.columns[self.text]]
        return [join_parts(parts) for parts in zip(*(_texts(chunk, name) for name in self.inputs), strict=True)]

    def table(self, chunk: Chunk) -> pa.Table:
        """A chunk's columns with the batch's types; null where its file has no such column."""
        import pyarrow as pa

        n = len(chunk.columns[self.text])
        values = {name: chunk.columns.get(name, [None] * n) for name in self.columns}
        # A text that no file can hold is none; other columns keep what they can of it.
        for name in self.inputs:
            values[name] = [None if _has_half_character(value) else value for value in values[name]]
        arrays = {
            name: pa.array(
                map(_as_text if pa.types.is_string(self.columns[name]) else _replace_half_characters, cells),
                type=self.columns[name],
            )
            for name, cells in values.items()
        }
        return pa.table(arrays)


@faults_naming("--input")
def inspect_files(
    source: str, inputs: tuple[str, ...], format: str, max_characters: int, separator: str | None = None,
    cells: InputCells = "text",
) -> Batch:  # fmt: skip
    """Read the files to their ends: what is wrong with a row is said now, not after an hour.

    InputError names what is malformed, or a file without one of the columns `inputs`; `cells` is what these hold.
    """
    if source.startswith("hf://"):
        raise InputError(f"--input {source}: is no file: name a CSV, JSONL or Parquet file, or a folder of them")
    files = resolve_source(source, format, separator)
    kinds: dict[str, str | pa.DataType | None] = {}
    rows = 0
    for file in files:
        names = file_header(file, max_characters, inputs)
        check_present(names, inputs, file.path, ", or the file")
        _check_names(names, file.path)
        types, count = _column_types(file, names, () if cells == "messages" else inputs, max_characters)
        rows += count
        for name, kind in types.items():
            kinds[name] = _common_type(kinds[name], kind) if name in kinds else kind
    columns = {name: _arrow_type(kind) for name, kind in kinds.items()}
    return Batch(files, inputs, columns, rows, max_characters, cells)


def _check_names(names: tuple[str, ...], path: str) -> None:
    """Refuse names of columns that a result cannot have: two alike, or one that no file can hold."""
    check_present(names, [name for name, count in Counter(names).items() if count > 1], path, ", or the file")
    for place, name in enumerate(names, 1):
        if holds_half_character(name):
            column = f"{path}: the name of column {place}, `{_replace_half_characters(name)[:40]}`"
            raise InputError(f"{column}, holds half of a surrogate pair, which is no character: rename it")


def _column_types(
    file: File, names: tuple[str, ...], inputs: tuple[str, ...], max_characters: int
) -> tuple[dict[str, str | pa.DataType | None], int]:
    """What each column holds, and the number of rows."""
    if file.format == "parquet":
        with read_parquet.open_parquet(file) as parquet:
            schema, count = parquet.schema_arrow, parquet.metadata.num_rows
        if count == 0:
            raise InputError(f"{file.path}: has no rows")
        for name in inputs:
            _check_text_type(schema.field(name).type, file, name)
        return {name: _plain_type(schema.field(name).type) for name in names}, count
    rows, kinds = 0, dict.fromkeys(names)
    for chunk in read_chunks(file, names, max_characters, required=inputs):
        rows += len(next(iter(chunk.columns.values())))
        for name in inputs:
            _texts(chunk, name)
        for name in names if file.format != "csv" else ():
            for kind in {_json_type(value) for value in chunk.columns[name] if value is not None}:
                kinds[name] = _common_type(kinds[name], kind)
    return {name: TEXT if file.format == "csv" else (kinds[name] or None) for name in names}, rows


def _texts(chunk: Chunk, column: str) -> list[str]:
    return [cell_text(value, chunk, column, index) or "" for index, value in enumerate(chunk.columns[column])]


def _question(cell: object) -> str:
    """The conversation in a cell that is to be answered; empty where it holds none, which is no error: its row has no answer."""
    try:
        return read_question(cell)
    except ValueError:
        return ""


def _check_text_type(kind: pa.DataType, file: File, text: str) -> None:
    """Refuse what holds no text, as preparation does."""
    import pyarrow as pa

    sentences = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if (pa.types.is_nested(kind) and not (sentences and _plain_type(kind.value_type) == TEXT)) or _is_binary(kind):
        raise InputError(f"{file.path}: `{text}` holds {kind}: it must be text, a number or a date")


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _plain_type(kind: pa.DataType) -> str | pa.DataType:
    """An Arrow type; dictionaries, long strings and truths of eight bits as what they hold, times in nanoseconds as texts."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "arrow.bool8":
        return pa.bool_()
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or kind == pa.time64("ns")
    return TEXT if texts else kind


def _json_type(value: Any) -> str:
    """The type of a JSON value; objects, lists and whole numbers beyond 64 bits count as text."""
    if type(value) is int:
        return WHOLE if abs(value) <= _EXACT else LARGE if -_LARGEST <= value <= _LARGEST else TEXT
    return {bool: TRUTH, float: REAL}.get(type(value), TEXT)


def _common_type(a: str | pa.DataType | None, b: str | pa.DataType | None) -> str | pa.DataType | None:
    """The type that holds both: of whole and real numbers real where no digit is lost, of all else that differs text; None: no
    type yet."""
    if a is None or b is None or a == b:
        return b if a is None else a
    numbers = {frozenset((WHOLE, REAL)): REAL, frozenset((WHOLE, LARGE)): LARGE}
    return numbers.get(frozenset((a, b)), TEXT)


def _arrow_type(kind: str | pa.DataType | None) -> pa.DataType:
    import pyarrow as pa

    types = {TEXT: pa.string(), WHOLE: pa.int64(), LARGE: pa.int64(), REAL: pa.float64(), TRUTH: pa.bool_(), None: pa.string()}
    return types[kind] if kind is None or isinstance(kind, str) else kind


def _has_half_character(value: object) -> bool:
    return isinstance(value, str | list | dict) and bool(_replace_half_characters(value) != value)


def _replace_half_characters(value: Any) -> Any:
    """A value with a mark in the place of what is no character, at any depth; as it is where there is none."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if holds_half_character(value) else value
        case list() | tuple():
            return type(value)(map(_replace_half_characters, value))
        case dict():
            return {_replace_half_characters(name): _replace_half_characters(part) for name, part in value.items()}
    return value


def _as_text(value: object) -> str | None:
    value = _replace_half_characters(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, date | time):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def staging_prefix(output: Path) -> str:
    """The prefix of the folders beside a result that hold a table's rows while they are scored."""
    return f".{output.name}.table-"
