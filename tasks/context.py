"""Contexts that the stages share: a pipeline with its records, and a training with its run."""

from __future__ import annotations

from dataclasses import dataclass

from configs.errors import InfraError
from configs.schema import Pipeline
from tasks.common.bases import Base
from tasks.common.home import Home
from tasks.common.terminal import print_notice
from tasks.ledger.store import Ledger
from tasks.tracking.client import Tracking
from tasks.tracking.database import count_unrecorded_versions
from tasks.tracking.registry import Registry


@dataclass(frozen=True)
class PipelineContext:
    """A pipeline, the home it is kept in, and its records: MLflow's runs, the alias in MLflow's registry, the ledger."""

    pipeline: Pipeline
    home: Home
    tracking: Tracking
    registry: Registry
    ledger: Ledger


@dataclass(frozen=True)
class TrainingRun:
    """A training: of which base, on which snapshot (its hash), under which train-key, and the MLflow run that records it."""

    base: Base
    snapshot: str
    key: str
    run_id: str


def open_context(pipeline: Pipeline, home: Home, *, may_begin: bool = True) -> PipelineContext:
    """A pipeline with the records of a home, which are not read yet; `may_begin`: MLflow's database may be made."""
    tracking = Tracking(home, may_begin=may_begin)
    return PipelineContext(pipeline, home, tracking, Registry(tracking, pipeline.release.alias), open_ledger(home))


def open_ledger(home: Home) -> Ledger:
    """The ledger of this home, or the shared one. InfraError where this home's was lost: no other is begun in its place."""
    file = home.ledger_file
    if file is not None and (versions := count_unrecorded_versions(home, file)):
        raise InfraError(
            f"{file} is gone, though mlflow.db beside it lists {versions} versions, of which it is the record: restore it from a "
            "copy. To begin another on purpose, which forgets looks, withdrawals and rollbacks, set "
            f"TUNEKEEPER_LEDGER_URL=sqlite:///{file} for one command; nothing was made or recorded"
        )
    return Ledger(home.ledger_url, notify=print_notice)
