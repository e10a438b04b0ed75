"""Which epoch of a fit is the best so far, from what was logged, and whether training on would still help."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.learning.checkpoints import step_of
from tasks.learning.trainer import FitPlan

CALIBRATED_LOSS = "eval_calibrated_loss"  # of held-out rows, after a temperature was fitted to them
ONE_CLASS = "one_class"  # 1.0 where an epoch's network answers one class to training rows of several
HELD_OUT_ONE_CLASS = "eval_one_class"  # 1.0 where, calibrated, it answers nearly all held-out rows so
SEVERAL_CLASSES_LOSS = "eval_several_classes_loss"  # there: of the highest temperature at which it does not, if there is one
MOST_FOR_SEVERAL = 1.1  # times the untrained loss: so much may that one be, for answers of several classes


def best_epoch(logged: Sequence[dict[str, float]], untrained: float | None) -> int | None:
    """The epoch, from 1, whose weights are kept; None where no row is held out.

    It has the lowest loss on the held-out rows: of a classifier after its temperature is fitted to them, as it will be used. The
    raw loss would end a training when confidence runs ahead of accuracy, which the temperature mends (Berta et al. 2025,
    'Rethinking early stopping: refine, then calibrate'). An epoch that answers one class to rows of several is kept only if no
    other has a loss below `untrained`, that of an answer without any training. If none has, it is the one with the lowest loss at a
    temperature at which it answers several, if that `is_worth_it`.
    """
    entries = [entry for entry in logged if "eval_loss" in entry]
    if not entries:
        return None
    losses = [entry.get(CALIBRATED_LOSS, entry["eval_loss"]) for entry in entries]
    several = [not entry.get(ONE_CLASS) and not entry.get(HELD_OUT_ONE_CLASS) for entry in entries]
    if learned := [loss for loss, each in zip(losses, several, strict=True) if each and loss < (untrained or np.inf)]:
        return losses.index(min(learned)) + 1
    cooled = [entry.get(SEVERAL_CLASSES_LOSS, np.inf) for entry in entries]
    return (cooled.index(min(cooled)) if is_worth_it(min(cooled), untrained) else losses.index(min(losses))) + 1


def is_worth_it(several_classes_loss: float, untrained: float | None) -> bool:
    """Whether answers of several classes may cost this loss, though answers of one class have a lower one."""
    return several_classes_loss < MOST_FOR_SEVERAL * (untrained or np.inf)


def epochs_since_best(logged: Sequence[dict[str, float]], plan: FitPlan) -> int:
    """Epochs since the best one."""
    best = best_epoch(logged, plan.loss_to_beat)
    return 0 if best is None else sum("eval_loss" in entry for entry in logged) - best


def stops_early(logged: Sequence[dict[str, float]], plan: FitPlan) -> bool:
    """Whether early stopping ends the training here."""
    return plan.training.early_stopping is not None and epochs_since_best(logged, plan) >= plan.training.early_stopping


def is_over(checkpoint: Path, logged: Sequence[dict[str, float]], plan: FitPlan) -> bool:
    """Whether nothing is left to train after a checkpoint with this log, though its schedule would go on."""
    return stops_early(logged, plan) or step_of(checkpoint) >= plan.last_step < plan.steps
