"""Labelled spans in the cells of a source, in the forms that people write: lists of spans, and words with a tag each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasks.data.labels import canonical_label
from tasks.data.spans import Span, UnusableSpans, check_spans
from tasks.data.written import read_written

MOST_SPANS = 100_000  # of a text
FORM = 'a list of {"start": 0, "end": 3, "label": "PERSON"}, or of [0, 3, "PERSON"]'
NO_TAG = "O"
_LABELS = ("label", "entity_type", "entity_group", "entity", "type", "tag", "labels", "ner", "class")
_STARTS = ("start", "start_position", "start_offset", "start_char", "begin", "offset")
_ENDS = ("end", "end_position", "end_offset", "end_char", "stop")
_VALUES = ("entity_value", "value", "text")  # what stands there, to check places by
_PREFIXED = re.compile(r"([BIMESLU])[-_](.+)", re.DOTALL)
_BEGINS, _ENDS_HERE = frozenset("BSU"), frozenset("ESLU")
_LIKE_NO_TAG = frozenset("o0_-")  # written for O, in small letters
_SIGNS_OF_LISTS = frozenset("[]{},;'\"")


class IntegerTags(ValueError):  # noqa: N818
    """Tags are numbers, whose names only the source knows."""


def read_spans(cell: object, text: str) -> str:
    """The spans of a cell, of this text: a list, or one as JSON or as Python writes it; an empty cell has none.

    UnusableSpans for another form, places outside the text, spans of nothing but space, and spans that share a character.
    """
    spans = _list_of(cell)
    if len(spans) > MOST_SPANS:
        raise UnusableSpans(f"holds more than {MOST_SPANS:,} spans")
    return check_spans([_read_span(each, text) for each in spans], text)


def labels_of_spans(cell: object) -> list[str] | None:
    """The label of each span of a cell, whatever text they are of; None for a cell that is empty or holds no list of spans."""
    if cell is None or cell == "":
        return None
    try:
        return [_span_parts(each)[0] for each in _list_of(cell)]
    except UnusableSpans:
        return None


def tags_of_words(cell: object) -> list[str] | None:
    """The tags of a cell; None for a cell that is no list of them: each is `O` or has a prefix, or some are `O`."""
    try:
        tags = [str(tag) for tag in _words_of(cell)]
    except UnusableSpans:
        return None
    prefixed = all(tag == NO_TAG or _PREFIXED.fullmatch(tag) for tag in tags)
    return tags if tags and (prefixed or NO_TAG in tags) else None


def read_tagged_words(words: object, tags: object) -> tuple[str, str]:
    """A text, its words joined by a space, and its spans, from a tag for each word.

    Words and tags are lists, also as JSON, or text with spaces between. Tags are `O` and B-X, I-X (IOB1 or IOB2), with E-X, L-X,
    S-X, U-X for the last and for the only word of a span (BIOES, BILOU), M-X for one within; or plain labels: neighbours of one
    label are one span.
    UnusableSpans where they do not fit, IntegerTags where they are numbers.
    """
    tokens, marks = _words_of(words), _words_of(tags)
    if any(isinstance(mark, int | float) for mark in marks) or (marks and all(str(mark).isdecimal() for mark in marks)):
        raise IntegerTags
    if len(tokens) != len(marks):
        raise UnusableSpans(f"holds {len(marks):,} tags for {len(tokens):,} words")
    if isinstance(tags, str) and not all(_SIGNS_OF_LISTS.isdisjoint(str(mark)) for mark in marks):
        raise UnusableSpans("holds tags with commas, quotes or brackets in them: write tags with spaces between, or a list as JSON")
    word_marks = [(str(word), str(mark)) for word, mark in zip(tokens, marks, strict=True) if str(word)]
    text = " ".join(word for word, _ in word_marks)
    starts, at = list[int](), 0
    for word, _ in word_marks:
        starts.append(at)
        at += len(word) + 1
    runs = _runs_of([mark for _, mark in word_marks])
    return text, check_spans([(starts[first], starts[last] + len(word_marks[last][0]), label) for first, last, label in runs], text)


def text_of_words(words: object) -> str:
    """The text that `read_tagged_words` makes of words; empty where they are none."""
    try:
        return " ".join(str(word) for word in _words_of(words) if str(word))
    except UnusableSpans:
        return ""


def _runs_of(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """(first word, last word, label) of each span that tags mark."""
    matches = [_PREFIXED.fullmatch(tag) for tag in tags]
    outside = [tag in (NO_TAG, "") for tag in tags]
    prefixed = any(matches) and all(match or out for match, out in zip(matches, outside, strict=True))
    if not prefixed:
        _check_plain_labels(tags)
    runs: list[tuple[int, int, str]] = []
    is_open = False
    for place, (tag, match, out) in enumerate(zip(tags, matches, outside, strict=True)):
        if out:
            is_open = False
            continue
        kind, name = (match[1], match[2]) if prefixed and match else ("I", tag)
        label = canonical_label(name)
        if label is None:
            raise UnusableSpans("holds a tag without a label")
        if is_open and kind not in _BEGINS and runs[-1][2] == label:
            runs[-1] = (runs[-1][0], place, label)
        else:
            runs.append((place, place, label))
        is_open = kind not in _ENDS_HERE
    return runs


def _check_plain_labels(tags: Sequence[str]) -> None:
    """Refuse tags that read as plain labels, and are hardly meant so: B-X is of a scheme where I-X or X stands beside it."""
    if any(tag.casefold() in _LIKE_NO_TAG and tag != NO_TAG for tag in tags):
        raise UnusableSpans("holds a sign for a word outside of all spans that is not the letter O: write O")
    ways: dict[str, set[str]] = {}
    for tag in tags:
        match = _PREFIXED.fullmatch(tag[:1].upper() + tag[1:])
        ways.setdefault((match[2] if match else tag).casefold(), set()).add(tag[:2] if match else "")
    if any(len(kinds) > 1 for kinds in ways.values()):
        raise UnusableSpans("holds tags of one label with a prefix and without, or in small letters: write each as B-X, I-X or O")


def _words_of(cell: object) -> list[object]:
    if isinstance(cell, str):
        text = cell.strip()
        cell = _parse(text) if text[:1] == "[" and text[-1:] == "]" else None
        cell = text.split() if cell is None else cell
    words = [] if cell is None or cell != cell else cell
    if not isinstance(words, list | tuple) or any(isinstance(word, list | tuple | dict | bytes) for word in words):
        raise UnusableSpans("is no list of words: write a list, a list as JSON, or words with spaces between")
    return ["" if word is None else word for word in words]


def _list_of(cell: object) -> Sequence[object]:
    if isinstance(cell, str):
        parsed = _parse(cell.strip()) if cell.strip() not in ("", "null") else []
        cell = "" if parsed is None else parsed
    spans = [] if cell is None or cell != cell else cell
    if not isinstance(spans, list | tuple):
        raise UnusableSpans(f"is no list of spans: write {FORM}")
    return spans


def _parse(text: str) -> object:
    try:
        return read_written(text)
    except ValueError:
        return None


def _read_span(value: object, text: str) -> Span:
    name, first, last, stands = _span_parts(value)
    if not 0 <= first < last <= len(text):
        fault = (
            "is empty" if first == last else "ends before it begins" if last < first else f"lies outside the text of {len(text):,}"
        )
        raise UnusableSpans(f"holds a span that {fault} (characters {first:,} to {last:,}): count from 0, the end behind the last")
    if stands is not None and _letters(stands) != _letters(text[first:last]):
        raise UnusableSpans(
            f"holds a span at whose place (characters {first:,} to {last:,}) something else stands than it says: count code points "
            "of the text as it is given"
        )
    return first, last, name


def _span_parts(value: object) -> tuple[str, int, int, str | None]:
    """Label, start, end, and what is said to stand there."""
    label, start, end, stands = None, None, None, None
    if isinstance(value, list | tuple) and len(value) == 3:
        label = next((each for each in value if isinstance(each, str)), None)
        start, end = [each for each in value if each is not label][:2] if label is not None else (None, None)
    elif isinstance(value, dict):
        keys = (_LABELS, _STARTS, _ENDS)
        label, start, end = (next((value[key] for key in names if value.get(key) is not None), None) for names in keys)
        end = _sum(start, value.get("length")) if end is None else end
        label = label[0] if isinstance(label, list) and len(label) == 1 else label
        stands = next((value[key] for key in _VALUES if isinstance(value.get(key), str)), None)
    else:
        raise UnusableSpans(f"is no list of spans: write {FORM}")
    name = canonical_label(label) if isinstance(label, str | int) else None
    first, last = _whole(start), _whole(end)
    if name is None or first is None or last is None:
        raise UnusableSpans(f"holds a span without label, start or end: write {FORM}")
    return name, first, last, stands


def _sum(start: object, length: object) -> int | None:
    first, size = _whole(start), _whole(length)
    return None if first is None or size is None else first + size


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    return int(value) if value == int(value) else None


def _letters(text: str) -> str:
    return "".join(text.casefold().split())
