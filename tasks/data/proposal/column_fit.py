"""How well a column suits to be read, or to be answered with, by its cells alone: 0 to 1."""

from __future__ import annotations

from tasks.data.proposal.column_facts import ColumnFacts
from tasks.data.proposal.column_names import LAST, match_name
from tasks.data.proposal.row_roles import is_id_name

MOST_LABELS = 1_000
LONG_LABEL = 8  # words: longer cells are answers, not names of classes
_SLICES = (
    "language", "lang", "region", "country", "channel", "source", "platform", "version", "split", "location", "timezone",
    "sprache", "land", "kanal", "quelle", "ort", "city", "state", "gender", "confidence",
)  # fmt: skip


def fits_spans(column: ColumnFacts) -> float:
    """Lists of spans with labels, as they are read."""
    return column.spans.spans**2 if column.spans.labels <= MOST_LABELS else 0.0


def fits_tags(column: ColumnFacts) -> float:
    """Lists of tags, most of them `O` or with a prefix."""
    return column.spans.tags**2 * (1.0 if 1 <= column.spans.labels <= MOST_LABELS else 0.0)


def fits_words(column: ColumnFacts) -> float:
    """Lists of words, or texts that can be parted into them."""
    return 0.0 if _is_marked(column) else max(column.spans.words, 0.5 * fits_text(column))


def _is_marked(column: ColumnFacts) -> bool:
    """Whether a column holds spans or tags, which are of another column's text."""
    return max(column.spans.spans, column.spans.tags) > 0.5


def fits_text(column: ColumnFacts) -> float:
    """Sentences that differ from row to row, the longer the better."""
    if _is_marked(column) or column.structured or column.times == "all":
        return 0.0
    says = max(column.prose, 0.4 * column.wordy)
    length = min(1.0, 0.6 + column.words / 50)
    return column.filled * says * length * min(1.0, 2 * column.variety) ** 2


def fits_label(column: ColumnFacts) -> float:
    """Few short values that repeat; of a single one nothing can be learned, but a file may be sorted by it."""
    if (
        _is_marked(column)
        or column.structured
        or column.times == "all"
        or not 1 <= column.distinct <= MOST_LABELS
        or column.cells < 4
    ):
        return 0.0
    repeats = min(1.0, max(0.0, 1.25 - 2.5 * column.variety)) if column.distinct > 2 else 1.0
    short = 1.0 if column.words <= LONG_LABEL else 0.2
    alone = 0.2 if column.distinct == 1 else 1.0
    known = 0.5 if match_name(column.name, _SLICES) >= LAST or is_id_name(column.name) else 1.0
    many = 0.8 if column.numeric == 1 and column.distinct > 20 else 1.0
    many *= 0.2 if fits_labels(column) else 1.0
    return column.filled**2 * repeats * short * alone * known * many


def fits_labels(column: ColumnFacts) -> float:
    """Lists of short values that repeat, some of them with several."""
    sets = column.label_sets
    if sets is None or _is_marked(column) or sets.several < 0.05 or sets.distinct > MOST_LABELS or sets.words > LONG_LABEL / 2:
        return 0.0
    return sets.readable**2 * min(1.0, sets.repeats / 3)


def fits_number(column: ColumnFacts) -> float:
    """Numbers of many values, as they are read; fewer are rather names of classes."""
    if column.structured or column.times == "all" or column.numbers < 0.95 or column.rounded or column.consecutive:
        return 0.0
    many = min(1.0, column.distinct / 30)
    return column.filled**2 * many * (0.2 if is_id_name(column.name) else 1.0)


def fits_answer(column: ColumnFacts) -> float:
    """Texts, words or numbers that differ from row to row, and do not number the rows."""
    if _is_marked(column) or column.structured or column.times == "all" or column.consecutive:
        return 0.0
    says = max(column.prose, 0.7 * column.wordy, 0.4 * column.numeric)
    names_rows = 0.2 if column.is_unique and column.words <= 1 and is_id_name(column.name) else 1.0
    return column.filled**2 * says * min(1.0, 2 * column.variety) * names_rows


def fits_question(column: ColumnFacts) -> float:
    """Sentences, be they the same for many rows."""
    return 0.0 if column.structured or column.times == "all" else column.filled**2 * max(column.prose, 0.4 * column.wordy)


def fits_context(column: ColumnFacts) -> float:
    """Sentences of some length."""
    return 0.0 if column.structured else column.filled**2 * column.prose * min(1.0, column.words / 10)


def fits_answers(column: ColumnFacts) -> float:
    """Answers with their places, or words that stand in another column; there need not be any in every row."""
    return 1.0 if column.answers >= 0.9 else 0.9 if column.stands_in else 0.0


def stand_in(answers: ColumnFacts, context: ColumnFacts) -> bool:
    """Whether answers may stand in a context."""
    return answers.answers >= 0.9 or context.name in answers.stands_in
