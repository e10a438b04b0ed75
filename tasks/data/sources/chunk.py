"""The chunks that every reader gives, and the limits and refusals that all readers share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import BinaryIO

from configs.errors import InputError
from tasks.data.sources.source_files import File

WIDEST = 16 << 20  # bytes: a field beyond this is refused even in a column that is not used
_LONGEST_SHAPE = 40
_COMPARED = 200  # columns, and characters of their names, among which one is looked for that was meant
_COLUMN_NAME = re.compile(r"(?!.*\d{5})[\w .:/()\[\]%#&+-]{1,64}")


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of a file: values as found by column (None where absent), `first` the first row's number, from 1."""

    file: File
    first: int
    columns: dict[str, list[object]]

    def place(self, index: int) -> str:
        """Where a row is, for people."""
        return f"{self.file.path} row {self.first + index}"


def named_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of a header but for the last ones that have no name: spreadsheets write such cells where nothing is."""
    end = len(columns)
    while end and not columns[end - 1].strip():
        end -= 1
    return tuple(columns[:end])


def line_limit(max_characters: int) -> int:
    """Bytes of the longest line that is read."""
    return max(4 * max_characters, WIDEST) + (1 << 20)


def bounded_lines(stream: BinaryIO, path: str, limit: int, hint: str = "") -> Iterator[str]:
    """Decoded lines of at most `limit` bytes each; `hint` says what else may be wrong with a longer one."""
    number = 0
    while line := stream.readline(limit + 1):
        number += 1
        if len(line) > limit:
            raise InputError(
                f"{path} line {number}: is longer than {limit:,} bytes: shorten its text, or raise data.max_characters"
                f"{f'; {hint}' if hint else ''}"
            )
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(f"{path} line {number}", line, error) from error


def not_utf8(where: str, block: bytes, error: UnicodeDecodeError) -> InputError:
    """The error for bytes that are no UTF-8."""
    return InputError(
        f"{where}: byte 0x{block[error.start : error.start + 1].hex()} is not UTF-8: save the file as UTF-8, e.g. with iconv"
    )


def check_present(present: Iterable[str], required: Sequence[str], path: str, hint: str = "") -> None:
    """Refuse required columns that are absent, or there more than once, which makes them ambiguous."""
    names = list(present)
    for name in required:
        if names.count(name) != 1:
            problem = "has no column" if name not in names else "has more than one column"
            listed = ", ".join(f"`{shown_name(str(each))}`" for each in (sorted(names) if isinstance(present, set) else names))[
                :500
            ]
            suggestion = meant_column(name, names)
            raise InputError(
                f"{path}: {problem} `{name}`; its columns are {listed}: {suggestion}correct the names under data{hint}"
            )


def meant_column(name: str, columns: Sequence[str]) -> str:
    """`did you mean X? ` for the column that is named like it but for case and signs, else for the nearest; empty where none is."""
    folded = {_fold_name(str(column)): str(column) for column in reversed(columns[:_COMPARED])}
    near = get_close_matches(_fold_name(name), folded, n=1, cutoff=0.7)
    return f"did you mean `{shown_name(folded[near[0]])}`? " if near and folded[near[0]] != name else ""


def _fold_name(name: str) -> str:
    return re.sub(r"[\W_]+", "", name[:_COMPARED].casefold())


def library_text(error: Exception) -> str:
    """The words of a library's error on one line, of at most 200 characters."""
    return " ".join(str(error).split())[:200]


def cell_shape(text: str) -> str:
    """How a cell is written, with x, X and 9 in the place of letters and digits: errors are stored, and a cell may be personal."""
    masked = "".join(map(_shape_sign, text[:_LONGEST_SHAPE]))
    return masked if len(text) <= _LONGEST_SHAPE else f"{masked}..."


def _shape_sign(character: str) -> str:
    """A character's sign in a shape; a question mark for one that a terminal would obey, or show as nothing."""
    if character.isalpha():
        return "X" if character.isupper() else "x"
    return "9" if character.isdigit() else character if character.isprintable() else "?"


def cell_text(value: object, chunk: Chunk, column: str, index: int) -> str | None:
    """A cell as text: nothing and the empty string are null, sentences in a list are joined, numbers are written out."""
    if value is None or value == "":
        return None
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = " ".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        if isinstance(value, dict | list | bytes):
            raise InputError(
                f"{chunk.place(index)}: `{column}` holds a {type(value).__name__}: it must be text, a number or a date"
            )
        return None if value != value else str(value)
    return value


def shown_name(name: str) -> str:
    """A column's name for an error; the shape alone of a value that is hardly a name, as in a file without a header."""
    return name if _COLUMN_NAME.fullmatch(name) else cell_shape(name)


def check_length(values: Sequence[str | None], chunk: Chunk, column: str, longest: int) -> None:
    """Refuse a column in which a text is longer than so many characters."""
    size = max((len(v) for v in values if v is not None), default=0)
    if size > longest:
        index = next(i for i, v in enumerate(values) if v is not None and len(v) == size)
        raise InputError(
            f"{chunk.place(index)}: `{column}` has {size:,} characters, over data.max_characters ({longest:,}): shorten or raise it"
        )
