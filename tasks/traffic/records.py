"""The records of served traffic: answers and people's feedback on them, as values, as lines of a journal, as Arrow tables."""

from __future__ import annotations

import json
import math
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Kind = Literal["answers", "feedback"]
Origin = Literal["predict", "choice", "score"]
KINDS: tuple[Kind, ...] = ("answers", "feedback")
_EPOCH, _END = datetime(1970, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)  # nanoseconds of later times do not fit 64 bits
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS = (_END - _EPOCH) // _MICROSECOND
_BEGINNING = b'{"id":'  # of a line
_LINE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answered text. `time` is aware; `text` is prepared, as the model saw it; `score` is None where there is none.

    `origin` is `choice` for all but the first of several answers to a text that was asked once: they take feedback, and no
    monitor counts the text again.
    """

    id: str
    time: datetime
    version: str
    text: str
    prediction: str
    score: float | None
    latency_ms: float
    audit: bool = False
    audit_probability: float = 0.0
    origin: Origin = "predict"


@dataclass(frozen=True, slots=True)
class Feedback:
    """A person's feedback on one answer: a label, a thumb (up or down), or the better text; at once or weeks later."""

    id: str
    answer_id: str
    time: datetime
    kind: Literal["label", "thumb", "correction"]
    value: str
    source: Literal["user", "audit"] = "user"


@dataclass(frozen=True)
class JournalRecords:
    """What a journal holds: the records of each kind, and of how many lines nothing can be read."""

    tables: dict[Kind, pa.Table]
    damaged: int


def new_id() -> str:
    """The id of an answer or of a feedback."""
    return uuid.uuid4().hex


def draw_audit(rate: float, rng: random.Random) -> tuple[bool, float]:
    """Whether an answer is drawn to be labelled, and the probability with which it was: `audit` and `audit_probability`."""
    return rate > 0 and rng.random() < rate, float(rate)


def answer_schema() -> pa.Schema:
    """The columns of answers."""
    import pyarrow as pa

    text, real = pa.string(), pa.float64()
    names = {"id": text, "time": _time_type(), "version": text, "text": text, "prediction": text, "score": real, "latency_ms": real}
    return pa.schema([*names.items(), ("audit", pa.bool_()), ("audit_probability", real), ("origin", text)])


def feedback_schema() -> pa.Schema:
    """The columns of feedback."""
    import pyarrow as pa

    return pa.schema([(name, _time_type() if name == "time" else pa.string()) for name in Feedback.__slots__])


def schema_of(kind: Kind) -> pa.Schema:
    return answer_schema() if kind == "answers" else feedback_schema()


def encode_record(record: Answer | Feedback) -> bytes:
    """A record as one line of JSON. Half a surrogate pair and NUL, which no store takes, become `?` and nothing.

    ValueError or TypeError where it holds no such values.
    """
    values: dict[str, object] = {name: getattr(record, name) for name in record.__slots__}
    values["time"] = since = (record.time - _EPOCH) // _MICROSECOND
    if not 0 <= since < _MICROSECONDS:
        raise ValueError(f"its time is {record.time}")
    if isinstance(record, Answer) and (record.score is None or not math.isfinite(record.score)):
        values["score"] = None
    line = _LINE.encode(values)
    if "\\u0000" in line:
        line = _LINE.encode({name: value.replace("\0", "") if isinstance(value, str) else value for name, value in values.items()})
    return line.encode("utf-8", "replace") + b"\n"


def decode_records(content: bytes) -> JournalRecords:
    """The records of a journal's lines; a last line without its end is not there yet, and a damaged one is left out and counted."""
    import pyarrow as pa

    end = content.rfind(b"\n") + 1
    lines, unfinished = content[:end], content[end : end + len(_BEGINNING)]
    lines_table = pa.concat_tables([_line_schema().empty_table(), *_parse_readable(lines.splitlines(keepends=True))])
    tables = {kind: _rows_of_kind(lines_table, kind) for kind in KINDS}
    missing = lines.count(b"\n") - sum(table.num_rows for table in tables.values())
    return JournalRecords(tables, max(0, missing) + (not _BEGINNING.startswith(unfinished)))


def has_valid_time(table: pa.Table) -> pa.ChunkedArray:
    """Whether the time of each row is one that can be: others no date can tell."""
    import pyarrow as pa
    import pyarrow.compute as pc

    since = table.column("time").cast(pa.int64())
    return pc.and_(pc.greater_equal(since, 0), pc.less(since, _MICROSECONDS))


def empty_table(kind: Kind) -> pa.Table:
    return schema_of(kind).empty_table()


def unique_rows(table: pa.Table) -> pa.Table:
    """The first row of each id: a row may lie in a journal and in its Parquet file, where a process was killed between the two."""
    import numpy as np

    ids = table.column("id").to_pandas()
    again = ids.duplicated().to_numpy()
    return table.take(np.flatnonzero(~again)) if again.any() else table


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Rows by time, then id, as pandas has them."""
    import pyarrow.compute as pc

    ordered = table.take(pc.sort_indices(table.select(["time", "id"]), sort_keys=[("time", "ascending"), ("id", "ascending")]))
    frame: pd.DataFrame = ordered.to_pandas()
    return frame


def _time_type() -> pa.DataType:
    import pyarrow as pa

    return pa.timestamp("us", tz="UTC")


def _line_schema() -> pa.Schema:
    """Both kinds in one: what a line lacks is null, and an answer has no `answer_id`."""
    import pyarrow as pa

    fields = {field.name: field for kind in KINDS for field in schema_of(kind)} | {"time": pa.field("time", pa.int64())}
    return pa.schema(list(fields.values()))


def _parse_readable(lines: list[bytes]) -> Iterator[pa.Table]:
    """The rows of all lines at once, or of halves of them, until what cannot be read stands alone."""
    try:
        yield _parse_lines(lines)
    except ValueError:  # ArrowInvalid too
        half = len(lines) // 2
        for part in (lines[:half], lines[half:]) if half else ():
            yield from _parse_readable(part)


def _parse_lines(lines: list[bytes]) -> pa.Table:
    """ValueError where one of them is no record."""
    import pyarrow as pa
    import pyarrow.json as pj

    if not all(line.startswith(_BEGINNING) for line in lines):  # one that begins with `null` would end the process, in Arrow
        raise ValueError("a line is no record")
    if not lines:
        return _line_schema().empty_table()
    content = b"".join(lines)
    how = pj.ParseOptions(explicit_schema=_line_schema(), unexpected_field_behavior="ignore")
    read = pj.ReadOptions(use_threads=False, block_size=max(1 << 20, len(content) + 1))
    table = pj.read_json(pa.BufferReader(content), read_options=read, parse_options=how)
    table.validate(full=True)  # bytes that are no text
    return table


def _rows_of_kind(both: pa.Table, kind: Kind) -> pa.Table:
    """The rows of a kind that are whole: of its columns a score alone may be missing."""
    import pyarrow.compute as pc

    is_feedback, schema = pc.is_valid(both.column("answer_id")), schema_of(kind)
    of_kind = is_feedback if kind == "feedback" else pc.invert(is_feedback)
    for name in schema.names:
        if name != "score":
            of_kind = pc.and_(of_kind, pc.is_valid(both.column(name)))
    whole = both.filter(of_kind)
    return whole.filter(has_valid_time(whole)).select(schema.names).cast(schema)
