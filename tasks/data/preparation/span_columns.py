"""Texts with labelled spans from the columns of a source: a text and its spans, or words with a tag each."""

from __future__ import annotations

from collections.abc import Sequence

from configs.errors import InputError
from configs.schema import Data
from tasks.data.redaction.aligned_texts import AlignedText
from tasks.data.sources.chunk import Chunk, cell_text
from tasks.data.span_cells import IntegerTags, read_spans, read_tagged_words
from tasks.data.spans import UnusableSpans, move_spans
from tasks.data.text_parts import plain_part


def read_span_columns(chunk: Chunk, data: Data, refused: dict[int, str]) -> tuple[list[str | None], list[str | None]]:
    """Texts and their spans, in characters of the texts as they come.

    A cell that holds no such becomes null, and its row is refused.
    """
    return _read_words(chunk, data, refused) if data.words and data.tags else _read_texts(chunk, data, refused)


def _read_texts(chunk: Chunk, data: Data, refused: dict[int, str]) -> tuple[list[str | None], list[str | None]]:
    column, targets = data.text, list[str | None]()
    texts = [cell_text(value, chunk, column, index) for index, value in enumerate(chunk.columns[column])]
    for index, (text, cell) in enumerate(zip(texts, chunk.columns[data.spans], strict=True)):
        try:
            targets.append(None if text is None else read_spans(cell, plain_part(text)))
        except UnusableSpans as error:
            targets.append(None)
            refused[index] = f"its `{data.spans}` {error}"
    return texts, targets


def _read_words(chunk: Chunk, data: Data, refused: dict[int, str]) -> tuple[list[str | None], list[str | None]]:
    texts, targets = list[str | None](), list[str | None]()
    for index, (words, tags) in enumerate(zip(chunk.columns[data.words or ""], chunk.columns[data.tags or ""], strict=True)):
        text = target = None
        try:
            text, target = read_tagged_words(words, tags)
        except UnusableSpans as error:
            refused[index] = f"its `{data.words}` and `{data.tags}`: {error}"
        except IntegerTags:
            raise InputError(
                f"{chunk.place(index)}: `{data.tags}` holds numbers, and what each stands for only its maker knows: write the tags "
                "by name, such as B-PERSON and O (of a Hugging Face dataset, `features[...].feature.int2str` gives them)"
            ) from None
        texts.append(text or None)
        targets.append(target)
    return texts, targets


def moved_spans(prepared: Sequence[AlignedText], targets: Sequence[str | None]) -> tuple[list[str], dict[int, str]]:
    """Targets in the texts as they are kept, of those in the texts as they came; and why a row is unusable, by its place."""
    moved, unusable = list[str](), dict[int, str]()
    for place, (after, target) in enumerate(zip(prepared, targets, strict=True)):
        try:
            moved.append(move_spans(target, after.alignment, after.kept) if target and after.kept is not None else target or "")
        except UnusableSpans as error:
            moved.append("")
            unusable[place] = f"its target {error}"
    return moved, unusable
