"""The thumb objective: answers that are good or bad by themselves, learned by the loss of KTO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from configs.errors import InfraError
from tasks.data.thumbs import UP
from tasks.learning.objectives.preference import PreferenceObjective
from tasks.learning.objectives.with_reference import drop_reference, tokenized_trainer
from tasks.learning.trainer import FitPlan, checkpointing_trainer, trainer_arguments
from tasks.problems.padding import IGNORED, pad_examples
from tasks.problems.thumb_ranking import ThumbRanking

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedTokenizerBase, Trainer

    from configs.schema import ProblemName, ThumbPreference
    from tasks.problems.seq2seq import PairedTokenizer
    from tasks.problems.types import EncodedRows, Example, Network, Spec

UNTRAINED = 0.5  # 1 less a sigmoid of 0, whatever the thumb
KNOWN = ("ref_logps", "ref_KL_logps")  # what KTOTrainer adds to its rows before it trains
LEAST_AT_ONCE = 2  # rows: what all likelihoods of a batch moved by is no measure of one row's own


class ThumbObjective(PreferenceObjective):
    """The loss of KTO (Ethayarajh et al. 2024, arXiv:2402.01306) by TRL's KTOTrainer; the reference is the start, scored once.

    The loss holds each answer against how far likelihoods moved on the whole, which is seen on answers to other prompts: each row
    has one of another row, the same in every epoch. Rows are drawn at random, not by length, as good and bad answers often differ
    in length, and a batch needs both.
    """

    def __init__(self, settings: ThumbPreference) -> None:
        self.beta, self.balanced = settings.beta, settings.thumb_weights == "balanced"

    def measure_of(self, problem: ProblemName) -> ThumbRanking:  # type: ignore[override]
        return ThumbRanking(super().measure_of(problem).problem)

    def encode_rows(self, tokenizer: PreTrainedTokenizerBase | PairedTokenizer, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        """Answers behind their prompt, labels on the answer alone; `KL_...` is another row's answer behind the same prompt."""
        problem = super().measure_of(spec.problem).problem
        read = rows.assign(**{name: spec.read(rows[name].tolist()) for name in ThumbRanking.text_columns})
        own = problem.encode_answers(tokenizer, spec, read)
        others = problem.encode_answers(tokenizer, spec, read.assign(target=_answers_of_others(read)))
        return [
            {**row, **{f"KL_{name}": values for name, values in other.items()}, "label": thumb == UP}
            for row, other, thumb in zip(own, others, rows["thumb"], strict=True)
        ]

    def complete_plan(self, plan: FitPlan, network: Network, examples: list[Example]) -> FitPlan:
        """With the loss of a network that has not moved from its reference, and lengths that sort no batch."""
        return replace(plan, untrained=UNTRAINED, lengths=[1] * len(examples))

    def make_trainer(self, network: Network, rows: EncodedRows, plan: FitPlan) -> Trainer:
        from datasets import Dataset, disable_progress_bars
        from trl import KTOConfig, KTOTrainer

        if plan.micro < LEAST_AT_ONCE:
            raise InfraError(
                f"objective.loss kto compares answers within a batch, and {plan.micro} row is held in memory at once: raise "
                "training.batch_size, lower model.max_length, or use a machine with more memory"
            )
        disable_progress_bars()
        settings = {**trainer_arguments(plan), "eval_strategy": "steps" if rows.held_out else "no"}
        good, bad = _thumb_weights(rows.train) if self.balanced else (1.0, 1.0)
        trainer = checkpointing_trainer(tokenized_trainer(KTOTrainer))(
            model=network.model,
            args=KTOConfig(
                **settings,
                beta=self.beta,
                desirable_weight=good,
                undesirable_weight=bad,
                max_length=None,  # cut already, as for scoring
                precompute_ref_log_probs=True,
                gradient_checkpointing=False,
            ),
            train_dataset=Dataset.from_list(rows.train),
            eval_dataset=Dataset.from_list(rows.held_out) if rows.held_out else None,
            processing_class=network.tokenizer,
            data_collator=_collate_thumbs(network.pad_id),
        )
        drop_reference(network)
        return trainer


def _answers_of_others(rows: pd.DataFrame) -> list[str]:
    """For each row the answer of the next row with another prompt, from the first again behind the last; else the next one's."""
    texts, answers = rows["text"].tolist(), rows["target"].tolist()
    n, others = len(texts), [""] * len(texts)
    following = 0  # the offset of the next row with another prompt; rows of one prompt share what ends them
    for place in reversed(range(n)):
        if following > 1 and texts[place] == texts[(place + 1) % n]:
            following += 1
        else:
            following = next((step for step in range(1, n) if texts[(place + step) % n] != texts[place]), 1)
        others[place] = answers[(place + following) % n]
    return others


def _thumb_weights(examples: list[Example]) -> tuple[float, float]:
    """The weights of good and of bad answers by which both count the same in all, with a mean of 1 over the rows."""
    n, good = len(examples), sum(example["label"] for example in examples)
    return n / (2 * max(good, 1)), n / (2 * max(n - good, 1))


def _collate_thumbs(pad_id: int) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
    """Rows -> one batch as KTOTrainer reads it."""
    import torch

    def collate(rows: list[Example]) -> dict[str, torch.Tensor]:
        batch = {"label": torch.tensor([row["label"] for row in rows])}
        for side in ("", "KL_"):
            padded = pad_examples([{name: row[f"{side}{name}"] for name in ("input_ids", "labels")} for row in rows], pad_id)
            padded["completion_mask"] = (padded.pop("labels") != IGNORED).long()
            batch |= {f"{side}{name}": values for name, values in padded.items()}
        return batch | {name: torch.tensor([row[name] for row in rows]) for name in KNOWN if name in rows[0]}

    return collate
