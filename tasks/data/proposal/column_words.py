"""What was seen of a column, in words without a cell's value."""

from __future__ import annotations

import re

from tasks.data.proposal.column_facts import NUMBER, ColumnFacts
from tasks.data.sources.read_json import NESTED

_LONGEST_NAME = 64
_MOST_WORDS = 5
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}.*|\d{1,2}[./]\d{1,2}[./]\d{2,4}.*")


def describe_column(column: ColumnFacts) -> str:
    """What its cells are: empty, times, numbers, texts, values that repeat, ..."""
    if column.structured:
        return "holds lists or objects" if column.rows > 1 else f"holds a list or an object in the only row: {NESTED}"
    if column.cells == 0:
        return "is empty"
    if column.times != "none":
        return "holds times"
    if column.prose > 0.5:
        return f"holds texts of {column.words:.0f} words"
    if column.numeric == 1 and column.numbers < 1:
        return "holds numbers that are not written as digits with a decimal point"
    kind = "numbers" if column.numeric == 1 else "short values"
    return f"holds {column.distinct:,} different {kind} in {column.cells:,} rows"


def is_odd_name(name: str) -> bool:
    """Whether a column's name is rather a cell: a number, a time, a sentence."""
    text = name.strip()
    return len(text) > _LONGEST_NAME or len(text.split()) > _MOST_WORDS or bool(NUMBER.fullmatch(text) or _DATED.fullmatch(text))
