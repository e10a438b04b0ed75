"""Batch scoring: chunk by chunk into part files beside the result, so that what was scored before a kill is not scored again.

The parts lie in a folder that is named by all that determines them: rows, model, settings. The result is put together from them
and renamed into place: there whole or not at all, and the same whether anybody was killed on the way or not.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import InfraError, InputError
from tasks.common.files import flush_to_disk
from tasks.common.workspace import remove_orphans, world_faults
from tasks.data.normalise import unusable_reason
from tasks.data.sources.read_files import Chunk
from tasks.serving.batch.input_files import Batch, staging_prefix
from tasks.serving.batch.partial_answers import Answers
from tasks.serving.batcher import Prediction
from tasks.traffic.log import Answer, Traffic, draw_audit

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

OURS = ("prediction", "score", "model_version", "answer_id")
MARK = b"tunekeeper.score"
GROUP_ROWS = 50_000  # of a row group of the result
_EMPTY = Prediction("", "", None)


@dataclass(frozen=True)
class ScoringJob:
    """What is scored, by what, into what. `key` is the hash of all that determines the result; `log` is None for no traffic log."""

    batch: Batch
    key: str
    version: str
    answers: Callable[[Sequence[str]], Sequence[Prediction | None]]
    at_once: int
    id: str | None
    output: Path
    log: Traffic | None
    audit_rate: float


@dataclass(frozen=True)
class ScoringOutcome:
    """`answered` rows had a text; `kept` were scored before; `skipped`: the result was there already."""

    rows: int
    answered: int
    kept: int
    skipped: bool
    seconds: float


def score_files(job: ScoringJob, move: Callable[[int, int], None]) -> ScoringOutcome:
    """Score what is not scored yet, then put the result in its place; `move` is told the rows done, of how many.

    InfraError where the disk fails, or where another process scores into the same result.
    """
    began = time.monotonic()
    if clash := [name for name in OURS if name in job.batch.columns]:
        raise InputError(f"--input: has a column `{clash[0]}`, which is the result's own: rename it")
    with world_faults(job.output.parent):
        job.output.parent.mkdir(parents=True, exist_ok=True)
        found = result_mark(job.output)
        if found is not None and found["key"] == job.key:
            _clear(job)
            return ScoringOutcome(found["rows"], found["answered"], found["rows"], True, time.monotonic() - began)
        with _parts(job) as folder:
            kept = _score_parts(job, folder, move)
            answered = _put_together(job, folder)
        _clear(job)
    return ScoringOutcome(job.batch.rows, answered, kept, False, time.monotonic() - began)


def result_mark(path: Path) -> dict[str, Any] | None:
    """What a result says it is; None where there is none of ours."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        held = (pq.read_schema(path).metadata or {}).get(MARK)
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    return None if held is None else dict(json.loads(held))


def _score_parts(job: ScoringJob, folder: Path, move: Callable[[int, int], None]) -> int:
    """Write the parts that are not there; how many rows of the others there were."""
    kept = done = 0
    for number, chunk in enumerate(job.batch.chunks()):
        part, rows = folder / f"part-{number:07}.parquet", len(chunk.columns[job.batch.text])
        if part.is_file():
            kept += rows
        else:
            answers = Answers(part.with_suffix(".answers"))
            kept += answers.kept
            _write(_scored(job, chunk, number, answers), part)
            answers.drop()
        done += rows
        move(done, job.batch.rows)
    return kept


def _scored(job: ScoringJob, chunk: Chunk, number: int, answers: Answers) -> pa.Table:
    """A chunk's own columns and what the model says of each row; nothing of a row without text, or one that is over its budget."""
    import pyarrow as pa

    table = job.batch.table(chunk)
    texts = job.batch.texts(chunk)
    said = _said(job, texts, answers)
    asked = [one is not _EMPTY for one in said]
    n = len(texts)
    if job.id is None and "id" not in job.batch.columns:
        names = [f"{chunk.file.name}#{place}" for place in range(chunk.first, chunk.first + n)]
        table = table.add_column(0, "id", pa.array(names, type=pa.string()))
    mask = ~_true(asked)
    table = table.append_column("prediction", pa.array([one.prediction for one in said], type=pa.string(), mask=mask))
    if any(one.score is not None for one in said):
        table = table.append_column("score", pa.array([one.score for one in said], type=pa.float64()))
    table = table.append_column("model_version", pa.array([job.version] * n, type=pa.string(), mask=mask))
    if job.log is None:
        return table
    ids = [hashlib.sha256(f"{job.key} {number} {place}".encode()).hexdigest()[:32] for place in range(n)]
    _log(job, number, said, asked, ids, 1000 * answers.seconds / max(1, sum(asked)))
    return table.append_column("answer_id", pa.array(ids, type=pa.string(), mask=mask))


def _said(job: ScoringJob, texts: list[str], answers: Answers) -> list[Prediction]:
    """Answers in the order of the texts; texts of like length go through the model together."""
    out = [_EMPTY] * len(texts)
    asked = [place for place, text in enumerate(texts) if unusable_reason(text) is None]
    order = sorted(asked, key=lambda place: (-len(texts[place]), place))
    for start in range(0, len(order), job.at_once):
        places = order[start : start + job.at_once]
        for place, one in zip(places, answers.ask(start, [texts[place] for place in places], job.answers), strict=True):
            out[place] = one or _EMPTY
    return out


def _log(job: ScoringJob, number: int, said: list[Prediction], asked: list[bool], ids: list[str], latency: float) -> None:
    """Into the traffic log before the part is there: killed in between, the same ids are logged again, which changes nothing."""
    rng, now = random.Random(f"{job.key} {number}"), datetime.now(UTC)
    traffic = job.log
    if traffic is not None:
        drawn = [draw_audit(job.audit_rate, rng) for _ in said]
        traffic.answered(
            [
                Answer(name, now, job.version, one.text, one.prediction, one.score, latency, *audit, "score")
                for name, one, audit, there in zip(ids, said, drawn, asked, strict=True)
                if there
            ]
        )
        traffic.flush()


def _true(values: list[bool]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    import numpy as np

    return np.array(values, dtype=bool)


def _put_together(job: ScoringJob, folder: Path) -> int:
    """All parts in one file, in bounded memory; the rows that had a text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = sorted(folder.glob("part-*.parquet"))
    counts = [pq.read_metadata(part).num_rows for part in parts]
    schema = _widest(parts)
    answered: int = sum(table.num_rows - table.column(0).null_count for table in (_read(part, ["prediction"]) for part in parts))
    mark = json.dumps({"key": job.key, "rows": sum(counts), "answered": answered, "version": job.version})
    aside = folder / "whole"
    with pq.ParquetWriter(aside, schema.with_metadata({MARK: mark.encode()}), compression="zstd") as writer:
        waiting: list[pa.Table] = []
        for number, part in enumerate(parts):
            waiting.append(_fitted(_read(part), schema))
            if sum(table.num_rows for table in waiting) >= GROUP_ROWS or number == len(parts) - 1:
                writer.write_table(pa.concat_tables(waiting).combine_chunks())
                waiting = []
    flush_to_disk(aside)
    aside.replace(job.output)
    flush_to_disk(job.output.parent)
    return answered


def _read(part: Path, columns: list[str] | None = None) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(part) as parquet:
        return parquet.read(columns=columns)


def _widest(parts: list[Path]) -> pa.Schema:
    """The parts' one schema; a part in which nothing was asked knows no scores."""
    import pyarrow.parquet as pq

    return max((pq.read_schema(part).remove_metadata() for part in parts), key=len)


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    held = dict(zip(table.column_names, table.columns, strict=True))
    arrays = [held[field.name] if field.name in held else pa.nulls(table.num_rows, field.type) for field in schema]
    return pa.table(arrays, schema=schema)


@contextmanager
def _parts(job: ScoringJob) -> Iterator[Path]:
    """The folder of this job's parts, held by a lock that death releases."""
    folder = _folder(job)
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InfraError(f"{job.output} is being scored by another process: let it end, or stop it, then run again") from None
        for aside in folder.glob(".part-*"):
            aside.unlink()
        yield folder


def _folder(job: ScoringJob) -> Path:
    return job.output.with_name(f".{job.output.name}.{job.key[:16]}.parts")


def _clear(job: ScoringJob) -> None:
    """Remove this job's parts, and what is left of other jobs for the same result that nobody works on."""
    shutil.rmtree(_folder(job), ignore_errors=True)
    for other in list(job.output.parent.iterdir()):
        if other.name.startswith(f".{job.output.name}.") and other.name.endswith(".parts"):
            remove_orphans(other.parent, other.name)
    remove_orphans(job.output.parent, staging_prefix(job.output))


def _write(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    aside = path.with_name(f".{path.name}")
    pq.write_table(table, aside, compression="zstd")
    flush_to_disk(aside)
    aside.replace(path)
