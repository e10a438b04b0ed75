"""The preference objective: direct preference optimisation of pairs of answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from configs.errors import InputError
from tasks.learning.objectives.base import Objective
from tasks.learning.objectives.with_reference import drop_reference, tokenized_trainer
from tasks.learning.trainer import FitPlan, checkpointing_trainer, trainer_arguments
from tasks.problems import problem_of
from tasks.problems.padding import IGNORED, pad_examples
from tasks.problems.pair_ranking import PairRanking
from tasks.problems.text_writer import TextWriter

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedTokenizerBase, Trainer

    from configs.schema import Adapter, AnchoredPreference, Preference, ProblemName
    from tasks.problems.seq2seq import PairedTokenizer
    from tasks.problems.types import EncodedRows, Example, Network, Spec


REFERENCE = ("ref_chosen_logps", "ref_rejected_logps")  # what DPOTrainer adds to its rows before it trains


class PreferenceObjective(Objective):
    """The loss of TRL's DPOTrainer on pairs; the reference is the network that training starts from, scored once before it."""

    sequences_per_row = 2

    def __init__(self, settings: Preference | AnchoredPreference) -> None:
        self.settings = settings

    def learning_rate(self, adapter: Adapter) -> float:
        """Far lower than for rows with answers, as the network is to stay near where it was; full and lora as TRL has them."""
        return super().learning_rate(adapter) / (100 if adapter.moves_base else 50)

    def measure_of(self, problem: ProblemName) -> PairRanking:
        return PairRanking(_require_text_writer(problem))

    def check_rows(self, spec: Spec, held_out: pd.DataFrame) -> None:
        """Any pair can be asked about."""

    def encode_rows(self, tokenizer: PreTrainedTokenizerBase | PairedTokenizer, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        """Both answers behind their prompt: `chosen` and `rejected` token ids, each with labels on the answer alone."""
        problem = _require_text_writer(spec.problem)
        read = rows.assign(**{name: spec.read(rows[name].tolist()) for name in PairRanking.text_columns})
        chosen, rejected = (
            problem.encode_answers(tokenizer, spec, read.assign(target=read[name])) for name in ("target", "rejected")
        )
        return [_merge_pair(better, worse) for better, worse in zip(chosen, rejected, strict=True)]

    def complete_plan(self, plan: FitPlan, network: Network, examples: list[Example]) -> FitPlan:
        """With the loss of a network that has not moved from its reference."""
        untrained = {"sigmoid": math.log(2), "ipo": 1 / (2 * self.settings.beta) ** 2, "hinge": 1.0}
        return replace(plan, untrained=untrained[self.settings.loss])

    def make_trainer(self, network: Network, rows: EncodedRows, plan: FitPlan) -> Trainer:
        from datasets import Dataset, disable_progress_bars
        from trl import DPOConfig, DPOTrainer

        disable_progress_bars()
        settings = {**trainer_arguments(plan), "eval_strategy": "steps" if rows.held_out else "no"}
        trainer = checkpointing_trainer(tokenized_trainer(DPOTrainer))(
            model=network.model,
            args=DPOConfig(
                **settings,
                loss_type=[self.settings.loss],
                beta=self.settings.beta,
                label_smoothing=self.settings.label_smoothing,
                max_length=None,  # cut already, as for scoring
                precompute_ref_log_probs=True,
                gradient_checkpointing=False,
            ),
            train_dataset=Dataset.from_list(rows.train),
            eval_dataset=Dataset.from_list(rows.held_out) if rows.held_out else None,
            processing_class=network.tokenizer,
            data_collator=_collate_pairs(network.pad_id),
        )
        drop_reference(network)
        return trainer


def _require_text_writer(problem: ProblemName) -> TextWriter:
    writer = problem_of(problem)
    if not isinstance(writer, TextWriter):
        raise InputError(f"objective.kind preference: {problem} writes no texts")
    return writer


def _merge_pair(chosen: Example, rejected: Example) -> Example:
    longer = max(chosen, rejected, key=lambda example: len(example["input_ids"]))
    return {
        "input_ids": longer["input_ids"],
        **{f"chosen_{name}": values for name, values in chosen.items()},
        **{f"rejected_{name}": values for name, values in rejected.items()},
    }


def sides_of(pairs: list[Example]) -> list[Example]:
    """The preferred answers of all pairs, then the rejected ones, each behind its prompt with labels on the answer alone."""
    return [{name: pair[f"{side}_{name}"] for name in ("input_ids", "labels")} for side in ("chosen", "rejected") for pair in pairs]


def _collate_pairs(pad_id: int) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
    """Pairs -> one batch as DPOTrainer reads it: the preferred answers of all, then the rejected ones."""
    import torch

    def collate(pairs: list[Example]) -> dict[str, torch.Tensor]:
        batch = pad_examples(sides_of(pairs), pad_id)
        batch["completion_mask"] = (batch.pop("labels") != IGNORED).long()
        known = {name: torch.tensor([pair[name] for pair in pairs]) for name in REFERENCE if name in pairs[0]}
        return {**batch, **known}

    return collate
