"""What a column is like whose cells hold more than one value: sets of labels, spans, tags of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from configs.schema import Data
from tasks.data.label_sets import labels_of, read_label_set
from tasks.data.span_cells import NO_TAG, labels_of_spans, tags_of_words

SEPARATOR: str = Data.model_fields["label_separator"].default
LOOKED_AT = 2_000  # cells, evenly spread, that are looked at
_LONGEST_SET = 1_000


@dataclass(frozen=True)
class LabelSetFacts:
    """What a column is like as one of sets of labels: the share of rows that can be read so, and of those with several labels.

    `repeats` is how often a label stands on average, `words` how many words the labels have.
    """

    readable: float
    several: float
    distinct: int
    repeats: float
    words: float


@dataclass(frozen=True)
class SpanFacts:
    """What a column is like as one of labelled spans: the shares of filled cells that are lists of spans, of tags, and of words,
    and how many labels the spans or tags have."""

    spans: float = 0.0
    tags: float = 0.0
    words: float = 0.0
    labels: int = 0


def describe_sets(cells: Sequence[object]) -> LabelSetFacts | None:
    """The column as sets of labels; None where no cell holds more than one."""
    looked_at = cells[:: max(1, len(cells) // LOOKED_AT)]
    sets: list[tuple[str, ...]] = []
    for cell in looked_at:
        if isinstance(cell, str) and len(cell) > _LONGEST_SET:
            continue
        with suppress(ValueError):
            sets.append(labels_of(read_label_set(cell, SEPARATOR)))
    counts = Counter(label for each in sets for label in each)
    several = sum(len(each) > 1 for each in sets)
    if not several:
        return None
    words = sum(len(label.split()) * times for label, times in counts.items()) / counts.total()
    return LabelSetFacts(len(sets) / len(looked_at), several / len(sets), len(counts), counts.total() / len(counts), words)


def describe_spans(cells: Sequence[object]) -> SpanFacts:
    """The column as lists of spans, of tags or of words."""
    filled = [cell for cell in cells if cell is not None and cell != "" and cell == cell]
    looked_at = filled[:: max(1, len(filled) // LOOKED_AT)]
    spans = [own for cell in looked_at if (own := labels_of_spans(cell)) is not None]
    tags = [own for cell in looked_at if (own := tags_of_words(cell)) is not None]
    lists = [cell for cell in looked_at if isinstance(cell, list) or (isinstance(cell, str) and cell.startswith("["))]
    words = sum(isinstance(cell, str) or all(isinstance(word, str) for word in cell) for cell in lists)
    labels = {label for own in spans for label in own} or {
        tag.partition("-")[2] or tag for own in tags for tag in own if tag != NO_TAG
    }
    n = max(1, len(looked_at))
    return SpanFacts(len(spans) / n if any(spans) else 0.0, len(tags) / n, words / n, len(labels))
