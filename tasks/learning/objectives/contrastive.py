"""The contrastive objective: texts of one class become alike, those of two classes unlike (SetFit, Tunstall et al. 2022,
arXiv:2209.11055).

From few rows it makes many pairs. A head is not trained: the objective that follows begins one, best as a logistic regression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.learning.objectives.base import Objective
from tasks.learning.trainer import FitPlan, checkpointing_trainer, trainer_arguments
from tasks.problems import problem_of
from tasks.problems.padding import pad_tokens
from tasks.problems.types import Example

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase, Trainer

    from configs.schema import Contrastive
    from tasks.problems.seq2seq import PairedTokenizer
    from tasks.problems.types import EncodedRows, Network, Spec

MOST_PAIRS = 20_000  # of one training: where there are more rows, fewer pairs are made of each


class ContrastiveObjective(Objective):
    """The squared difference of each pair's cosine from 1, of one class, or 0, of two."""

    sequences_per_row = 2

    def __init__(self, settings: Contrastive) -> None:
        self.settings = settings

    def check_rows(self, spec: Spec, held_out: pd.DataFrame) -> None:
        """Any two rows are a pair."""

    def encode_rows(self, tokenizer: PreTrainedTokenizerBase | PairedTokenizer, spec: Spec, rows: pd.DataFrame) -> list[Example]:
        """Pairs of rows: `first` and `second` token ids, `labels` 1.0 where both have one class, else 0.0."""
        problem = problem_of(spec.problem)
        encoded = problem.encode_rows(tokenizer, spec, problem.read_rows(spec, rows))
        pairs = draw_pairs(np.array([row["labels"] for row in encoded]), self.settings.pairs_per_row, spec.seed)
        return [_pair_example(encoded[first]["input_ids"], encoded[second]["input_ids"], same) for first, second, same in pairs]

    def make_trainer(self, network: Network, rows: EncodedRows, plan: FitPlan) -> Trainer:
        from transformers import Trainer, TrainingArguments

        settings = {**trainer_arguments(plan), "eval_strategy": "steps" if rows.held_out else "no"}
        return checkpointing_trainer(_cosine_trainer(Trainer))(
            model=network.model,
            args=TrainingArguments(**settings, label_names=["labels"]),
            train_dataset=rows.train,
            eval_dataset=rows.held_out or None,
            data_collator=_collate_pairs(network.pad_id),
            compute_loss_func=cosine_loss,
        )


def draw_pairs(classes: npt.NDArray[np.int64], pairs_per_row: int, seed: int) -> list[tuple[int, int, bool]]:
    """(row, other row, whether both have one class): for each row as many partners of its class as of others, drawn by the seed.

    A row without a partner of one kind has none of it; a pair is drawn again rather than left out.
    """
    draw = np.random.default_rng(seed)
    each = max(1, min(pairs_per_row, MOST_PAIRS // max(1, 2 * len(classes))))
    pairs = []
    for row, own in enumerate(classes):
        same = np.flatnonzero(classes == own)
        for partners, alike in ((same[same != row], True), (np.flatnonzero(classes != own), False)):
            if len(partners):
                pairs += [(row, int(other), alike) for other in draw.choice(partners, each)]
    return pairs


def cosine_loss(outputs: dict[str, Tensor], labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
    """The squared differences of cosines and labels, summed over pairs and divided by those of the accumulated batch."""
    pairs = ((outputs["logits"] - labels) ** 2).sum()
    return pairs / (len(labels) if num_items_in_batch is None else num_items_in_batch)


def _pair_example(first: list[int], second: list[int], same: bool) -> Example:
    longer = max(first, second, key=len)
    return {"input_ids": longer, "first": first, "second": second, "labels": float(same)}


def _collate_pairs(pad_id: int) -> Callable[[list[Example]], dict[str, torch.Tensor]]:
    """Pairs -> one batch: the first texts of all, then the second ones."""
    import torch

    def collate(pairs: list[Example]) -> dict[str, torch.Tensor]:
        padded = pad_tokens([pair[side] for side in ("first", "second") for pair in pairs], pad_id)
        return {**padded, "labels": torch.tensor([pair["labels"] for pair in pairs])}

    return collate


def _cosine_trainer(parent: type[Trainer]) -> type[Trainer]:
    """A Trainer whose network's answer to a pair is the cosine of its texts' vectors."""
    from torch.nn.functional import cosine_similarity

    class CosineTrainer(parent):  # type: ignore[misc]
        def compute_loss(
            self, model: nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False,
            num_items_in_batch: Tensor | int | None = None,
        ) -> Any:  # fmt: skip
            vectors = model.embed(inputs["input_ids"], inputs["attention_mask"]).float()  # type: ignore[operator]
            first, second = vectors.chunk(2)
            outputs = {"logits": cosine_similarity(first, second)}
            loss = self.compute_loss_func(outputs, inputs["labels"], num_items_in_batch)
            return (loss, outputs) if return_outputs else loss

    return CosineTrainer
