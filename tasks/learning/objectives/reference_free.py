"""What the preference objectives without a reference share: their trainer, made of one of TRL's, on pairs that are tokenized."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.learning.objectives.preference import sides_of
from tasks.learning.trainer import FitPlan, checkpointing_trainer, trainer_arguments
from tasks.problems.padding import pad_examples

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import Trainer, TrainingArguments

    from tasks.problems.types import EncodedRows, Example, Network

SILENT = "TRL_EXPERIMENTAL_SILENCE"  # without this variable TRL warns that these trainers may change: the lock holds their version


class TokenizedPairs(list["Example"]):
    """Rows that are tokenized already, so that `map`, by which a trainer of TRL would tokenize them, changes nothing."""

    def map(self, *_: object, **__: object) -> TokenizedPairs:
        return self


def arguments_of(plan: FitPlan, network: Network, rows: EncodedRows) -> dict[str, Any]:
    """The arguments that a config of these trainers has beside its loss."""
    return {
        **trainer_arguments(plan),
        "eval_strategy": "steps" if rows.held_out else "no",
        "max_length": network.spec.max_length,  # cut already, as for scoring
        "gradient_checkpointing": False,
    }


def trainer_of(parent: type[Trainer], settings: TrainingArguments, network: Network, rows: EncodedRows) -> Trainer:
    """A trainer of TRL that compares the answers of pairs (`parent`), reading our tokens and likelihoods."""
    trainer: Trainer = checkpointing_trainer(_with_own_likelihoods(parent))(
        model=network.model,
        args=settings,
        train_dataset=TokenizedPairs(rows.train),
        eval_dataset=TokenizedPairs(rows.held_out) if rows.held_out else None,
        processing_class=network.tokenizer,
        data_collator=lambda pairs: pad_examples(sides_of(pairs), network.pad_id),
    )
    trainer.use_dpo_data_collator = True  # else it warns of a collator that is not its own, for each batch
    return trainer


def _with_own_likelihoods(parent: type[Trainer]) -> type[Trainer]:
    class PairsTrainer(parent):  # type: ignore[misc]
        """A trainer whose losses are a mean over rows, whatever their lengths: in smaller pieces of a batch they are the same."""

        def concatenated_forward(self, model: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
            """Of the preferred and the rejected answers: mean log-likelihoods a token, in nats, and logits; the first's mean loss.

            The loss is of answers alone and a mean of rows, as in the papers; TRL's own is of the prompt too, a mean of tokens.
            """
            routers = {"output_router_logits": True} if self.aux_loss_enabled else {}
            outputs = model(batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False, **routers)
            chosen, rejected = self.get_batch_logps(outputs.logits, batch["labels"], average_log_prob=True).chunk(2)
            routing = (outputs.aux_loss,) if self.aux_loss_enabled else ()
            return (chosen, rejected, *outputs.logits.chunk(2), -chosen.mean(), *routing)

        def prediction_step(self, model: nn.Module, inputs: dict[str, torch.Tensor], *args: Any, **settings: Any) -> Any:
            return super().prediction_step(model, self._prepare_inputs(inputs), *args, **settings)

    return PairsTrainer
