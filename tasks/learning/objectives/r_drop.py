"""R-Drop: two passes over each row, with other dropout, have to answer alike (Liang et al. 2021, arXiv:2106.14448)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from configs.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import Trainer


def r_drop_trainer(parent: type[Trainer], weight: float) -> type[Trainer]:
    """A Trainer whose loss of training rows is the mean of two passes' and `weight` times half the mean divergence of both."""

    class RDropTrainer(parent):  # type: ignore[misc]
        def compute_loss(
            self, model: nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False,
            num_items_in_batch: Tensor | int | None = None,
        ) -> Any:  # fmt: skip
            if return_outputs or not model.training:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            passes = [super(RDropTrainer, self).compute_loss(model, dict(inputs), True, num_items_in_batch) for _ in range(2)]
            (loss, outputs), (other_loss, other_outputs) = passes
            apart = divergence(outputs["logits"], other_outputs["logits"])
            rows = len(outputs["logits"]) if num_items_in_batch is None else num_items_in_batch
            return (loss + other_loss) / 2 + weight * apart / (2 * rows)

    return RDropTrainer


def divergence(logits: Tensor, others: Tensor) -> Tensor:
    """The mean of both Kullback-Leibler divergences of two answers, in nats, summed over rows; both are (rows, classes)."""
    logs, other_logs = logits.log_softmax(-1), others.log_softmax(-1)
    return ((logs.exp() - other_logs.exp()) * (logs - other_logs)).sum() / 2


def check_dropout(model: nn.Module, base: str) -> None:
    """InputError where no dropout makes two passes of a network differ."""
    from torch import nn

    if not any(isinstance(part, nn.Dropout) and part.p > 0 for part in model.modules()):
        raise InputError(
            f"objective.r_drop: {base} has no dropout, so that two passes are one: set adapter.dropout (of lora and its like), or "
            "drop r_drop"
        )
