"""Tries proposed columns and splits by preparing the sampled rows as a run would; what is written for it is removed at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from configs.errors import ContractError, InputError
from configs.schema import Data, ProblemName, facts_of
from tasks.common.workspace import workspace, world_faults
from tasks.data.labels import canonical_label
from tasks.data.preparation.checks import check_candidate
from tasks.data.preparation.load import RawRows, loaded_source, redactor_of
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.preparation.row_filters import KEPT
from tasks.data.preparation.vocabulary import KnownLabels, check_vocabulary, count_labels
from tasks.data.proposal.choose import RowColumns
from tasks.data.proposal.sample import RowSample
from tasks.data.sources.chunk import Chunk, cell_text

if TYPE_CHECKING:
    import pandas as pd

ENOUGH = 0.9  # of the rows that the best split keeps: a split before it that keeps so many is taken


@dataclass(frozen=True)
class Trial:
    """Settings under `data`, and what preparing the sample with them came to.

    `frames` are its raw canonical rows, `kept` the share of rows that are left, `fault` what would stop a run.
    """

    settings: dict[str, object]
    frames: tuple[pd.DataFrame, ...]
    kept: float
    fault: str | None


def try_splits(
    sample: RowSample, columns: Mapping[str, str], rows: RowColumns, problem: ProblemName, home: Path
) -> tuple[Trial, ...]:
    """The trials that were made, the one to take last: the first split that keeps enough rows, else the one that keeps most."""
    trials = [_try_settings(sample, settings, problem, home) for settings in _settings_to_try(columns, rows)]
    most = max(trial.kept for trial in trials)
    place = next(place for place, trial in enumerate(trials) if trial.kept >= ENOUGH * most)
    return (*trials[:place], trials[place])


def _settings_to_try(columns: Mapping[str, str], rows: RowColumns) -> Iterator[dict[str, object]]:
    """As given, by time, by hash, by hash without groups: those for which there are columns."""
    own: dict[str, object] = {"id": rows.id.name} if rows.id else {}
    own |= dict(columns)
    own |= {"time": rows.time.name} if rows.time else {}
    group: dict[str, object] = {"group": rows.group.name} if rows.group else {}
    if rows.split:
        yield {**own, **group, "split": {"by": "given", "column": rows.split.name}}
    if rows.time and rows.time.filled >= 0.99:
        yield {**own, **group, "split": {"by": "time"}}
    yield {**own, **group, "split": {"by": "hash"}}
    if group:
        yield {**own, "split": {"by": "hash"}}


def _try_settings(sample: RowSample, settings: dict[str, object], problem: ProblemName, home: Path) -> Trial:
    with world_faults(home), workspace(home / "work", "init-") as folder:
        file = folder / "sample.jsonl"
        data = _checked_data({**settings, "source": str(file)})
        _write_rows(sample, _named_columns(settings), file)
        frames: tuple[pd.DataFrame, ...] = ()
        try:
            with loaded_source(data, problem, home) as raw:
                frames = tuple(raw.frames())
                return Trial(settings, frames, _share_kept(raw, data, home), None)
        except InputError as error:
            return Trial(settings, frames, 0.0, str(error).replace(str(file), sample.files[0].path))


def _checked_data(settings: dict[str, object]) -> Data:
    try:
        return Data.model_validate(settings)
    except ValidationError as error:
        faults = "; ".join(str(fault["msg"]).removeprefix("Value error, ") for fault in error.errors())
        raise InputError(f"data: {faults}") from None


def _share_kept(raw: RawRows, data: Data, home: Path) -> float:
    """The share of rows that a snapshot would keep; InputError where it would be refused."""
    facts = facts_of(raw.problem)
    if facts.has_labels:
        _check_spelling(raw, data)
    candidate = prepare_rows(raw, data, redactor_of(data, home))
    fate = candidate.fate.copy()
    check_candidate(candidate, fate, {})
    return float(np.mean(fate == KEPT))


def _check_spelling(raw: RawRows, data: Data) -> None:
    facts = facts_of(raw.problem)
    try:
        check_vocabulary(count_labels(raw.rows, (), sets=facts.has_label_sets), KnownLabels({}), "may_grow")
    except ContractError:
        setting = "tags" if data.tags else facts.target_column
        column = getattr(data, setting)
        raise InputError(
            f"data.{setting}: some values of `{column}` differ in spelling alone (case, spaces, punctuation), and "
            "would be classes of their own: write each one way; where they are meant, set contract.vocabulary to free"
        ) from None


def _named_columns(settings: Mapping[str, object]) -> list[str]:
    split = settings["split"]
    own = [value for value in settings.values() if isinstance(value, str)]
    return [*own, *([str(split["column"])] if isinstance(split, dict) and "column" in split else [])]


def _write_rows(sample: RowSample, names: list[str], file: Path) -> None:
    """Write rows as JSON lines, with every cell as the text that it is read as."""
    chunk = sample.of(names)
    cells = [[_plain_cell(cell, chunk, name, i) for i, cell in enumerate(chunk.columns[name])] for name in names]
    with file.open("w", encoding="utf-8") as out:
        for row in zip(*cells, strict=True):
            out.write(json.dumps(dict(zip(names, row, strict=True)), default=str) + "\n")


def _plain_cell(cell: object, chunk: Chunk, name: str, index: int) -> object:
    if isinstance(cell, dict | list):
        return cell
    return canonical_label(cell) if isinstance(cell, Decimal) else cell_text(cell, chunk, name, index)
