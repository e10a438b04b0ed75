"""The simple preference objective: log-likelihoods a token of preferred and rejected answers, held apart by a margin (SimPO)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.common.processes import environment_variable
from tasks.learning.objectives import reference_free
from tasks.learning.objectives.preference import PreferenceObjective

if TYPE_CHECKING:
    from transformers import Trainer

    from configs.schema import SimplePreference
    from tasks.learning.trainer import FitPlan
    from tasks.problems.types import EncodedRows, Example, Network


class SimplePreferenceObjective(PreferenceObjective):
    """The loss of SimPO (Meng et al. 2024, arXiv:2405.14734) by TRL's CPOTrainer; there is no reference.

    Its default learning rate is DPO's: within the paper's 3e-7 to 1e-6 where all weights move.
    """

    def __init__(self, settings: SimplePreference) -> None:
        self.beta, self.gamma = settings.beta, settings.gamma

    def complete_plan(self, plan: FitPlan, network: Network, examples: list[Example]) -> FitPlan:
        """As it is: the loss of an untrained network hangs on which answers it finds likelier, which no formula knows."""
        return plan

    def make_trainer(self, network: Network, rows: EncodedRows, plan: FitPlan) -> Trainer:
        with environment_variable(reference_free.SILENT, "1"):
            from trl.experimental.cpo import CPOConfig, CPOTrainer

        settings = CPOConfig(
            **reference_free.arguments_of(plan, network, rows),
            loss_type="simpo",
            cpo_alpha=0.0,
            beta=self.beta,
            simpo_gamma=self.gamma,
        )
        return reference_free.trainer_of(CPOTrainer, settings, network, rows)
