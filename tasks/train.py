"""The face of training: a GPU task that takes a slot, reports progress, and leaves a result on disk."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import get_run_logger
from prefect.cache_policies import NO_CACHE

from configs.schema import Pipeline
from tasks.common.bases import Base
from tasks.common.gpu_slots import gpu_slot
from tasks.common.home import Home
from tasks.common.orchestration import create_progress_artifact, task, update_progress_artifact
from tasks.common.terminal import print_notice, training_bar
from tasks.context import TrainingRun
from tasks.data.feedback import without_feedback
from tasks.learning.device import count_devices, settle_on
from tasks.snapshots import open_snapshot
from tasks.tracking.client import Tracking
from tasks.tracking.metric_log import MetricLog
from tasks.tracking.run_facts import system_sampler

if TYPE_CHECKING:
    from tasks.common.terminal import Bar
    from tasks.learning.fit import Listener, TrainingResult
    from tasks.learning.objectives.run import TrainingMaterial

SHOW_SECONDS = 2.0


@task(name="train", tags=["gpu"], cache_policy=NO_CACHE)
def train(pipeline: Pipeline, home: Home, tracking: Tracking, run: TrainingRun, start: Path | None) -> TrainingResult:
    """Fit the adapter to the snapshot, or find it fitted; every number goes to the one MLflow run of this train-key."""
    material = training_material(pipeline, home, run.base, run.snapshot)
    trained = fit_in_slot(pipeline, home, material, metric_log(tracking, home, run.key, run.run_id), start)
    record_training(tracking, run.run_id, trained)
    return trained


def metric_log(tracking: Tracking, home: Home, key: str, run_id: str) -> MetricLog:
    """Where the numbers of a training go: a journal in the folder of its train-key, and its MLflow run."""
    return MetricLog(tracking, run_id, home.run(key) / "metrics.jsonl", print_notice, system_sampler())


def fit_in_slot(
    pipeline: Pipeline, home: Home, material: TrainingMaterial, metrics: MetricLog, start: Path | None
) -> TrainingResult:
    """Fit in a slot of this machine, every number going to journal, terminal and Prefect on the way."""
    from tasks.learning.objectives.chain import train_chain

    with gpu_slot(home.path, count_devices(), print_notice) as number:
        settle_on(number)
        with metrics.uploading(), training_bar() as bar:
            listener = _listener(metrics, bar)
            return train_chain(material, pipeline.objectives, pipeline.training, metrics.journal.parent, listener, start)


def record_training(tracking: Tracking, run_id: str, trained: TrainingResult) -> None:
    """Log the cost and the hardware of a training to its run."""
    metrics = {
        "training_seconds": trained.seconds,
        "peak_memory_bytes": float(trained.peak_memory),
        "optimizer_steps": float(trained.steps),
        "kept_epoch": float(trained.epoch),
        "temperature": trained.temperature,
        "learning_rate_used": trained.learning_rate,
    }
    tracking.log_metrics(run_id, metrics, trained.steps)
    tags = {"weights_sha256": trained.weights, **{f"numerics.{k}": str(v) for k, v in asdict(trained.numerics).items()}}
    tracking.tag(run_id, {**tags, **({"training.restart": trained.restart} if trained.restart else {})})


def takes_every_core(pipeline: Pipeline) -> bool:
    """Whether training leaves no core to a process beside it: on this machine's CPU it does not, on a GPU or elsewhere it does."""
    from tasks.learning.device import numerics

    return pipeline.training.work_pool is None and numerics(pipeline.training.precision).device == "cpu"


def warm_up() -> None:
    """Import the libraries of training, while other processes work."""
    from tasks.learning import network

    network.warm_up()


def fitted_splits(pipeline: Pipeline) -> tuple[str, ...]:
    """The splits whose rows the final weights, and the baselines, are fitted to."""
    return ("train", "validation") if pipeline.training.refit else ("train",)


def training_material(pipeline: Pipeline, home: Home, base: Base, snapshot: str) -> TrainingMaterial:
    """The network's description, the rows of the split train, and those of validation."""
    import pandas as pd

    from tasks.learning.network import spec_of
    from tasks.learning.objectives.run import TrainingMaterial
    from tasks.problems import problem_of

    sealed = open_snapshot(home, snapshot)
    rows, held_out = sealed.frame("train"), sealed.frame("validation")
    known = pd.concat([sealed.frame(split) for split in fitted_splits(pipeline)])
    spec = spec_of(pipeline.problem, pipeline.adapter, (), pipeline.model.max_length, pipeline.training.seed, base)
    spec = replace(spec, languages=pipeline.model.language_codes, messages=pipeline.data.messages is not None)
    if pipeline.facts.is_number:
        known = without_feedback(known)  # one user's number moves no scale
    spec = problem_of(pipeline.problem).with_rows(spec, known)
    return TrainingMaterial(spec, base.path, rows, held_out)


def metric_of(logged: str) -> str:
    """The name in MLflow of a training's own number, with the rows that it is of, and the objective if others follow it."""
    if ":" in logged:
        objective, _, name = logged.partition(":")
        return f"{objective}/{metric_of(name)}"
    if logged == "epoch":
        return logged
    if logged.startswith("eval_"):
        return f"validation/{logged.removeprefix('eval_')}"
    return f"train/{logged.removeprefix('train_')}"


def _listener(metrics: MetricLog, bar: Bar) -> Listener:
    """Report to the journal, the terminal and Prefect, to the last one every few seconds."""
    from tasks.learning.fit import Listener

    logger = get_run_logger()
    artifact = create_progress_artifact("training-progress")
    latest: dict[str, float] = {}
    last_update = [time.monotonic()]

    def log(step: int, values: dict[str, float]) -> None:
        metrics.log(step, {metric_of(name): value for name, value in values.items()})
        plain = {name.rpartition(":")[2]: value for name, value in values.items()}  # of whichever objective
        latest.update(plain)
        names = {"eval_loss": "validation loss", "loss": "loss"}
        loss = next((f"{title} {plain[name]:.4f}" for name, title in names.items() if name in plain), None)
        if loss is not None:
            logger.info("step %d: %s", step, loss)
            bar.say(loss)

    def progress(step: int, total: int) -> None:
        bar.move(step, total)
        if time.monotonic() - last_update[0] > SHOW_SECONDS or step == total:
            last_update[0] = time.monotonic()
            loss = f", loss {latest['loss']:.4f}" if "loss" in latest else ""
            update_progress_artifact(artifact, 100 * step / total, f"step {step} of {total}{loss}")

    def notice(sentence: str) -> None:
        logger.warning(sentence)
        print_notice(sentence)

    return Listener(log, progress, notice)
