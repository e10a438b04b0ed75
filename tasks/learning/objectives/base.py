"""The contract of an objective: the rows that it reads, the Trainer that minimises it, the measure of its networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tasks.learning import adapters
from tasks.problems import problem_of
from tasks.problems.types import AnswerCalibration

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedTokenizerBase, Trainer

    from configs.schema import Adapter, ProblemName, Training
    from tasks.learning.device import Numerics
    from tasks.learning.folds import FoldAnswers
    from tasks.learning.trainer import FitPlan
    from tasks.problems.base import Measure
    from tasks.problems.seq2seq import PairedTokenizer
    from tasks.problems.types import EncodedRows, Example, Network, Spec


class Objective(ABC):
    """What a training minimises; made from its settings. The run around it (memory, resuming, restarts) is run.py's.

    `sequences_per_row`: how many sequences of tokens a row is, each at most as long as its `input_ids`.
    """

    sequences_per_row: ClassVar[int] = 1
    trains: ClassVar[bool] = True  # whether there are steps to train, after `begin_network`

    def learning_rate(self, adapter: Adapter) -> float:
        """The default for an adapter."""
        return adapters.default_learning_rate(adapter)

    def measure_of(self, problem: ProblemName) -> Measure:
        """What the gate compares: the problem's own scores, unless the objective asks for something else."""
        return problem_of(problem)

    @abstractmethod
    def check_rows(self, spec: Spec, held_out: pd.DataFrame) -> None:
        """InputError where the held-out rows need classes that no training row teaches."""

    def folds_of(
        self, spec: Spec, training: Training, rows: pd.DataFrame, held_out: pd.DataFrame
    ) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
        """(rows to train on, rows to answer) of each fold that helps to choose the epoch; none where the held-out rows do alone."""
        return []

    @abstractmethod
    def encode_rows(self, tokenizer: PreTrainedTokenizerBase | PairedTokenizer, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        """Rows as the Trainer reads them; `input_ids` is the longest of what a row holds."""

    def begin_network(self, network: Network, examples: list[Example], how: Numerics) -> Network:
        """A network that was never trained, as training begins with it: its weights may be set from the encoded training rows."""
        return network

    def complete_plan(self, plan: FitPlan, network: Network, examples: list[Example]) -> FitPlan:
        """The plan with the parts that detect a collapse and that calibrate, from the encoded training rows."""
        return plan

    @abstractmethod
    def make_trainer(self, network: Network, rows: EncodedRows, plan: FitPlan) -> Trainer:
        """The Trainer, its class one of `checkpointing_trainer`."""

    def calibrate(
        self, network: Network, held_out: list[Example], plan: FitPlan, epoch: int, folds: FoldAnswers | None
    ) -> AnswerCalibration:
        """The calibration of a trained network, from held-out rows and the folds' answers after its epoch."""
        return AnswerCalibration()
