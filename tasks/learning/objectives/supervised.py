"""The supervised objective: rows with the answer in them, for every problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.errors import InputError
from configs.schema import Supervised, facts_of
from tasks.data.thumbs import UP
from tasks.learning import collapse, folds, temperature
from tasks.learning.best_epoch import CALIBRATED_LOSS, HELD_OUT_ONE_CLASS, SEVERAL_CLASSES_LOSS, is_worth_it
from tasks.learning.device import Numerics, autocast
from tasks.learning.head_start import logistic_head, set_head
from tasks.learning.objectives.base import Objective
from tasks.learning.objectives.r_drop import check_dropout, r_drop_trainer
from tasks.learning.trainer import FitPlan, checkpointing_trainer, disk_errors, trainer_arguments
from tasks.problems import problem_of
from tasks.problems.class_scores import calibrate_logits, class_shares, class_weights
from tasks.problems.classifier import run_in_batches
from tasks.problems.encoder_head import EncoderHead
from tasks.problems.types import AnswerCalibration

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from transformers import EvalPrediction, PreTrainedTokenizerBase, Trainer

    from configs.schema import Training
    from tasks.problems.seq2seq import PairedTokenizer
    from tasks.problems.types import EncodedRows, Example, Network, Spec

BATCH = 32  # rows that are answered at once


class SupervisedObjective(Objective):
    """The loss of the problem on its rows. With labels, a collapse to one class is detected, and the network calibrated."""

    def __init__(self, settings: Supervised) -> None:
        self.settings = settings

    def check_rows(self, spec: Spec, held_out: pd.DataFrame) -> None:
        unknown = sorted(set(held_out["target"]) - set(spec.labels)) if _has_classes(spec) else []
        if unknown:
            raise InputError(
                f"data: {len(unknown)} labels have no training row ({', '.join(unknown[:5])}): add rows, or leave them out"
            )

    def folds_of(
        self, spec: Spec, training: Training, rows: pd.DataFrame, held_out: pd.DataFrame
    ) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
        return folds.folds_of(training, rows, held_out) if _has_classes(spec) else []

    def encode_rows(self, tokenizer: PreTrainedTokenizerBase | PairedTokenizer, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        problem = problem_of(spec.problem)
        learned = rows[rows["thumb"] == UP] if "thumb" in rows else rows  # an answer that was bad is not learned
        return problem.encode_rows(tokenizer, spec, problem.read_rows(spec, learned))

    def begin_network(self, network: Network, examples: list[Example], how: Numerics) -> Network:
        if self.settings.head == "logistic":
            ids = [row["input_ids"] for row in examples]
            vectors = run_in_batches(network.model, ids, network.pad_id, BATCH, autocast(how), embeddings=True)
            set_head(network.model, logistic_head(vectors, np.array(_targets(examples)), len(network.spec.labels)))
        return network

    def complete_plan(self, plan: FitPlan, network: Network, examples: list[Example]) -> FitPlan:
        if not _has_classes(network.spec):
            return plan
        targets, classes = _targets(examples), len(network.spec.labels)
        weights = class_weights(targets, classes).tolist() if self.settings.class_weights == "balanced" else None
        constant = collapse.constant_loss(targets, classes, self.settings.label_smoothing, weights)
        focal_gamma = self.settings.focal_gamma
        return replace(
            plan,
            untrained=collapse.constant_loss(targets, classes, 0.0, weights, focal_gamma) if focal_gamma else constant,
            constant_answer=constant,
            tells_apart=_class_check(network, examples, plan.numerics),
            shares=() if weights else class_shares(targets, classes),  # none where training weighs all classes alike
        )

    def make_trainer(self, network: Network, rows: EncodedRows, plan: FitPlan) -> Trainer:
        settings = {**trainer_arguments(plan), "eval_strategy": "steps" if rows.held_out else "no"}
        problem = problem_of(network.spec.problem)
        trainer = problem.make_trainer(network, rows, self.settings, settings, self._trainer_class(network))
        if _has_classes(network.spec):
            trainer.compute_metrics = lambda answers: _calibrated_loss(answers, plan, trainer.state.global_step)
        return trainer

    def _trainer_class(self, network: Network) -> Callable[[type[Trainer]], type[Trainer]]:
        """What makes a Trainer's class ours."""
        if not self.settings.r_drop:
            return checkpointing_trainer
        check_dropout(network.model, network.spec.base_name)
        return lambda parent: checkpointing_trainer(r_drop_trainer(parent, self.settings.r_drop))

    def calibrate(
        self, network: Network, held_out: list[Example], plan: FitPlan, epoch: int, folds: folds.FoldAnswers | None
    ) -> AnswerCalibration:
        problem = problem_of(network.spec.problem)
        if not held_out or not isinstance(problem, EncoderHead):
            return problem.calibrate(network, held_out, autocast(plan.numerics)) if held_out else AnswerCalibration()
        if not _has_classes(network.spec):
            return AnswerCalibration(
                thresholds=problem.fit_thresholds(_logits(network, held_out, plan.numerics), _targets(held_out))
            )
        own, own_targets = _logits(network, held_out, plan.numerics), np.array(_targets(held_out))
        rows = folds.with_held_out(epoch, own, own_targets) if folds is not None else (own, own_targets)
        best, several = _best_calibrations(own, own_targets, rows, plan.shares)
        chosen = several if several is not None and is_worth_it(several.loss, plan.loss_to_beat) else best
        return AnswerCalibration(chosen.temperature)


def _has_classes(spec: Spec) -> bool:
    return facts_of(spec.problem).has_classes


def _targets(rows: list[Example]) -> list[Any]:
    return [row["labels"] for row in rows]


def _logits(network: Network, rows: list[Example], how: Numerics) -> npt.NDArray[np.float32]:
    return run_in_batches(network.model, [row["input_ids"] for row in rows], network.pad_id, BATCH, autocast(how))


def _class_check(network: Network, rows: list[Example], how: Numerics) -> Callable[[], bool]:
    """A check whether the network, as it is at the time of the call, answers more than one class to rows of several."""
    sample = [rows[place] for place in collapse.sample_rows(_targets(rows))]

    def tells_apart() -> bool:
        answers = _logits(network, sample, how).argmax(1).tolist()
        return not collapse.answers_one_class(answers, _targets(sample))

    return tells_apart


@dataclass(frozen=True)
class TriedTemperature:
    """A temperature, the log loss in nats of the rows that chose it, and whether nearly all held-out rows get one class by it."""

    temperature: float
    loss: float
    one_class: bool


def _best_calibrations(
    own: npt.NDArray[np.float32],
    own_targets: npt.NDArray[np.int64],
    rows: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]],
    shares: Sequence[float],
) -> tuple[TriedTemperature, TriedTemperature | None]:
    """The best calibration by `rows`, logits and targets; if it gives held-out rows one class, also the best that does not."""
    logits, targets = rows

    def at(value: float) -> TriedTemperature:
        answers = calibrate_logits(own, value, shares).argmax(1).tolist()
        loss = temperature.log_loss(logits, targets, value, shares)
        return TriedTemperature(value, loss, collapse.hardly_varies(answers, own_targets.tolist()))

    best = at(temperature.fit_temperature(logits, targets, shares))
    highest = temperature.highest_temperature(own, own_targets, shares) if best.one_class else None
    return best, at(highest) if highest is not None else None


def _calibrated_loss(validation: EvalPrediction, plan: FitPlan, step: int) -> dict[str, float]:
    """Metrics of held-out rows that the Trainer logs beside their loss: those of the calibrations of this epoch."""
    own, own_targets = validation.predictions, validation.label_ids
    epoch = round(step / plan.steps_per_epoch)
    if plan.answers is not None:
        with disk_errors(plan.answers):
            folds.note_epoch(plan.answers, epoch, own, own_targets)
    rows = plan.folds.with_held_out(epoch, own, own_targets) if plan.folds else (own, own_targets)
    best, several = _best_calibrations(own, own_targets, rows, plan.shares)
    logged = {CALIBRATED_LOSS: best.loss, HELD_OUT_ONE_CLASS: float(best.one_class)}
    if several is not None:
        logged[SEVERAL_CLASSES_LOSS] = several.loss
    return {name.removeprefix("eval_"): value for name, value in logged.items()}
