"""The objectives: what a training minimises, and from which rows. Ask for one here, and it by its contract (base.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from configs import schema

if TYPE_CHECKING:
    from tasks.learning.objectives.base import Objective


def objective_of(settings: schema.Objective) -> Objective:
    """The objective that these settings ask for."""
    match settings:
        case schema.Supervised():
            from tasks.learning.objectives.supervised import SupervisedObjective

            return SupervisedObjective(settings)
        case _:
            assert_never(settings)
