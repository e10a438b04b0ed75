"""Turns chunks of a source into canonical rows: cells as text, times in UTC, ids as they are kept; and refuses unusable rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs.errors import InputError
from configs.schema import Data, ProblemName, facts_of
from tasks.data.normalise import holds_half_character
from tasks.data.numbers import BELONGS
from tasks.data.preparation.conversations import read_conversations, read_languages, read_rejected
from tasks.data.preparation.span_columns import read_span_columns
from tasks.data.preparation.split import SPLITS
from tasks.data.preparation.target_columns import read_flags, read_targets, read_texts, read_thumbs
from tasks.data.redaction.pseudonyms import file_name, pseudonyms_of
from tasks.data.redaction.redact import Redactor
from tasks.data.sources.chunk import Chunk, cell_shape, cell_text, check_length
from tasks.data.sources.columns import INDICATOR, source_columns, split_column, wanted_columns
from tasks.data.sources.read_files import read_chunks
from tasks.data.sources.source_files import data_files
from tasks.data.sources.times import read_times
from tasks.data.text_parts import join_parts, plain_part

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Part:
    """Rows of one chunk; `refused` gives the reason for each row that no file can hold."""

    chunk: Chunk
    rows: pa.RecordBatch
    refused: dict[int, str]


@dataclass(frozen=True)
class _ReadSettings:
    """The settings that all chunks share."""

    data: Data
    names: dict[str, str]
    schema: pa.Schema
    target: str  # its kind, as `ProblemFacts` has it
    least: float  # of a number
    redactor: Redactor | None


def canonical_parts(data: Data, problem: ProblemName, schema: pa.Schema, redactor: Redactor | None) -> Iterator[Part]:
    """All rows of the source and of `data.test`, chunk by chunk; `redactor` is None where ids are kept as they are."""
    facts = facts_of(problem)
    settings = _ReadSettings(data, wanted_columns(data, problem), schema, facts.target, facts.least_number, redactor)
    columns = source_columns(data, problem)
    source, test = data_files(data)
    for file, split in [(f, "train" if test else None) for f in source] + [(f, "test") for f in test]:
        own = file_name(file.name, redactor)
        for chunk in read_chunks(file, columns, data.max_characters):
            yield _canonical_part(settings, chunk, split, own)


def source_places(
    data: Data, problem: ProblemName, kept_ids: Collection[str], redactor: Redactor | None, most: int = 5
) -> list[str]:
    """Where the rows of kept ids stand in the source as it is now: `FILE row N`, at most so many; only the ids are read."""
    source, test = data_files(data)
    column = data.id or source_columns(data, problem)[0]
    places: list[str] = []
    for file in (*source, *test):
        own = file_name(file.name, redactor)
        if data.id is None and all(kept_id.rpartition("#")[0] != own for kept_id in kept_ids):
            continue
        for chunk in read_chunks(file, (column,), data.max_characters):
            names = _numbered_ids(chunk, own) if data.id is None else _read_ids(chunk, data.id, redactor)
            places += [chunk.place(index) for index, name in enumerate(names) if name in kept_ids]
            if len(places) >= most:
                return places[:most]
    return places


def _numbered_ids(chunk: Chunk, own: str) -> list[str]:
    """The ids of rows that have none: by file and number."""
    n = len(next(iter(chunk.columns.values())))
    return [f"{own}#{i}" for i in range(chunk.first, chunk.first + n)]


def _canonical_part(settings: _ReadSettings, chunk: Chunk, source_split: str | None, own: str) -> Part:
    import pyarrow as pa

    n = len(next(iter(chunk.columns.values())))
    out: dict[str, list[str | None] | pa.Array] = {
        "origin": ["source"] * n, "split": [source_split] * n, "group": [None] * n, "time": [None] * n,
        "rejected": [None] * n, "target": [BELONGS] * n,
    }  # fmt: skip
    out["id"] = _numbered_ids(chunk, own)
    refused: dict[int, str] = {}
    spans = settings.target == "spans"
    for name, column in settings.names.items():
        if name == "id":
            out[name] = _read_ids(chunk, column, settings.redactor)
            continue
        if name.startswith(INDICATOR) or name == "messages" or (spans and name in ("text", "target")):
            continue
        if name == "thumb" or (name == "rejected" and "messages" in settings.names):
            continue
        if name == "target":
            out[name] = read_targets(settings.target, settings.data, settings.names, chunk, refused, least=settings.least)
        else:
            out[name] = read_texts(chunk, column)
        if name in ("text", "text_pair", "rejected") or (name == "target" and settings.target in ("label", "text")):
            check_length(out[name], chunk, column, settings.data.max_characters)
        if name == "time":
            out[name] = read_times(out[name], chunk, column)
    _read_structured(settings, chunk, out, refused)
    if split := split_column(settings.data):
        out["split"] = [_split_name(v, chunk, split, i) for i, v in enumerate(chunk.columns[split])]
    arrays = [_arrow_column(out[f.name], f, settings.names, refused) for f in settings.schema]
    return Part(chunk, pa.record_batch(arrays, schema=settings.schema), refused)


def _read_structured(
    settings: _ReadSettings, chunk: Chunk, out: dict[str, list[str | None] | pa.Array], refused: dict[int, str]
) -> None:
    """Add to `out` what is made of several columns or of structured cells: spans, sets, conversations, thumbs, languages."""
    if settings.target == "spans":
        out["text"], out["target"] = read_span_columns(chunk, settings.data, refused)
        check_length(out["text"], chunk, settings.names["text"], settings.data.max_characters)
    if labels := [column for name, column in settings.names.items() if name.startswith(INDICATOR)]:
        out["target"] = read_flags(chunk, labels, refused)
    if messages := settings.names.get("messages"):
        longest = settings.data.max_characters
        out["text"], out["target"] = read_conversations(chunk, messages, longest, refused)
        if rejected := settings.names.get("rejected"):
            out["rejected"] = read_rejected(chunk, rejected, out["text"], longest, refused)
    else:
        out["text"] = _join_inputs(out["text"], out.pop("text_pair", None))
    if thumb := settings.names.get("thumb"):
        out["thumb"] = read_thumbs(chunk, thumb, refused)
    if language := settings.data.language:
        out[f"slice_{language}"] = read_languages(out[f"slice_{language}"], language, refused)


def _arrow_column(values: list[str | None] | pa.Array, field: pa.Field, names: dict[str, str], refused: dict[int, str]) -> pa.Array:
    """A column; a cell that cannot be written as UTF-8 becomes null, and its row is refused."""
    import pyarrow as pa

    try:
        return pa.array(values, type=field.type)
    except UnicodeEncodeError:
        whole = []
        for index, value in enumerate(values):
            broken = isinstance(value, str) and holds_half_character(value)
            whole.append(None if broken else value)
            if broken:
                refused[index] = f"its `{names.get(field.name, field.name)}` holds half of a surrogate pair, which is no character"
        return pa.array(whole, type=field.type)


def _read_ids(chunk: Chunk, column: str, redactor: Redactor | None) -> list[str]:
    """The ids of a chunk as they are kept."""
    plain = [cell_text(value, chunk, column, i) for i, value in enumerate(chunk.columns[column])]
    present = [value for value in plain if value is not None]
    if len(present) < len(plain):
        raise InputError(f"{chunk.place(plain.index(None))}: `{column}` is empty: every row needs an id, or drop data.id")
    if redactor is not None:
        return pseudonyms_of(present, redactor)
    return [value.encode("utf-8", "backslashreplace").decode() if holds_half_character(value) else value for value in present]


def _join_inputs(texts: list[str | None], others: list[str | None] | None) -> list[str | None]:
    """The input of each row; null where one of its texts is."""
    if others is None:
        return [None if text is None else plain_part(text) for text in texts]
    return [None if text is None or other is None else join_parts((text, other)) for text, other in zip(texts, others, strict=True)]


def _split_name(value: object, chunk: Chunk, column: str, index: int) -> str:
    if value not in SPLITS:
        shape = cell_shape(str(value))
        raise InputError(
            f"{chunk.place(index)}: `{column}` names no split: it is one of {', '.join(SPLITS)}, the cell is of the form {shape!r}"
        )
    return str(value)
