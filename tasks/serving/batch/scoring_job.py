"""A batch scoring as values: the job and its outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.serving.batch.input_files import Batch
from tasks.serving.batcher import Prediction
from tasks.traffic.log import Traffic


@dataclass(frozen=True)
class ScoringJob:
    """Input, model and output of a scoring. `key` is the hash of all that determines the result; `log` None: no traffic log."""

    batch: Batch
    key: str
    version: str
    answers: Callable[[Sequence[str]], Sequence[Prediction | None]]
    at_once: int
    id: str | None
    output: Path
    log: Traffic | None
    audit_rate: float
    numbers: bool = False  # answers are numbers
    places: bool = False  # answers stand in the texts


@dataclass(frozen=True)
class ScoringOutcome:
    """`answered` rows had a text; `kept` were scored before; `skipped`: the result was there already."""

    rows: int
    answered: int
    kept: int
    skipped: bool
    seconds: float
