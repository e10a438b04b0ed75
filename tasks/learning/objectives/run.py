"""Runs a training of any objective: within memory, once more where it went wrong, resumed after a kill."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from configs import schema
from configs.errors import InfraError, InputError
from configs.schema import Training
from tasks.common.files import write_json
from tasks.learning.attention import attend_in_fp32
from tasks.learning.checkpoints import newest_valid
from tasks.learning.collapse import CollapsedError
from tasks.learning.device import Numerics, check_fits, numerics
from tasks.learning.fit import Listener, TrainingResult, finished_fit, fit_network, keep_untrained
from tasks.learning.folds import FoldAnswers, gather_epochs, load_answers, pool_answers, save_answers
from tasks.learning.fused_lora import fuse_lora
from tasks.learning.memory import MICRO, within_memory
from tasks.learning.network import TRAINABLE, build_network, outline_network, read_spec, refuse_blind
from tasks.learning.objectives import objective_of
from tasks.learning.objectives.base import Objective
from tasks.learning.trainer import EarlierFits, FitPlan, default_epochs, disk_errors
from tasks.problems import problem_of
from tasks.problems.types import AnswerCalibration, EncodedRows, Network, Spec

COLLAPSED = "collapsed.json"  # how the first attempt went wrong
SEARCH, AGAIN = "search", "again"  # folders of a run: the fit that finds the number of epochs, the one at a lower rate
FOLD = "fold-{}"
LOWER_RATE = 0.25  # of the learning rate, where a training that went wrong is begun once more


@dataclass(frozen=True)
class TrainingMaterial:
    """The input of a training: a network's description, its base's folder, rows to fit to and rows to choose by (or none).

    `earlier` is the cost of trainings that it follows, where it is one of several.
    """

    spec: Spec
    base: Path
    rows: pd.DataFrame
    held_out: pd.DataFrame
    earlier: EarlierFits = field(default_factory=EarlierFits)


@dataclass(frozen=True)
class TrainingJob:
    """The settings that the attempts at one training share, and the results of earlier fits, if there were any."""

    material: TrainingMaterial
    objective: Objective
    training: Training
    listener: Listener
    start: Path | None
    learning_rate: float
    last_epoch: int | None = None
    calibration: AnswerCalibration | None = None
    earlier: EarlierFits = field(default_factory=EarlierFits)
    folds: FoldAnswers | None = None
    answers: Path | None = None  # where a fold writes its answers after each epoch

    def of(self, rows: pd.DataFrame, held_out: pd.DataFrame) -> TrainingJob:
        """The same with other rows."""
        return replace(self, material=replace(self.material, rows=rows, held_out=held_out))


def train_network(
    material: TrainingMaterial, settings: schema.Objective, training: Training, run: Path, listener: Listener,
    start: Path | None = None,
) -> TrainingResult:  # fmt: skip
    """Fit to the rows, keeping the epoch that is best on those held out, on which answers are calibrated too.

    With `training.refit` that number of epochs is found first, then both are fitted to for as long. Out of memory, once more with a
    quarter of the rows at a time: the effective batch stays `training.batch_size`. A loss that climbs back for good, that is no
    number, or a network that answers one class: once more at a quarter of the learning rate. A run that was completed before is
    returned as it is. `start` is the folder of an earlier training whose weights this one starts from. Raises InfraError if
    training goes wrong twice, or if memory or disk run out.
    """
    done = finished_fit(run)
    if done is not None:
        return done
    objective, spec = objective_of(settings), material.spec
    objective.check_rows(spec, material.held_out)
    rate = training.learning_rate or objective.learning_rate(spec.moves)
    job = TrainingJob(material, objective, training, listener, start, rate, earlier=material.earlier)
    if pairs := objective.folds_of(spec, training, material.rows, material.held_out):
        job = _with_fold_answers(job, pairs, run)
    trained = _fit_and_refit(job, run)
    for folder in run.glob(FOLD.format("*")):
        shutil.rmtree(folder)
    return trained


def _fit_and_refit(job: TrainingJob, run: Path) -> TrainingResult:
    """Fit to the rows; with `training.refit` once more to all rows, for as many epochs as were best."""
    rows, held_out = job.material.rows, job.material.held_out
    if not job.training.refit or held_out.empty:
        return _fit_with_restart(job, run)
    search = _fit_with_restart(job, run / SEARCH)
    job.listener.notice(f"validation rows were answered best after epoch {search.epoch}: training on all rows for as long")
    earlier = EarlierFits(search.history, search.steps, search.seconds, search.restart)
    refit_job = replace(
        job,
        last_epoch=search.epoch,
        calibration=AnswerCalibration(search.temperature, tuple(search.thresholds)),
        learning_rate=search.learning_rate,
        earlier=earlier,
    )
    trained = _fit_with_restart(refit_job.of(pd.concat([rows, held_out], ignore_index=True), held_out[:0]), run)
    shutil.rmtree(run / SEARCH)
    return trained


def _with_fold_answers(job: TrainingJob, pairs: list[tuple[pd.DataFrame, pd.DataFrame]], run: Path) -> TrainingJob:
    """The same training, once each fold of its rows was answered by a network that learned from the others."""
    batch, listener, rows = job.training.batch_size, job.listener, len(job.material.rows)
    epochs = default_epochs(math.ceil(rows / batch))
    listener.notice(f"few rows are held out: {len(pairs)} folds of the training rows help to choose the epoch")
    sizes = [epochs * math.ceil(size / batch) for size in (*(len(fitted) for fitted, _ in pairs), rows)]
    training, folds = job.training.model_copy(update={"epochs": epochs}), []
    for number, (fitted, held_back) in enumerate(pairs):
        around = listener.with_steps_around(sum(sizes[:number]), sum(sizes[number + 1 :]), silent=True)
        fold_job = replace(job, training=training, listener=around).of(fitted, held_back)
        folds.append(_fit_fold(fold_job, run / FOLD.format(number + 1)))
    every = pool_answers(folds)
    earlier = replace(job.earlier, seconds=job.earlier.seconds + every.seconds)
    return replace(job, folds=every, earlier=earlier, listener=listener.with_steps_around(sum(sizes[:-1]), 0))


def _fit_fold(job: TrainingJob, run: Path) -> FoldAnswers:
    """Fit to one fold's rows, or find it fitted; its answers to the other rows after each epoch."""
    if (earlier := load_answers(run)) is not None:
        return earlier
    fit_folder = run.with_name(f"{run.name}-fit")
    trained = _fit_with_restart(replace(job, answers=fit_folder / "answers"), fit_folder)
    with disk_errors(run):
        save_answers(run, gather_epochs(fit_folder / "answers", trained.seconds))
    shutil.rmtree(fit_folder)
    answers = load_answers(run)
    if answers is None:
        raise InfraError(f"{run} was written and does not read back: check the disk")
    return answers


def _fit_with_restart(job: TrainingJob, run: Path) -> TrainingResult:
    """Fit; a training that goes wrong for good is begun once more, at a quarter of its learning rate."""
    done = finished_fit(run)
    if done is not None:
        return done
    if not (run / COLLAPSED).is_file():
        try:
            return _within_memory(job, run, run)
        except CollapsedError as error:
            _note_collapse(error, run)
    first, lower = json.loads((run / COLLAPSED).read_text()), LOWER_RATE * job.learning_rate
    failure = f"step {first['step']}, learning rate {job.learning_rate:.2g}: {first['reason']}"
    restart = f"training went wrong ({failure}) and was begun once more at {lower:.2g}"
    job.listener.notice(restart)
    earlier = job.earlier.followed_by(first["history"], first["step"], first["seconds"], restart)
    try:
        return _within_memory(replace(job, learning_rate=lower, earlier=earlier), run / AGAIN, run)
    except CollapsedError as error:
        raise InfraError(
            f"training went wrong twice ({failure}; step {error.step}, {lower:.2g}: {error.reason}): nothing was registered. Lower "
            "training.learning_rate, raise training.warmup, or look whether the texts say anything of their targets"
        ) from error


def _note_collapse(error: CollapsedError, run: Path) -> None:
    """Record how an attempt went wrong, whole or not at all: a resumed training must not try it again."""
    seconds = max((float(entry.get("seconds", 0.0)) for entry in error.history), default=0.0)
    values = {"reason": error.reason, "step": error.step, "seconds": seconds, "history": error.history}
    write_json(run / COLLAPSED, values)


def _within_memory(job: TrainingJob, run: Path, result: Path) -> TrainingResult:
    """Fit with as many rows in memory at once as there is room for."""
    how = numerics(job.training.precision)
    return within_memory(
        lambda micro: _attempt_fit(job, run, result, micro, how), job.training.batch_size, run / MICRO, how, job.listener.notice
    )


def _attempt_fit(job: TrainingJob, run: Path, result: Path, micro: int, how: Numerics) -> TrainingResult:
    material = job.material
    moved, spec = _start_weights(job.start, material.spec) if job.start else (None, material.spec)
    tokenizer = problem_of(spec.problem).load_tokenizer(material.base, spec.target_tokenizer, spec.languages)
    examples, held_out = (job.objective.encode_rows(tokenizer, spec, frame) for frame in (material.rows, material.held_out))
    held_out.sort(key=lambda row: len(row["input_ids"]))  # batches of like length: their order is no matter
    lengths = [len(row["input_ids"]) for row in examples]
    sequences = micro * job.objective.sequences_per_row * problem_of(spec.problem).sequences_per_row
    check_fits(outline_network(spec, material.base), sequences, max(lengths), how)
    network = build_network(spec, material.base, moved)
    if job.start is not None:
        refuse_blind(network)
    attend_in_fp32(network.model, how)
    fuse_lora(network.model, how)
    if (job.start is None or material.earlier.steps) and newest_valid(run, job.listener.notice) is None:
        network = job.objective.begin_network(network, examples, how)
    plan = FitPlan(job.training, job.learning_rate, lengths, micro, how, run, result, job.last_epoch, earlier=job.earlier)
    plan = replace(plan, folds=job.folds, answers=job.answers)
    plan = job.objective.complete_plan(plan, network, examples)

    def calibrate(network: Network, epoch: int) -> AnswerCalibration:
        return job.calibration or job.objective.calibrate(network, held_out, plan, epoch, job.folds)

    if not job.objective.trains:
        return keep_untrained(network, plan, calibrate)
    trainer = job.objective.make_trainer(network, EncodedRows(examples, held_out), plan)
    trainer.plan = plan
    return fit_network(trainer, network, plan, calibrate, job.listener.after(job.earlier.steps))


def _start_weights(start: Path, spec: Spec) -> tuple[Path, Spec]:
    """The weights to start from, and the network pooled as they were trained with.

    Those of a network with other labels, adapter or base mean something else, or do not fit.
    """
    earlier = read_spec(start)
    other = [name for name in ("problem", "adapter", "labels", "base_digest") if getattr(earlier, name) != getattr(spec, name)]
    if other:
        raise InputError(
            f"training.start: the champion has another {' and '.join(other).replace('_digest', '')} than this training, "
            "so nothing can start from its weights: set training.start=base"
        )
    return start / TRAINABLE, replace(spec, pooling=earlier.pooling)
