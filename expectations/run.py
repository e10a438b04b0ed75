"""Suites and records in, a Validation out; the one way to Great Expectations, which is imported when it is first used.

Records come in chunks, so memory does not grow with their texts: what judges rows sees one chunk at a time, what judges
the whole sees a summary of a few dozen bytes per row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pandas as pd

from configs.errors import InputError
from expectations.aggregate import ValidationState
from expectations.suites import Check, Suite, read_suite, spell_labels
from expectations.types import Action, Context, Outcome, Stage, Validation

if TYPE_CHECKING:
    from expectations.engine import Engine

__all__ = ["COMMON", "Action", "Context", "Outcome", "Stage", "Validation", "suite_for", "validate_records"]

SOURCE = "source"  # the `origin` of rows that the contract is about
LANGUAGES = "expect_column_values_to_be_in_languages"
COMMON = Path(__file__).with_name("common.json")
Frames = Callable[[], Iterable[pd.DataFrame]] | Iterable[pd.DataFrame]


def suite_for(problem: str) -> Path:
    """The suite that all pipelines of a problem share, by the problem's Hugging Face name."""
    return Path(__file__).with_name(f"{problem}.json")


def validate_records(
    frames: Frames, suites: Sequence[Path], *, stage: Stage, context: Context, max_quarantined: float, docs_dir: Path | None
) -> Validation:
    """Holds canonical records against suites, and writes `docs_dir`/index.html unless that is None.

    Args:
        frames: chunks of records (e.g. 100,000 rows), read once, or what makes them.
        max_quarantined: the share of the source's rows, 0 to 1, above which the run stops.

    Records of another `origin` than "source" are feedback: only checks that quarantine or stop apply to them, one by one; failing
    rows are set aside, and they are counted nowhere and stop nothing.

    Raises:
        InputError: a suite is missing or malformed, or an expectation unknown; names the file, the place and the remedy.
    """
    read_suites = [read_suite(path) for path in suites]
    if isinstance(frames, pd.DataFrame):
        frames = (frames,)
    state = _aggregate_chunks(frames() if callable(frames) else frames, read_suites, stage, context)
    validation = state.validation(stage, max_quarantined)
    return _with_docs(validation, state.checks, docs_dir)


def _aggregate_chunks(chunks: Iterable[pd.DataFrame], suites: Sequence[Suite], stage: Stage, context: Context) -> ValidationState:
    from expectations import engine
    from expectations.summary import compact_chunk, merge_summaries

    checks = dict(enumerate(spell_labels(c, context) for s in suites for c in s.checks if stage in c.stages))
    machine = _load_engine(checks.values())
    by_scope = {n: engine.check_scope(c) for n, c in checks.items()}
    state = ValidationState(checks, {n: part for n, c in checks.items() if (part := engine.missing_context(c, context))})
    live = {n: c for n, c in checks.items() if n not in state.lacking}
    by_chunk = {n: c for n, c in live.items() if by_scope[n] == "chunk"}
    judging = {n: c for n, c in by_chunk.items() if c.action != "warn"}
    hidden = {"text", "group"}.union(*(s.free_text for s in suites))
    counted = engine.counted_columns(list(live.values()))
    parts, read = [], 0
    with engine.visible_context(context):
        for chunk in chunks:
            frame, feedback = _split_feedback(_number_rows(chunk, read))
            read += len(chunk)
            if len(feedback):
                state.set_aside(machine.find(feedback, judging), feedback)
            if not len(frame):
                continue
            for size, group in _checks_by_sample_size(by_chunk).items():
                state.add(machine.find(_sample_rows(frame, size), group), frame)
            parts.append(compact_chunk(frame, hidden, context.vocabulary, counted))
            state.rows += len(frame)
        if parts and state.rows:
            whole = merge_summaries(parts)
            state.add(machine.find(whole, {n: c for n, c in live.items() if by_scope[n] == "whole"}), whole)
    return state


def _load_engine(checks: Iterable[Check]) -> Engine:
    """Great Expectations, imported while a second core unpacks the model of languages where one is asked for."""
    from expectations import engine, measures

    unpacking = Thread(target=measures.language_model, daemon=True) if any(c.type == LANGUAGES for c in checks) else None
    if unpacking:
        unpacking.start()
    machine = engine.Engine()
    if unpacking:
        unpacking.join()
    return machine


def _number_rows(chunk: pd.DataFrame, start: int) -> pd.DataFrame:
    """Rows numbered over all chunks, so that what fails can be named even where an id is missing."""
    if not isinstance(chunk, pd.DataFrame):
        raise InputError(f"a chunk of records is a {type(chunk).__name__}: give pandas DataFrames")
    return chunk.set_axis(pd.RangeIndex(start, start + len(chunk)), axis=0)


def _split_feedback(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the source, and those of feedback on served answers, which are set aside where they fail and stop no run."""
    of_source = frame["origin"].isin([SOURCE]) if "origin" in frame else pd.Series(True, index=frame.index)
    return frame[of_source], frame[~of_source]


def _checks_by_sample_size(checks: dict[int, Check]) -> dict[int | None, dict[int, Check]]:
    grouped: dict[int | None, dict[int, Check]] = {}
    for n, check in checks.items():
        grouped.setdefault(check.sample, {})[n] = check
    return grouped


def _sample_rows(frame: pd.DataFrame, size: int | None) -> pd.DataFrame:
    """At most `size` rows, evenly spread: the same ones each time."""
    if size is None or len(frame) <= size:
        return frame
    return frame.iloc[[i * len(frame) // size for i in range(size)]]


def _with_docs(validation: Validation, checks: dict[int, Check], docs_dir: Path | None) -> Validation:
    if docs_dir is None:
        return validation
    from dataclasses import replace

    from expectations.docs import write_docs

    return replace(validation, docs=write_docs(validation, list(checks.values()), docs_dir))
