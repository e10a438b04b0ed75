"""Tells what separates the fields of a CSV file from its first lines, where nobody has named its columns yet."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import islice

from tasks.data.sources.chunk import bounded_lines
from tasks.data.sources.read_csv import SEPARATORS, csv_header
from tasks.data.sources.source_files import File
from tasks.data.sources.streams import open_text

RARER = (":", "^", "~", "#", "!", "\x01", "\x1f")
_LINES = 50
_BYTES = 1 << 24
_ALIKE = 0.9  # share of the records that have as many fields as the header


def find_separator(file: File) -> str | None:
    """The separator under which the first lines have the same number of fields, the most of those; None where it is none of these.

    A comma in a header of semicolons misleads who looks at the header alone.
    """
    with open_text(file) as stream:
        lines = list(islice(bounded_lines(stream, file.path, _BYTES), _LINES))
    if not lines or lines[0].lower().startswith("sep="):
        return None
    common = [(fields, -place, sign) for place, sign in enumerate(SEPARATORS) if (fields := _fields(lines, sign)) > 1]
    rare = [] if common else [(fields, -place, sign) for place, sign in enumerate(RARER) if (fields := _fields(lines, sign)) > 1]
    best = max(common or rare, default=None)
    return None if best is None else best[2]


def is_found_alone(file: File, separator: str, names: tuple[str, ...]) -> bool:
    """Whether a reader that looks for these columns in the header finds that separator without being told."""
    own = csv_header(replace(file, separator=None), names, _BYTES)
    return own == csv_header(replace(file, separator=separator), names, _BYTES)


def _fields(lines: list[str], sign: str) -> int:
    """How many fields nearly all records have under a separator; 0 where they differ."""
    try:
        records = [record for record in csv.reader(lines, delimiter=sign) if record]
    except csv.Error:
        return 0
    if len(lines) == _LINES:
        records = records[:-1] or records  # the last may go on in lines that were not read
    alike = sum(len(record) == len(records[0]) for record in records) if records else 0
    return len(records[0]) if records and alike >= _ALIKE * len(records) else 0
