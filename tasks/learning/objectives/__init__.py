"""The objectives: the loss of a training, its rows, and the measure of its models. Get one here by its settings (see base.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from configs import schema

if TYPE_CHECKING:
    from tasks.learning.objectives.base import Objective
    from tasks.problems.base import Measure


def objective_of(settings: schema.Objective) -> Objective:
    """The objective of these settings."""
    match settings:
        case schema.Supervised():
            from tasks.learning.objectives.supervised import SupervisedObjective

            return SupervisedObjective(settings)
        case schema.Contrastive():
            from tasks.learning.objectives.contrastive import ContrastiveObjective

            return ContrastiveObjective(settings)
        case schema.Preference():
            from tasks.learning.objectives.preference import PreferenceObjective

            return PreferenceObjective(settings)
        case schema.ZeroShot():
            from tasks.learning.objectives.zero_shot import ZeroShotObjective

            return ZeroShotObjective(settings)
        case schema.AnchoredPreference() | schema.OddsRatioPreference() | schema.SimplePreference() | schema.ThumbPreference():
            from tasks.learning.objectives.by_loss import objective_by_loss

            return objective_by_loss(settings)
        case _:
            assert_never(settings)


def measure_of(settings: schema.Objective, problem: schema.ProblemName) -> Measure:
    """The measure of the models of a pipeline with this objective and this problem."""
    return objective_of(settings).measure_of(problem)
