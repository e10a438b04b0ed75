"""Labelled spans of a text, such as the names in it, in the one form that they are kept in (span_cells.py reads others).

They are canonical JSON, `[[0,3,"PERSON"],[10,16,"CITY"]]`: start, end (behind the last character) and label, in code points of
the text that is kept, by place. No two share a character, none is empty, none begins or ends with a space.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from tasks.data.alignment import Alignment
from tasks.data.redaction.placeholders import aligned_view

Span = tuple[int, int, str]


class UnusableSpans(ValueError):  # noqa: N818  (a state of a cell)
    """Why a cell holds no spans of its text, as words that follow its column's name; it repeats nothing of the text."""


def write_spans(spans: Iterable[Span]) -> str:
    """Spans as they are kept; `[]` where there are none."""
    return json.dumps([list(span) for span in sorted(spans)], ensure_ascii=False, separators=(",", ":"))


@lru_cache(50_000)
def spans_of(target: str) -> tuple[Span, ...]:
    """The spans that `write_spans` wrote."""
    return tuple((start, end, label) for start, end, label in json.loads(target))


def check_spans(spans: Iterable[Span], text: str) -> str:
    """Spans as they are kept, without the spaces at their edges; equal ones once. UnusableSpans as `read_spans`."""
    ordered = sorted({_without_edges(span, text) for span in spans})
    for (_, end, _), (start, _, _) in pairwise(ordered):
        if start < end:
            raise UnusableSpans("holds spans that overlap: a character is of one entity at the most, so keep one of them")
    return write_spans(ordered)


def move_spans(target: str, alignment: Alignment, text: str) -> str:
    """Spans of a text, in what an alignment makes of it; `text` is the text after. One that touches a placeholder covers it whole.

    Where two of one label come to share a replaced value they become one; UnusableSpans where two of different labels do, or where
    nothing is left of one.
    """
    moved: list[Span] = []
    view = aligned_view(text)[1]
    for start, end, label in spans_of(target):
        new = (*view.back(*view.forward(*alignment.forward(start, end))), label)
        if moved and new[0] < moved[-1][1]:
            if moved[-1][2] != label:
                raise UnusableSpans("holds spans of two labels within one personal value: label the whole of it once")
            new = (moved.pop()[0], new[1], label)
        moved.append(new)
    return check_spans(moved, text)


def write_entities(spans: Sequence[Span], scores: Sequence[float]) -> str:
    """Spans as people are told them, as JSON: `[{"label": "PERSON", "start": 0, "end": 3, "score": 0.98}]`."""
    entities = [
        {"label": label, "start": start, "end": end, "score": score}
        for (start, end, label), score in zip(spans, scores, strict=True)
    ]
    return json.dumps(entities, ensure_ascii=False)


def spans_of_entities(entities: Iterable[Mapping[str, Any]]) -> str:
    """The spans, as they are kept, of entities that `write_entities` wrote and JSON read."""
    return write_spans((each["start"], each["end"], each["label"]) for each in entities)


def write_correction(spans: str, text: str) -> str:
    """Spans that a person set right, as the log keeps them: with a mark of the text, as it is stored, that places count in."""
    return json.dumps({"spans": json.loads(spans), "text": _mark_of(text)}, ensure_ascii=False, separators=(",", ":"))


def read_correction(value: str, text: str) -> str | None:
    """The spans of a correction; None where it is none, or is of another text than this."""
    try:
        correction = json.loads(value)
        return check_spans(spans_of(json.dumps(correction["spans"])), text) if correction["text"] == _mark_of(text) else None
    except (ValueError, TypeError, KeyError):
        return None


def rename_correction(value: str, names: Mapping[str, str]) -> str:
    """The same correction under other labels."""
    correction = json.loads(value)
    return json.dumps(
        {**correction, "spans": [[*place, names[label]] for *place, label in correction["spans"]]}, ensure_ascii=False
    )


def correction_labels(value: str) -> list[str]:
    """The labels of a correction's spans."""
    return [label for *_, label in json.loads(value)["spans"]]


def _mark_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def rename_labels(target: str, names: Mapping[str, str]) -> str:
    """The same spans under other labels."""
    return write_spans((start, end, names[label]) for start, end, label in spans_of(target))


def _without_edges(span: Span, text: str) -> Span:
    start, end, label = span
    if not 0 <= start <= end <= len(text):
        raise UnusableSpans(f"holds a span that lies outside the text of {len(text):,} characters")
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start == end:
        raise UnusableSpans("holds a span of which nothing shows: spaces and invisible signs alone are no entity")
    return start, end, label
