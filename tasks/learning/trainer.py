"""Hugging Face's Trainer with checkpoints that are whole, batches of like length, and the detection of a collapse."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import InfraError
from configs.schema import Training
from tasks.common.files import atomic_folder
from tasks.learning.batching import LengthBuckets
from tasks.learning.checkpoints import keep_newest
from tasks.learning.collapse import CollapsedError
from tasks.learning.device import Numerics
from tasks.learning.folds import FoldAnswers
from tasks.learning.rank_schedule import load_moved, save_moved
from tasks.problems.classifier import HEAD

if TYPE_CHECKING:
    from torch import Tensor, nn, optim
    from transformers import Trainer

HEAD_FACTOR, HEAD_RATE = 10, 1e-2  # a new head's rate: so many times the others', at the most that
LOG_EVERY = 10  # steps, at the most
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 250, 4, 12
LOG_ENTRIES = 30  # of a whole training, at the least where it has as many steps


@dataclass(frozen=True)
class EarlierFits:
    """The earlier fits of one training: log entries by step, steps, seconds, why it began anew."""

    history: tuple[dict[str, float], ...] = ()
    steps: int = 0
    seconds: float = 0.0
    restart: str = ""

    def followed_by(self, history: Sequence[Mapping[str, float]], steps: int, seconds: float, restart: str = "") -> EarlierFits:
        """With one more fit, whose own steps begin at 1."""
        later = ({name: float(value) for name, value in entry.items()} for entry in history)
        moved = tuple({**entry, "step": entry["step"] + self.steps} for entry in later)
        reasons = "; ".join(part for part in (self.restart, restart) if part)
        return EarlierFits((*self.history, *moved), self.steps + steps, self.seconds + seconds, reasons)


@dataclass(frozen=True)
class FitPlan:
    """The inputs of one fit beside the network.

    `lengths` are token counts of the training rows; `micro` rows are held in memory at once; checkpoints go to `run`, the result to
    `result`/trained. `last_epoch` ends a fit before its schedule does. `untrained` is the loss of an answer that is the same for
    every row, None where no such answer is known, and `constant_answer` its cross-entropy, where training minimises another loss.
    `tells_apart` checks whether the network answers more than one class. A temperature draws a classifier's answers towards the
    class `shares` of the training rows. `folds` help the held-out rows to choose an epoch; a fit that is a fold itself writes its
    answers after each epoch to `answers`.
    """

    training: Training
    learning_rate: float
    lengths: Sequence[int]
    micro: int
    numerics: Numerics
    run: Path
    result: Path
    last_epoch: int | None = None
    untrained: float | None = None
    constant_answer: float | None = None
    tells_apart: Callable[[], bool] | None = None
    earlier: EarlierFits = EarlierFits()
    shares: tuple[float, ...] = ()
    folds: FoldAnswers | None = None
    answers: Path | None = None

    @property
    def loss_to_beat(self) -> float | None:
        """The loss of held-out rows that an epoch has to beat: that of an answer which is the same for every row."""
        return self.untrained if self.constant_answer is None else self.constant_answer

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.lengths) / self.training.batch_size)

    @property
    def epochs(self) -> int:
        """Epochs of the whole schedule."""
        return self.training.epochs or default_epochs(self.steps_per_epoch)

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole schedule."""
        return self.steps_per_epoch * self.epochs

    @property
    def last_step(self) -> int:
        """Optimizer steps until this fit ends."""
        return self.steps_per_epoch * (self.last_epoch or self.epochs)

    @property
    def log_every(self) -> int:
        """Steps between two entries of the log: a divisor of those between checkpoints, which must not cut a mean in two."""
        most = max(1, min(LOG_EVERY, self.steps // LOG_ENTRIES))
        return max(step for step in range(1, most + 1) if self.training.checkpoint_every % step == 0)

    @property
    def entries(self) -> int:
        """Training losses that a fit of the whole schedule logs."""
        return self.steps // self.log_every


def default_epochs(steps_per_epoch: int) -> int:
    """As many epochs as make STEPS optimizer steps, within bounds: few rows need to be seen more often than many."""
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(STEPS / steps_per_epoch)))


def trainer_arguments(plan: FitPlan) -> dict[str, object]:
    """The Trainer's arguments that follow from the config; the same for every problem."""
    training = plan.training
    return {
        "output_dir": str(plan.run),
        "per_device_train_batch_size": plan.micro,
        "per_device_eval_batch_size": max(plan.micro, 32),
        "gradient_accumulation_steps": math.ceil(training.batch_size / plan.micro),
        "num_train_epochs": plan.epochs,
        "learning_rate": plan.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if training.schedule == "constant" else training.schedule,
        "warmup_steps": round(training.warmup * plan.steps),
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "optim": "adamw_torch_fused",
        "bf16": plan.numerics.dtype == "bf16",
        "use_cpu": plan.numerics.device == "cpu",
        "seed": training.seed,
        "save_strategy": "steps",
        "save_steps": training.checkpoint_every,
        "logging_steps": plan.log_every,
        "logging_nan_inf_filter": False,
        "eval_steps": plan.steps_per_epoch,
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": plan.numerics.device == "cuda",
    }


def checkpointing_trainer(parent: type[Trainer]) -> type[Trainer]:
    """A Trainer class whose checkpoints are whole or absent, whose batches are LengthBuckets, whose head learns at its own rate."""
    from torch.utils.data import DataLoader

    class CheckpointingTrainer(parent):  # type: ignore[misc]
        plan: FitPlan
        aside: Path | None = None
        optimizer: optim.Optimizer | None

        def get_train_dataloader(self) -> Any:
            training = self.plan.training
            batches = LengthBuckets(
                self.plan.lengths, training.batch_size, self.plan.micro, training.seed, lambda: int(self.state.epoch or 0),
                buckets=training.length_buckets,
            )  # fmt: skip
            return self.accelerator.prepare(DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator))

        def create_optimizer(self, model: nn.Module | None = None) -> optim.Optimizer:
            if self.optimizer is None:
                kind, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model)
                self.optimizer = kind(_parameter_groups(self, self.plan.training), **settings)
            return self.optimizer

        def training_step(self, model: nn.Module, inputs: dict[str, Tensor], num_items_in_batch: Tensor | None = None) -> Tensor:
            loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
            if not loss.isfinite():
                raise CollapsedError(f"the loss is {float(loss)}", self.state.global_step + 1, self.state.log_history)
            return loss

        def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
            Path(str(output_dir)).mkdir(parents=True, exist_ok=True)
            save_moved(self.model, Path(str(output_dir)))

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
            load_moved(self.model, Path(resume_from_checkpoint))

        def _get_output_dir(self, trial: object) -> str:
            return str(self.aside or self.plan.run)

        def _save_checkpoint(self, model: nn.Module, trial: object) -> None:
            name = f"checkpoint-{self.state.global_step}"
            try:
                with disk_errors(self.plan.run), atomic_folder(self.plan.run / name) as aside:
                    self.aside = aside
                    super()._save_checkpoint(model, trial)
                    for file in (aside / name).iterdir():
                        file.rename(aside / file.name)
                    (aside / name).rmdir()
            finally:
                self.aside = None
            keep_newest(self.plan.run)

    return CheckpointingTrainer


def _parameter_groups(trainer: Trainer, training: Training) -> list[dict[str, object]]:
    """Parameter groups: head or not, decayed or not."""
    decayed = set(trainer.get_decay_parameter_names(trainer.model))
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, value in trainer.model.named_parameters():
        if value.requires_grad:
            groups.setdefault((name.startswith(f"{HEAD}."), name in decayed), []).append(value)
    rate, factor = trainer.args.learning_rate, training.head_learning_rate_factor
    head_rate = rate * factor if factor is not None else min(HEAD_FACTOR * rate, HEAD_RATE)
    return [
        {
            "params": values,
            "lr": head_rate if head else rate,
            "weight_decay": training.weight_decay * decay,
        }
        for (head, decay), values in groups.items()
    ]


@contextmanager
def disk_errors(run: Path) -> Iterator[None]:
    """Turn a full or failing disk within the block into an InfraError; torch reports it by RuntimeError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise InfraError(
            f"could not write to {run} ({error}): free some space, or set TUNEKEEPER_HOME to another disk; run again to go on"
        ) from error
