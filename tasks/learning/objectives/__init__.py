"""The objectives: what a training minimises, from which rows, and what its models are measured by. Ask for one here (base.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from configs import schema

if TYPE_CHECKING:
    from tasks.learning.objectives.base import Objective
    from tasks.problems.base import Measure


def objective_of(settings: schema.Objective) -> Objective:
    """The objective that these settings ask for."""
    match settings:
        case schema.Supervised():
            from tasks.learning.objectives.supervised import SupervisedObjective

            return SupervisedObjective(settings)
        case schema.Preference():
            from tasks.learning.objectives.preference import PreferenceObjective

            return PreferenceObjective(settings)
        case _:
            assert_never(settings)


def measure_of(settings: schema.Objective, problem: schema.ProblemName) -> Measure:
    """What the models of a pipeline with this objective and this problem are measured by."""
    return objective_of(settings).measure_of(problem)
