"""What the objectives with a reference share: trainers of TRL on tokenized rows, whose reference is the start, scored once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.common.processes import environment_variable

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer

    from tasks.problems.types import Network


def tokenized_trainer(parent: type[Trainer]) -> type[Trainer]:
    """A trainer of TRL on rows that are tokenized already, so that training and scoring see the same tokens."""

    class TokenizedTrainer(parent):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
            return dataset

        def _precompute_ref_logps(self, *args: Any) -> Dataset:
            with environment_variable("TQDM_DISABLE", "1"):  # a bar of its own would be drawn into ours
                return super()._precompute_ref_logps(*args)

    return TokenizedTrainer


def drop_reference(network: Network) -> None:
    """Delete the copy of the adapter that served as the reference, once its likelihoods are known."""
    if "ref" in getattr(network.model, "peft_config", {}):
        network.model.delete_adapter("ref")
