"""Batch scoring: chunk by chunk into part files beside the result, so that what was scored before a kill is not scored again.

The parts lie in a folder that is named by all that determines them: rows, model, settings. The result is put together from them
and renamed into place: there whole or not at all, and the same whether a process was killed on the way or not.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InfraError, InputError
from tasks.common.workspace import world_faults
from tasks.data.answers import NO_ANSWER
from tasks.data.normalise import unusable_reason
from tasks.data.sources.read_files import Chunk
from tasks.serving.batch.part_files import clear_parts, locked_parts, put_together, result_mark, write_part
from tasks.serving.batch.partial_answers import PartialAnswers
from tasks.serving.batch.scoring_job import ScoringJob, ScoringOutcome
from tasks.serving.batcher import Prediction
from tasks.serving.context_answers import context_answer
from tasks.traffic.log import Answer, draw_audit

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

OURS = ("prediction", "score", "model_version", "answer_id")
PLACES = ("answer_start", "answer_end")  # of an answer in the context as the file has it
LOGGED_AT_ONCE = 200  # rows; the log's queue holds that many of the longest texts
_EMPTY = Prediction("", "", None)


def score_files(job: ScoringJob, move: Callable[[int, int], None]) -> ScoringOutcome:
    """Score what is not scored yet, then put the result in its place; `move` is called with the rows done, of how many.

    InfraError where the disk fails, or where another process scores into the same result.
    """
    began = time.monotonic()
    if clash := [name for name in (*OURS, *(PLACES if job.places else ())) if name in job.batch.columns]:
        raise InputError(f"--input: has a column `{clash[0]}`, which is the result's own: rename it")
    with world_faults(job.output.parent):
        job.output.parent.mkdir(parents=True, exist_ok=True)
        mark = result_mark(job.output)
        if mark is not None and mark["key"] == job.key:
            clear_parts(job)
            return ScoringOutcome(mark["rows"], mark["answered"], mark["rows"], True, time.monotonic() - began)
        with locked_parts(job) as folder:
            kept_rows = _score_parts(job, folder, move)
            answer_count = put_together(job, folder)
        clear_parts(job)
    return ScoringOutcome(job.batch.rows, answer_count, kept_rows, False, time.monotonic() - began)


def _score_parts(job: ScoringJob, folder: Path, move: Callable[[int, int], None]) -> int:
    """Write the parts that are not there; returns how many rows were scored before."""
    kept_rows = done = 0
    for number, chunk in enumerate(job.batch.chunks()):
        part, rows = folder / f"part-{number:07}.parquet", len(chunk.columns[job.batch.text])
        if part.is_file():
            kept_rows += rows
        else:
            answers = PartialAnswers(part.with_suffix(".answers"))
            kept_rows += answers.kept
            write_part(_score_chunk(job, chunk, number, answers), part)
            answers.drop()
        done += rows
        move(done, job.batch.rows)
    return kept_rows


def _score_chunk(job: ScoringJob, chunk: Chunk, number: int, answers: PartialAnswers) -> pa.Table:
    """A chunk's own columns and the model's answers; null for a row without text, one that is too long or over its budget."""
    import pyarrow as pa

    table = job.batch.table(chunk)
    texts = job.batch.texts(chunk)
    predictions = _predict_texts(job, texts, answers)
    has_text = [prediction is not _EMPTY for prediction in predictions]
    n = len(texts)
    if job.id is None and "id" not in job.batch.columns:
        names = [f"{chunk.file.name}#{place}" for place in range(chunk.first, chunk.first + n)]
        table = table.add_column(0, "id", pa.array(names, type=pa.string()))
    mask = ~_bool_array(has_text)
    if job.places:
        table = _with_answers(table, texts, predictions, has_text)
    else:
        table = table.append_column("prediction", _prediction_column(predictions, has_text, numbers=job.numbers))
    if any(prediction.score is not None for prediction in predictions):
        table = table.append_column("score", pa.array([prediction.score for prediction in predictions], type=pa.float64()))
    table = table.append_column("model_version", pa.array([job.version] * n, type=pa.string(), mask=mask))
    if job.log is None:
        return table
    ids = [hashlib.sha256(f"{job.key} {number} {place}".encode()).hexdigest()[:32] for place in range(n)]
    _log_predictions(job, number, predictions, has_text, ids, 1000 * answers.seconds / max(1, sum(has_text)))
    return table.append_column("answer_id", pa.array(ids, type=pa.string(), mask=mask))


def _prediction_column(predictions: list[Prediction], has_text: list[bool], *, numbers: bool) -> pa.Array:
    """The answers as texts or, where they are numbers, as those; null for a row that has none."""
    import pyarrow as pa

    texts = [(said.raw or said.prediction) if there else None for said, there in zip(predictions, has_text, strict=True)]
    if not numbers:
        return pa.array(texts, type=pa.string())
    return pa.array([None if text is None else float(text) for text in texts], type=pa.float64())


def _with_answers(table: pa.Table, texts: list[str], predictions: list[Prediction], has_text: list[bool]) -> pa.Table:
    """A table with the answers, empty where there is none, and the places of those that are; null for a row that has no text."""
    import pyarrow as pa

    answers = [
        context_answer(each.raw or NO_ANSWER, text, None) if is_answered else None
        for each, text, is_answered in zip(predictions, texts, has_text, strict=True)
    ]
    words = [(each.text if each else "") if is_answered else None for each, is_answered in zip(answers, has_text, strict=True)]
    table = table.append_column("prediction", pa.array(words, type=pa.string()))
    for name, place in zip(PLACES, ("start", "end"), strict=True):
        values = [getattr(each, place) if each else None for each in answers]
        table = table.append_column(name, pa.array(values, type=pa.int64()))
    return table


def _predict_texts(job: ScoringJob, texts: list[str], answers: PartialAnswers) -> list[Prediction]:
    """Answers in the order of the texts; texts of like length go through the model together."""
    out = [_EMPTY] * len(texts)
    longest = job.batch.max_characters
    with_text = [place for place, text in enumerate(texts) if len(text) <= longest and unusable_reason(text) is None]
    order = sorted(with_text, key=lambda place: (-len(texts[place]), place))
    for start in range(0, len(order), job.at_once):
        places = order[start : start + job.at_once]
        for place, prediction in zip(places, answers.ask(start, [texts[place] for place in places], job.answers), strict=True):
            out[place] = prediction or _EMPTY
    return out


def _log_predictions(
    job: ScoringJob, number: int, predictions: list[Prediction], has_text: list[bool], ids: list[str], latency: float
) -> None:
    """Into the traffic log before the part is there: killed in between, the same ids are logged again, which changes nothing.

    InfraError where the log does not take them: a result with ids of which it knows nothing would be done, and stay so.
    """
    rng, now = random.Random(f"{job.key} {number}"), datetime.now(UTC)
    traffic = job.log
    if traffic is not None:
        drawn = [draw_audit(job.audit_rate, rng) for _ in predictions]
        answers = [
            Answer(name, now, job.version, prediction.text, prediction.prediction, prediction.score, latency, *audit, "score")
            for name, prediction, audit, there in zip(ids, predictions, drawn, has_text, strict=True)
            if there
        ]
        for start in range(0, len(answers), LOGGED_AT_ONCE):
            traffic.answered(answers[start : start + LOGGED_AT_ONCE])
            if not traffic.flush():
                raise InfraError(f"{traffic.trouble}, then run the same command again; what was finished is kept")


def _bool_array(values: list[bool]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    import numpy as np

    return np.array(values, dtype=bool)
