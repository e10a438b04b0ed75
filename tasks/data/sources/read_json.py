"""JSON as records: one object per line, or one array of objects, read piece by piece."""

from __future__ import annotations

import codecs
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from configs.errors import InputError
from tasks.data.sources.chunk import bounded_lines, not_utf8, shown_name

_BLOCK = 1 << 16
_SPACE = " \t\r\n"
NESTED = "where one object holds all rows, as in SQuAD's files, write each row as an object of its own with all of its cells"


def json_records(stream: BinaryIO, path: str, limit: int) -> Iterator[dict[str, object]]:
    """The objects of a file in their order; an object of more than `limit` bytes is refused, and so is any other value."""
    return _read_array(stream, path, limit) if _begins_array(stream) else _read_lines(stream, path, limit)


def _begins_array(stream: BinaryIO) -> bool:
    """Whether the first character that is no space is a bracket; the stream stays at its beginning."""
    start = stream.peek(_BLOCK).removeprefix(codecs.BOM_UTF8)  # type: ignore[attr-defined]
    return bool(start.lstrip()[:1] == b"[")


def _read_lines(stream: BinaryIO, path: str, limit: int) -> Iterator[dict[str, object]]:
    for number, line in enumerate(bounded_lines(stream, path, limit, NESTED), 1):
        if line.isspace():
            continue
        try:
            value = _DECODER.decode(line)
        except _DuplicateKeyError as error:
            raise InputError(f"{path} line {number}: {error}") from error
        except (ValueError, RecursionError) as error:
            _check_digits(error, f"{path} line {number}")
            raise InputError(
                f"{path} line {number}: is not JSON ({error}): each line holds one object, or the whole file one array of objects; "
                f"{NESTED}"
            ) from error
        yield _check_object(value, f"{path} line {number}")


def _read_array(stream: BinaryIO, path: str, limit: int) -> Iterator[dict[str, object]]:
    text = _TextWindow(stream, path)
    text.skip()
    text.at += 1  # the bracket
    number = 0
    if text.skip() == "]":
        text.at += 1
    else:
        while True:
            number += 1
            yield _check_object(_read_value(text, f"{path} item {number}", limit), f"{path} item {number}")
            sign = text.skip()
            text.at += 1
            if sign == "]":
                break
            if sign != ",":
                problem = "the file ends" if sign == "" else f"{sign!r} follows"
                raise InputError(f"{path} item {number}: {problem} where a comma or the bracket must be: write or copy it again")
    if text.skip():
        raise InputError(f"{path}: something follows the array of {number:,} items: a file holds one array, or one object per line")


def _read_value(text: _TextWindow, where: str, limit: int) -> object:
    """The value that begins here; read on until it is whole."""
    text.skip()
    while True:
        try:
            value, text.at = _DECODER.raw_decode(text.held, text.at)
            return value
        except _DuplicateKeyError as error:
            raise InputError(f"{where}: {error}") from error
        except (ValueError, RecursionError) as error:
            _check_digits(error, where)
            rest = len(text.held) - text.at
            if rest > limit:
                raise InputError(f"{where}: is longer than {limit:,} characters, or is not JSON ({error}): correct it") from error
            if isinstance(error, RecursionError) or not text.more(max(_BLOCK, rest)):
                raise InputError(f"{where}: is not JSON ({error}): write or copy the file again") from error


def _check_digits(error: Exception, where: str) -> None:
    """Refuse a number of more digits than Python reads, of which the library speaks to programmers."""
    if isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError):
        digits = sys.get_int_max_str_digits()
        raise InputError(f"{where}: holds a number of more than {digits:,} digits: write it as a text, in quotes") from error


def nested_hint(record: Mapping[str, object]) -> str:
    """What to do where the only row of a file holds a list of objects, which may be the rows; empty where it holds none."""
    list_columns = [name for name, value in record.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return f"; `{shown_name(list_columns[0])}` holds a list of objects: {NESTED}" if list_columns else ""


class _TextWindow:
    """A window on a stream's characters: `held` from `at` on is not used yet."""

    def __init__(self, stream: BinaryIO, path: str) -> None:
        self.stream, self.path = stream, path
        self.held, self.at = "", 0
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._ended = False

    def skip(self) -> str:
        """The next character that is no space, which stays the next; empty at the end."""
        while True:
            while self.at < len(self.held):
                if self.held[self.at] not in _SPACE:
                    return self.held[self.at]
                self.at += 1
            if not self.more(_BLOCK):
                return ""

    def more(self, size: int) -> bool:
        """Hold so many bytes more; whether there were any."""
        if self._ended:
            return False
        block = self.stream.read(size)
        self._ended = not block
        try:
            self.held = self.held[self.at :] + self._decoder.decode(block, final=self._ended)
        except UnicodeDecodeError as error:
            raise not_utf8(self.path, bytes(error.object), error) from error
        self.at = 0
        return bool(block)


def _check_object(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise InputError(f'{where}: is a {type(value).__name__}, not an object such as {{"text": ...}}')
    return value


class _DuplicateKeyError(Exception):
    """An object has a key twice: a parser would keep the last of its values in silence."""


def _refuse_duplicate_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _DuplicateKeyError(
            f"an object has the key `{shown_name(twice)}` more than once: it cannot be told which value is meant"
        )
    return record


_DECODER = json.JSONDecoder(object_pairs_hook=_refuse_duplicate_keys)
