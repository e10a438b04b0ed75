"""A training of several objectives, one after the other: each starts from the weights of the one before."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from configs import schema
from configs.schema import Training
from tasks.learning.fit import Listener, TrainingResult, finished_fit
from tasks.learning.objectives.run import TrainingMaterial, train_network
from tasks.learning.trainer import EarlierFits

STAGE = "stage-{}"  # folders of a run: the trainings before the last one


def train_chain(
    material: TrainingMaterial, objectives: tuple[schema.Objective, ...], training: Training, run: Path, listener: Listener,
    start: Path | None = None,
) -> TrainingResult:  # fmt: skip
    """Train by each objective, as `train_network` does by one: the last one's result, with the steps and the time of all."""
    done = finished_fit(run)
    if done is not None:
        return done
    *before, last = objectives
    for number, objective in enumerate(before, 1):
        listener.notice(f"objective {number} of {len(objectives)}: {objective.kind}")
        reports = listener.of_objective(objective.kind)
        stage = train_network(material, objective, stage_settings(training, objective), run / STAGE.format(number), reports, start)
        material = replace(material, earlier=EarlierFits((), stage.steps, stage.seconds, stage.restart))
        start = stage.folder
    if before:
        listener.notice(f"objective {len(objectives)} of {len(objectives)}: {last.kind}")
    trained = train_network(material, last, stage_settings(training, last), run, listener, start)
    for folder in run.glob(STAGE.format("*")):
        shutil.rmtree(folder)
    return trained


def stage_settings(training: Training, objective: schema.Objective) -> Training:
    """The settings of one training of a chain: those of all, with the objective's own."""
    own = {"epochs": objective.epochs, "learning_rate": objective.learning_rate}
    return training.model_copy(update={name: value for name, value in own.items() if value is not None})
