"""One fit: Hugging Face's Trainer, made to keep its word about checkpoints, seeds, memory and signals."""

from __future__ import annotations

import hashlib
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from configs.errors import InfraError, InputError
from configs.schema import Training
from tasks.learning.adapters import load_trainable, save_trainable, trainable
from tasks.learning.batching import LengthBuckets
from tasks.learning.checkpoints import atomic_folder, is_valid, keep_newest, newest_valid
from tasks.learning.device import Numerics, peak_memory
from tasks.learning.network import TRAINABLE, Network, save_spec
from tasks.problems.text_classification import HEAD

LOG_EVERY = 10
RESULT, STATE = "training.json", "trainer_state.json"


@dataclass(frozen=True)
class Listener:
    """Whom a fit tells how it goes: (step, values), (step, of how many), and a sentence."""

    log: Callable[[int, dict[str, float]], None]
    progress: Callable[[int, int], None]
    notice: Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What one fit needs beside the network: `lengths` are token counts, `micro` rows are held in memory at once."""

    training: Training
    learning_rate: float
    lengths: Sequence[int]
    micro: int
    numerics: Numerics
    run: Path


@dataclass(frozen=True)
class Trained:
    """A finished training on disk; `weights` is the sha256 of its trainable.safetensors, `history` the log entries by step."""

    folder: Path
    weights: str
    steps: int
    seconds: float
    peak_memory: int
    micro: int
    numerics: Numerics
    history: tuple[dict[str, float], ...]


class StoppedEarlyError(Exception):
    """A signal asked training to stop; a checkpoint is on disk."""


def finished(run: Path) -> Trained | None:
    """The training that an earlier run of the same train-key completed, if it is whole."""
    folder = run / "trained"
    if is_valid(folder, frozenset({TRAINABLE, RESULT})) is not None:
        return None
    values = json.loads((folder / RESULT).read_text())
    return Trained(**{**values, "folder": folder, "numerics": Numerics(**values["numerics"]), "history": tuple(values["history"])})


def arguments(plan: Plan) -> dict[str, Any]:
    """The Trainer's arguments that follow from the config; the same for every problem."""
    training = plan.training
    per_epoch = math.ceil(len(plan.lengths) / training.batch_size)
    every = training.checkpoint_every
    return {
        "output_dir": str(plan.run),
        "per_device_train_batch_size": plan.micro,
        "per_device_eval_batch_size": max(plan.micro, 32),
        "gradient_accumulation_steps": math.ceil(training.batch_size / plan.micro),
        "num_train_epochs": training.epochs,
        "learning_rate": plan.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if training.schedule == "constant" else training.schedule,
        "warmup_steps": round(training.warmup * per_epoch * training.epochs),
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "optim": "adamw_torch_fused",
        "bf16": plan.numerics.dtype == "bf16",
        "use_cpu": plan.numerics.device == "cpu",
        "seed": training.seed,
        "save_strategy": "steps",
        "save_steps": every,
        "logging_steps": max(step for step in range(1, LOG_EVERY + 1) if every % step == 0),
        "logging_nan_inf_filter": False,
        "eval_steps": per_epoch,
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": plan.numerics.device == "cuda",
    }


def keeping(parent: Any) -> Any:
    """A Trainer class whose checkpoints are whole or absent, whose batches are LengthBuckets, whose head learns at its own rate."""
    from torch.utils.data import DataLoader

    class Keeper(parent):  # type: ignore[misc]
        plan: Plan
        aside: Path | None = None
        optimizer: Any

        def get_train_dataloader(self) -> Any:
            training = self.plan.training
            batches = LengthBuckets(
                self.plan.lengths, training.batch_size, self.plan.micro, training.seed, lambda: int(self.state.epoch or 0),
                buckets=training.length_buckets,
            )  # fmt: skip
            return self.accelerator.prepare(DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator))

        def create_optimizer(self, model: Any = None) -> Any:
            if self.optimizer is None:
                kind, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model)
                self.optimizer = kind(_groups(self, self.plan.training), **settings)
            return self.optimizer

        def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
            loss = super().training_step(model, inputs, num_items_in_batch)
            if not loss.isfinite():
                raise InputError(_diverged(f"loss is {float(loss)}", self.state.global_step + 1, self._get_learning_rate()))
            return loss

        def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
            Path(str(output_dir)).mkdir(parents=True, exist_ok=True)
            save_trainable(self.model, Path(str(output_dir)) / TRAINABLE)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            load_trainable(self.model, Path(resume_from_checkpoint) / TRAINABLE)

        def _get_output_dir(self, trial: Any) -> str:
            return str(self.aside or self.plan.run)

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            name = f"checkpoint-{self.state.global_step}"
            try:
                with _writing(self.plan.run), atomic_folder(self.plan.run / name) as aside:
                    self.aside = aside
                    super()._save_checkpoint(model, trial)
                    for file in (aside / name).iterdir():
                        file.rename(aside / file.name)
                    (aside / name).rmdir()
            finally:
                self.aside = None
            keep_newest(self.plan.run)

    return Keeper


def fit(trainer: Any, network: Network, plan: Plan, listener: Listener) -> Trained:
    """Train to the end, from the newest valid checkpoint where there is one; the result appears whole in `run/trained`."""
    plan.run.mkdir(parents=True, exist_ok=True)
    start = newest_valid(plan.run, listener.notice)
    if start is not None:
        listener.notice(f"going on from {start.name}")
    logged = _logged(start)
    began, before = time.monotonic(), max((float(entry.get("seconds", 0.0)) for entry in logged), default=0.0)
    from transformers import PrinterCallback, TrainerState

    trainer.remove_callback(PrinterCallback)
    with _signals() as stop:
        if start is not None and _has_learned(logged, plan.training):  # killed after it had stopped early
            trainer.state = TrainerState.load_from_json(str(start / STATE))
        else:
            trainer.add_callback(_watcher(listener, stop, plan, began, before))
            trainer.train(resume_from_checkpoint=str(start) if start else None)
    if stop.is_set() and trainer.state.global_step < trainer.state.max_steps:
        raise StoppedEarlyError(
            f"stopped by a signal at step {trainer.state.global_step}; a checkpoint is kept: run the same command to go on"
        )
    best = plan.run / "best"
    if plan.training.early_stopping is not None and best.is_dir():
        load_trainable(network.model, best / TRAINABLE)
    return _finish(trainer, network, plan, before + time.monotonic() - began)


def _finish(trainer: Any, network: Network, plan: Plan, seconds: float) -> Trained:
    history = tuple({k: float(v) for k, v in entry.items()} for entry in trainer.state.log_history)
    if not all(bool(value.isfinite().all()) for value in trainable(network.model).values()):  # no loss was seen after the last step
        raise InputError(_diverged("weights are not finite", trainer.state.global_step, trainer.args.learning_rate))
    with _writing(plan.run), atomic_folder(plan.run / "trained") as aside:
        save_trainable(network.model, aside / TRAINABLE)
        save_spec(network.spec, aside)
        weights = hashlib.sha256((aside / TRAINABLE).read_bytes()).hexdigest()
        peak = peak_memory(plan.numerics)
        result = Trained(aside, weights, trainer.state.global_step, seconds, peak, plan.micro, plan.numerics, history)
        (aside / RESULT).write_text(json.dumps({**asdict(result), "folder": None}))
    done = finished(plan.run)
    if done is None:
        raise InfraError(f"{plan.run / 'trained'} was written and does not read back: check the disk")
    return done


def _groups(trainer: Any, training: Training) -> list[dict[str, Any]]:
    """Parameter groups: head or not, decayed or not."""
    decayed = set(trainer.get_decay_parameter_names(trainer.model))
    groups: dict[tuple[bool, bool], list[Any]] = {}
    for name, value in trainer.model.named_parameters():
        if value.requires_grad:
            groups.setdefault((name.startswith(f"{HEAD}."), name in decayed), []).append(value)
    rate = trainer.args.learning_rate
    return [
        {
            "params": values,
            "lr": rate * (training.head_learning_rate_factor if head else 1),
            "weight_decay": training.weight_decay * decay,
        }
        for (head, decay), values in groups.items()
    ]


def _watcher(listener: Listener, stop: threading.Event, plan: Plan, began: float, before: float) -> Any:
    """The one callback: passes on what happens, minds signals and early stopping."""
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            listener.progress(state.global_step, state.max_steps)
            if stop.is_set():
                control.should_save = control.should_log = control.should_training_stop = True

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
            state.log_history[-1]["seconds"] = before + time.monotonic() - began
            listener.log(state.global_step, {name: float(value) for name, value in logs.items()})

        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if plan.training.early_stopping is None:
                return
            if _since_best(state.log_history) == 0:
                with _writing(plan.run), atomic_folder(plan.run / "best") as aside:
                    save_trainable(self.model, aside / TRAINABLE)
            elif _has_learned(state.log_history, plan.training):
                listener.notice(f"stopped early: the validation loss has not fallen for {plan.training.early_stopping} epochs")
                control.should_training_stop = True

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            self.model = model

    return Watcher()


def _logged(checkpoint: Path | None) -> list[dict[str, float]]:
    """What was logged up to a checkpoint."""
    if checkpoint is None:
        return []
    entries: list[dict[str, float]] = json.loads((checkpoint / STATE).read_text())["log_history"]
    return entries


def _since_best(logged: Sequence[dict[str, float]]) -> int:
    """Evaluations since the one with the lowest validation loss."""
    losses = [entry["eval_loss"] for entry in logged if "eval_loss" in entry]
    return len(losses) - 1 - losses.index(min(losses)) if losses else 0


def _has_learned(logged: Sequence[dict[str, float]], training: Training) -> bool:
    """Whether early stopping ends the training here."""
    return training.early_stopping is not None and _since_best(logged) >= training.early_stopping


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Turn SIGTERM and a first Ctrl-C into a request to stop after this step; a second one acts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {which: signal.getsignal(which) for which in (signal.SIGTERM, signal.SIGINT)}

    def ask(which: int, _: Any) -> None:
        stop.set()
        signal.signal(which, before[signal.Signals(which)])

    for which in before:
        signal.signal(which, ask)
    try:
        yield stop
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


def _diverged(what: str, step: int, rate: float) -> str:
    return (
        f"training diverged: the {what} at step {step} (learning rate {rate:.2g}); nothing was registered. "
        "Lower training.learning_rate, raise training.warmup, or look at the rows of this step for broken texts"
    )


@contextmanager
def _writing(run: Path) -> Iterator[None]:
    """A disk that does not take what the block writes is the world's fault; torch says so by RuntimeError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise InfraError(
            f"could not write to {run} ({error}): free some space, or set TUNEKEEPER_HOME to another disk; run again to go on"
        ) from error
