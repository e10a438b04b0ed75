"""The odds ratio objective: preferred answers are learned, and made likelier than rejected ones, in one training (ORPO)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.common.processes import environment_variable
from tasks.learning.objectives import reference_free
from tasks.learning.objectives.preference import PreferenceObjective

if TYPE_CHECKING:
    from transformers import Trainer

    from configs.schema import Adapter, OddsRatioPreference
    from tasks.learning.trainer import FitPlan
    from tasks.problems.types import EncodedRows, Example, Network

FULL_RATE, ADAPTER_RATE = 8e-6, 8e-5  # the paper's (its appendix on training), and ten times that for weights that start at zero


class OddsRatioObjective(PreferenceObjective):
    """The loss of ORPO (Hong et al. 2024, arXiv:2403.07691) by TRL's ORPOTrainer; there is no reference."""

    def __init__(self, settings: OddsRatioPreference) -> None:
        self.beta = settings.beta

    def learning_rate(self, adapter: Adapter) -> float:
        """Higher than for DPO, as answers are learned too."""
        return FULL_RATE if adapter.moves_base else ADAPTER_RATE

    def complete_plan(self, plan: FitPlan, network: Network, examples: list[Example]) -> FitPlan:
        """As it is: the loss of an untrained network is that of its answers, which no formula knows."""
        return plan

    def make_trainer(self, network: Network, rows: EncodedRows, plan: FitPlan) -> Trainer:
        with environment_variable(reference_free.SILENT, "1"):
            from trl.experimental.orpo import ORPOConfig, ORPOTrainer

        settings = ORPOConfig(**reference_free.arguments_of(plan, network, rows), beta=self.beta)
        return reference_free.trainer_of(ORPOTrainer, settings, network, rows)
