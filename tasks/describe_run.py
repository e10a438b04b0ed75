"""The face of a run's record in MLflow: every hyperparameter, the snapshot as data sets, code and libraries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.cache_policies import NO_CACHE

from configs.schema import Pipeline
from tasks.common.orchestration import create_markdown_artifact, task
from tasks.contract import contract_table
from tasks.identity.keys import IDENTITY, stage_identity
from tasks.opponent import SIGNATURES
from tasks.snapshots import PreparedSnapshot, open_snapshot
from tasks.tracking.client import Tracking
from tasks.tracking.run_facts import SplitFacts

if TYPE_CHECKING:
    from tasks.common.home import Home
    from tasks.data.snapshot.snapshot import Snapshot

CONTEXTS = {"train": "training", "validation": "validation", "test": "test"}  # what MLflow calls the use of a data set


@task(name="describe", cache_policy=NO_CACHE)
def describe_run(
    pipeline: Pipeline,
    home: Home,
    tracking: Tracking,
    prepared: PreparedSnapshot,
    run_id: str,
    without: frozenset[str] = frozenset(),
) -> None:
    """Log parameters, the snapshot's manifest and signatures, and Data Docs to the run, once; `without` names unused settings."""
    if tracking.tags(run_id).get("described") == prepared.snapshot:
        return
    sealed = open_snapshot(home, prepared.snapshot)
    tracking.log_params(run_id, flat_keys(pipeline.model_dump(mode="json", exclude={"name", *without})))
    for name in ("manifest.json", *SIGNATURES):
        tracking.log_artifact(run_id, sealed.path / name, "snapshot")
    tracking.log_folder(run_id, Path(prepared.docs), "data_docs")
    tracking.log_datasets(run_id, _split_facts(pipeline, sealed))
    tracking.log_text(run_id, json.dumps(stage_identity(pipeline), indent=1), IDENTITY)
    create_markdown_artifact(contract_table(prepared.outcomes), key="contract")
    tracking.tag(run_id, {"described": prepared.snapshot})


def _split_facts(pipeline: Pipeline, sealed: Snapshot) -> list[SplitFacts]:
    """The snapshot's splits, as MLflow names data sets."""
    import pyarrow.parquet as pq

    source = pipeline.data.source if isinstance(pipeline.data.source, str) else ", ".join(pipeline.data.source)
    columns = {field.name: str(field.type) for field in pq.read_schema(sealed.parquet("test"))}
    hashes, counts = sealed.manifest["hashes"], sealed.manifest["splits"]
    return [
        SplitFacts(f"{pipeline.name} {split}", context, hashes[f"{split}_rows"], source, counts[split], columns)
        for split, context in CONTEXTS.items()
        if counts.get(split)
    ]


def flat_keys(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested keys as dotted ones; of a list of sections the number of each, from 1, stands for a key."""
    out: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            value = {str(number): each for number, each in enumerate(value, 1)}
        out |= flat_keys(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {f"{prefix}{name}": value}
    return out
