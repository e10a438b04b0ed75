"""The anchored preference objective: pairs as for DPO, with the likelihood of each answer held against the start's own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.learning.objectives.preference import PreferenceObjective

if TYPE_CHECKING:
    from tasks.learning.trainer import FitPlan
    from tasks.problems.types import Example, Network

UNTRAINED = 1.0  # both losses are a sigmoid and one less another, and each sigmoid is 1/2 for a network that has not moved


class AnchoredObjective(PreferenceObjective):
    """The losses apo_zero and apo_down (arXiv:2408.06266) of TRL's DPOTrainer."""

    def complete_plan(self, plan: FitPlan, network: Network, examples: list[Example]) -> FitPlan:
        """With the loss of a network that has not moved from its reference."""
        return replace(plan, untrained=UNTRAINED)
