"""The face of batch scoring: which champion, which rows, where the result goes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.cache_policies import NO_CACHE

from configs.errors import InputError
from configs.schema import Pipeline, is_table
from tasks.common.home import Home
from tasks.common.orchestration import create_progress_artifact, task, update_progress_artifact
from tasks.common.terminal import print_notice
from tasks.context import open_ledger
from tasks.data.sources.fingerprints import fingerprint_files
from tasks.data.sources.source_files import left_out_of
from tasks.identity.keys import code_of, json_sha256
from tasks.ledger.promotions import check_registry, ledger_history
from tasks.release import champion_files, check_problem
from tasks.serving.batch.staged_table import stage_table
from tasks.tracking.client import Tracking
from tasks.tracking.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.serving.batch.input_files import Batch
    from tasks.serving.batcher import Prediction
    from tasks.serving.predictor import ReadyModel


@dataclass(frozen=True)
class ScoringModel:
    """The version that scores, and where its package and its base lie."""

    version: str
    package: Path
    base: Path


@task(name="score", cache_policy=NO_CACHE)
def score(
    pipeline: Pipeline, home: Home, source: str, output: str, version: str | None, move: Callable[[int, int], None]
) -> dict[str, object]:
    """Score files or a table with the champion, or with `version`; the outcome is that of `tunekeeper score --json`."""
    from tasks.serving.batch.output_file import place_of

    place = place_of(output, source, pipeline.data)
    tracking = Tracking(home, may_begin=False)
    scoring_version = _scoring_version(pipeline, home, Registry(tracking, pipeline.release.alias), version)
    progress = _with_progress_artifact(move)
    with stage_table(source, place) if is_table(source) else nullcontext(source) as rows:
        model = ScoringModel(scoring_version, *champion_files(tracking, home, pipeline.name, scoring_version))
        check_problem(pipeline, model.version, model.package)
        outcome = _score(pipeline, home, model, rows, place, progress)
    return {
        "pipeline": pipeline.name,
        "version": scoring_version,
        "input": source.partition("://")[0] if is_table(source) else source,
        **outcome,
    }


def _scoring_version(pipeline: Pipeline, home: Home, registry: Registry, version: str | None) -> str:
    """The champion, or the version that is asked for; InfraError where it is missing as this is not the ledger's MLflow."""
    name, ledger = pipeline.name, open_ledger(home)
    champion_version = registry.champion(name) if version is None else version if version in registry.versions(name) else None
    if champion_version is None and ledger.exists:
        check_registry(ledger_history(ledger, name), registry, name)
    if champion_version is not None:
        return champion_version
    if version is not None:
        raise InputError(f"{name} has no version {version}: `tunekeeper history CONFIG` and MLflow's registry list them")
    raise InputError(f"{name} has no champion: `tunekeeper retrain CONFIG` makes one, or name a --version")


def _with_progress_artifact(move: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Progress for Prefect's page too, every twentieth of the way."""
    artifact = create_progress_artifact("score-progress")
    twentieths = 0

    def progress(done: int, total: int) -> None:
        nonlocal twentieths
        move(done, total)
        if 20 * done // total > twentieths:
            twentieths = 20 * done // total
            update_progress_artifact(artifact, 100 * done / total, f"{done:,} of {total:,} rows")

    return progress


def _score(
    pipeline: Pipeline, home: Home, model: ScoringModel, rows: str, place: Path, move: Callable[[int, int], None]
) -> dict[str, object]:
    from tasks.serving.batch.input_files import InputCells, inspect_files
    from tasks.serving.batch.scoring import score_files
    from tasks.serving.batch.scoring_job import ScoringJob
    from tasks.serving.packaged_model import load_package
    from tasks.serving.predictor import make_ready
    from tasks.traffic.log import open_traffic

    data, facts = pipeline.data, pipeline.facts
    format = "auto" if Path(rows).suffix == ".parquet" else data.format
    for sentence in left_out_of("--input", rows, format):
        print_notice(sentence)
    cells: InputCells = "messages" if data.messages is not None else "words" if data.words is not None else "text"
    batch = inspect_files(rows, pipeline.input_columns, format, data.max_characters, data.separator, cells)
    at_once, logged, rate = pipeline.evaluation.batch_size, pipeline.serving.log, pipeline.serving.audit_rate
    ready: list[ReadyModel] = []

    def answers(texts: Sequence[str]) -> list[Prediction | None]:  # a result that is there already needs no model
        if not ready:
            ready.append(make_ready(model.version, load_package(model.package, model.base, home.path)))
        return ready[0].answers(texts)

    id_column = data.id if data.id in batch.columns else None
    key = _scoring_key(pipeline, model, batch, id_column)
    with closing(open_traffic(home.path, pipeline.name, home.traffic_url)) if logged else nullcontext() as log:
        result = score_files(
            ScoringJob(
                batch, key, model.version, answers, at_once, id_column, place, log, rate, facts.is_number, facts.finds_answers
            ),
            move,
        )
    fresh = 0 if result.skipped else result.rows - result.kept
    return {
        "output": str(place), "rows": result.rows, "answered": result.answered, "kept": result.kept, "skipped": result.skipped,
        "logged": logged, "seconds": result.seconds, "rows_per_second": fresh / result.seconds if fresh else None,
    }  # fmt: skip


def _scoring_key(pipeline: Pipeline, model: ScoringModel, batch: Batch, id_column: str | None) -> str:
    """The hash of all that determines the result."""
    serving = pipeline.serving
    return json_sha256(
        {
            "rows": list(fingerprint_files(batch.files).items()),
            "text": list(batch.inputs),
            "id": id_column,
            "longest": pipeline.data.max_characters,
            "model": hashlib.sha256((model.package / "manifest.json").read_bytes()).hexdigest(),
            "version": model.version,
            "at_once": pipeline.evaluation.batch_size,
            "logged": serving.audit_rate if serving.log else None,
            "code": code_of("batch", pipeline),
        }
    )
