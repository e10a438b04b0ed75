"""What the cells of a column are like: counts, lengths and shares; no cell is kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from configs.errors import InputError
from tasks.data.answers import names_places
from tasks.data.labels import canonical_label
from tasks.data.messages import share_of_conversations
from tasks.data.numbers import canonical_number
from tasks.data.preparation.split import SPLITS
from tasks.data.proposal.column_names import match_name
from tasks.data.proposal.sample import RowSample
from tasks.data.proposal.structured_cells import LOOKED_AT, LabelSetFacts, SpanFacts, describe_sets, describe_spans
from tasks.data.sources.chunk import Chunk, cell_text
from tasks.data.sources.times import read_times

TIMES = ("time", "date", "timestamp", "datetime", "created", "datum", "zeit", "zeitpunkt", "at", "on", "day", "year", "jahr")
NUMBER = re.compile(r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?%?")
_ROUNDED = re.compile(r"\d\.?\d*[eE]\+?\d+|\d{16,}\.0")  # a whole number that a float could not hold
_FULL_DATE = re.compile(r" *\d{4}(?:-|\.\d|\d{4}T)")
_FOREIGN_TIME = re.compile(
    r"\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})\b.*|(?:[A-Z][a-z]{2,8},? )+\d{1,2}\b.*\d{4}.*|\d{1,2}\.? [A-Za-zä]{3,9}\.? \d{4}.*"
)
_WIDE = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # letters of languages that put no spaces
_WORD = re.compile(r"[^\W\d_]{2,}")
_LONGEST_LABEL = 200  # characters: longer cells are compared as they are
_LONGEST_TIME = 60
_CONTEXTS = 5  # columns of sentences, the longest ones, that others are looked for in
_FEW = 4  # cells of which nothing is said


@dataclass(frozen=True)
class ColumnFacts:
    """What a column's cells are like. Shares (0 to 1) are of the cells that are filled; `filled` is a share of all rows.

    `distinct` counts values as labels are compared. `prose`: sentences; `wordy`: letters, in whatever order;
    `numeric`: numbers however they are written; `numbers`: as a run reads them. `words` and `length`
    are means. `commonest` is the share of the commonest value. `consecutive`: whole numbers, each one more than the last.
    `times`: all are times as they are read; `foreign`: they are times, but in another form. `structured`: lists or objects.
    `conversations`: the share of all rows that are conversations with an answer in them.
    `answers`: answers with the places where they start in a text. `stands_in`: columns of longer texts that hold this one's cells.
    """

    name: str
    rows: int
    filled: float
    distinct: int
    length: float
    longest: int
    words: float
    prose: float
    wordy: float
    numeric: float
    numbers: float
    rounded: float
    spaced: float
    commonest: float
    consecutive: bool
    is_split: bool
    times: Literal["none", "foreign", "all"]
    structured: bool
    names_itself: bool
    label_sets: LabelSetFacts | None
    spans: SpanFacts
    conversations: float
    answers: float
    stands_in: tuple[str, ...] = ()

    @property
    def cells(self) -> int:
        """How many cells are filled."""
        return round(self.filled * self.rows)

    @property
    def variety(self) -> float:
        """Distinct values a filled cell, 0 to 1."""
        return self.distinct / max(1, self.cells)

    @property
    def is_unique(self) -> bool:
        """Whether every row has a value of its own."""
        return self.rows > 0 and self.filled == 1 and self.distinct == self.rows


def describe_columns(sample: RowSample) -> tuple[ColumnFacts, ...]:
    """The facts of every column, in the order of the source."""
    columns = tuple(_describe_column(name, sample.of([name])) for name in sample.columns)
    contexts = sorted((column for column in columns if column.prose > 0.5), key=lambda column: -column.length)[:_CONTEXTS]
    return tuple(replace(column, stands_in=_containing(sample, column, contexts)) for column in columns)


def _describe_column(name: str, chunk: Chunk) -> ColumnFacts:
    cells = chunk.columns[name]
    structured = any(_is_structured(cell) for cell in cells)
    filled_cells = [cell for cell in cells if cell is not None and cell != ""][: 2 * LOOKED_AT : 2]
    texts = [None if _is_structured(cell) else cell_text(cell, chunk, name, i) for i, cell in enumerate(cells)]
    filled = [text for text in texts if text is not None and text.strip()]
    counts = Counter(canonical_label(text) if len(text) <= _LONGEST_LABEL else text for text in filled)
    looked_at = filled[:: max(1, len(filled) // LOOKED_AT)]

    def share(holds: Callable[[str], object]) -> float:
        return sum(bool(holds(text)) for text in looked_at) / max(1, len(looked_at))

    words = [_count_words(text) for text in looked_at]
    return ColumnFacts(
        name=name,
        rows=len(cells),
        filled=len(filled) / max(1, len(cells)),
        distinct=len(counts),
        length=sum(map(len, filled)) / max(1, len(filled)),
        longest=max(map(len, filled), default=0),
        words=sum(words) / max(1, len(words)),
        prose=sum(count >= 3 for count in words) / max(1, len(words)),
        wordy=share(lambda text: _WORD.search(text) and not text.startswith(("http://", "https://"))),
        numeric=share(NUMBER.fullmatch),
        numbers=share(_is_number),
        rounded=share(_ROUNDED.fullmatch),
        spaced=share(lambda text: " " in text.strip()),
        commonest=max(counts.values(), default=0) / max(1, len(filled)),
        consecutive=_is_consecutive(filled),
        is_split=counts.keys() <= set(SPLITS) and {"train", "test"} <= counts.keys() and len(filled) == len(cells),
        times="none" if structured else _form_of_times(name, texts, chunk),
        structured=structured,
        names_itself=name.strip() in counts,
        label_sets=describe_sets(cells),
        conversations=share_of_conversations(cells[:: max(1, len(cells) // LOOKED_AT)]),
        answers=sum(map(names_places, filled_cells)) / max(1, len(filled_cells)),
        spans=describe_spans(cells),
    )


def _containing(sample: RowSample, column: ColumnFacts, contexts: Sequence[ColumnFacts]) -> tuple[str, ...]:
    """The columns that hold nearly each of a column's filled cells as a part of theirs."""
    if column.structured or column.cells < _FEW:
        return ()
    return tuple(
        context.name
        for context in contexts
        if context.length > 2 * column.length and _share_held(sample, column.name, context.name) >= 0.9
    )


def _share_held(sample: RowSample, name: str, context: str) -> float:
    pairs = [
        (cell.strip(), text)
        for cell, text in zip(sample.columns[name], sample.columns[context], strict=True)
        if isinstance(cell, str) and cell.strip() and isinstance(text, str)
    ]
    looked_at = pairs[:: max(1, len(pairs) // LOOKED_AT)]
    return sum(cell in text for cell, text in looked_at) / max(1, len(looked_at))


def _is_structured(cell: object) -> bool:
    """Whether a cell is no text, number or time: an object, bytes, a list of something else than sentences."""
    return isinstance(cell, dict | bytes) or (isinstance(cell, list) and not all(isinstance(part, str) for part in cell))


def _is_number(text: str) -> bool:
    """Whether a cell is a number as a run reads it."""
    try:
        return canonical_number(text) is not None
    except ValueError:
        return False


def _count_words(text: str) -> int:
    """Words of a text; four letters of a language without spaces count as two."""
    wide = len(_WIDE.findall(text))
    return sum(1 for word in text.split() if _WORD.search(word)) + wide // 2 if wide < len(text) else wide // 2


def _is_consecutive(filled: Sequence[str]) -> bool:
    """Whether these are row numbers."""
    try:
        numbers = [int(text) for text in filled]
    except ValueError:
        return False
    return len(numbers) > 1 and all(after - before == 1 for before, after in pairwise(numbers))


def _form_of_times(name: str, texts: Sequence[str | None], chunk: Chunk) -> Literal["none", "foreign", "all"]:
    """Whether a column is of times. Bare numbers, such as years, are times only under a name that says so."""
    filled = [text for text in texts if text is not None]
    if not filled or max(map(len, filled)) > _LONGEST_TIME:
        return "none"
    has_time_name = match_name(name, TIMES) > 0
    first = filled[:200]
    if has_time_name or all(map(_FULL_DATE.match, first)):
        try:
            read_times([*first], chunk, name)
            read_times(list(texts), chunk, name)
            return "all"
        except InputError:
            pass
    seconds = has_time_name and all(text.isdigit() and len(text) in (10, 13) for text in first)
    return "foreign" if seconds or all(map(_FOREIGN_TIME.fullmatch, first)) else "none"
