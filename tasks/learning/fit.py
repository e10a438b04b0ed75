"""One fit: trains to the best epoch and calibrates, resumes an interrupted fit, and leaves a result that is whole or absent."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import InfraError, StoppedError
from tasks.common.files import atomic_folder, is_valid
from tasks.learning.adapters import load_trainable, save_trainable, trainable_weights
from tasks.learning.best_epoch import ONE_CLASS, best_epoch, epochs_since_best, is_over, stops_early
from tasks.learning.checkpoints import newest_valid
from tasks.learning.collapse import ASKED_FROM, CollapsedError, climbed_back, learned_nothing
from tasks.learning.device import Numerics, peak_memory
from tasks.learning.network import TRAINABLE, save_spec
from tasks.learning.rank_schedule import add_rank_callback
from tasks.learning.stop_signals import stop_on_signals
from tasks.learning.trainer import FitPlan, disk_errors
from tasks.problems.types import AnswerCalibration, Network

if TYPE_CHECKING:
    from transformers import TrainerState

RESULT, STATE, TRAINED, BEST = "training.json", "trainer_state.json", "trained", "best"


@dataclass(frozen=True)
class Listener:
    """Callbacks for a fit's progress: (step, values), (step, of how many), and a sentence."""

    log: Callable[[int, dict[str, float]], None]
    progress: Callable[[int, int], None]
    notice: Callable[[str], None]

    def after(self, steps: int) -> Listener:
        """A listener to a fit that follows others of so many steps."""
        return Listener(
            lambda step, values: self.log(step + steps, values),
            lambda step, of: self.progress(step + steps, of + steps),
            self.notice,
        )

    def of_objective(self, name: str) -> Listener:
        """A listener to a fit that others of the same training follow: its numbers are logged as `name:number`."""
        return replace(self, log=lambda step, values: self.log(step, {f"{name}:{key}": value for key, value in values.items()}))

    def with_steps_around(self, before: int, behind: int, *, silent: bool = False) -> Listener:
        """A listener to a fit amid others that are progress alone, so many steps before and behind; a silent one logs nothing."""
        return Listener(
            (lambda *_: None) if silent else self.log,
            lambda step, of: self.progress(before + step, before + of + behind),
            self.notice,
        )


@dataclass(frozen=True)
class TrainingResult:
    """A finished training on disk; `weights` is the sha256 of its trainable.safetensors, `history` the log entries by step.

    `epoch` is the one whose weights these are (0: of an earlier version, which did not record it); `temperature` calibrates a
    classifier, `thresholds` the labels of sets; `restart` says why training was begun once more at a lower `learning_rate`, if it
    was; `fold_rows` training rows, answered by networks that had not learned from them, helped to choose the epoch.
    """

    folder: Path
    weights: str
    steps: int
    seconds: float
    peak_memory: int
    micro: int
    numerics: Numerics
    history: tuple[dict[str, float], ...]
    epoch: int = 0
    learning_rate: float = 0.0
    temperature: float = 1.0
    restart: str = ""
    fold_rows: int = 0
    thresholds: tuple[float, ...] = ()


class StoppedEarlyError(StoppedError):
    """A signal asked training to stop; a checkpoint is on disk."""


def finished_fit(run: Path) -> TrainingResult | None:
    """The training that an earlier run of the same train-key completed, if it is whole."""
    folder = run / TRAINED
    if is_valid(folder, frozenset({TRAINABLE, RESULT})) is not None:
        return None
    values = json.loads((folder / RESULT).read_text())
    return TrainingResult(
        **{**values, "folder": folder, "numerics": Numerics(**values["numerics"]), "history": tuple(values["history"])}
    )


def fit_network(
    trainer: Any, network: Network, plan: FitPlan, calibrate: Callable[[Network, int], AnswerCalibration], listener: Listener
) -> TrainingResult:
    """Train to the end, from the newest valid checkpoint where there is one; the result appears whole in `plan.result`/trained.

    The weights kept are those of the best epoch on the held-out rows (see `best_epoch`), the last one's where there are none;
    `calibrate` gives the calibration of weights of an epoch. Raises CollapsedError where training goes wrong for good.
    """
    plan.run.mkdir(parents=True, exist_ok=True)
    start = newest_valid(plan.run, listener.notice)
    if start is not None:
        listener.notice(f"going on from {start.name}")
    logged = _read_log_history(start)
    began, before = time.monotonic(), max((float(entry.get("seconds", 0.0)) for entry in logged), default=0.0)
    from transformers import PrinterCallback, TrainerState

    trainer.remove_callback(PrinterCallback)
    with stop_on_signals() as stop:
        if start is not None and is_over(start, logged, plan):  # killed between its last epoch and its result
            trainer.state = TrainerState.load_from_json(str(start / STATE))
            load_trainable(network.model, start / TRAINABLE)
        else:
            trainer.add_callback(_progress_callback(listener, stop, plan, began, before))
            add_rank_callback(trainer, network.model, plan.steps)
            trainer.train(resume_from_checkpoint=str(start) if start else None)
    if stop.is_set() and trainer.state.global_step < trainer.state.max_steps:
        message = f"stopped by a signal at step {trainer.state.global_step}; a checkpoint is kept: run the same command to go on"
        raise StoppedEarlyError(message, stop.which)
    epoch = best_epoch(trainer.state.log_history, plan.loss_to_beat)
    if epoch is not None and epochs_since_best(trainer.state.log_history, plan) > 0:
        load_trainable(network.model, plan.run / BEST / TRAINABLE)
    if not all(
        bool(value.isfinite().all()) for value in trainable_weights(network.model).values()
    ):  # no loss was seen after the last step
        raise CollapsedError("the weights are not finite", trainer.state.global_step, trainer.state.log_history)
    epoch = epoch or round(trainer.state.global_step / plan.steps_per_epoch)
    trained = _finish(trainer.state, network, plan, epoch, calibrate(network, epoch), before + time.monotonic() - began)
    if stop.is_set():  # in the last step
        raise StoppedEarlyError("stopped by a signal; the training is done and kept: run the same command to go on", stop.which)
    return trained


def keep_untrained(network: Network, plan: FitPlan, calibrate: Callable[[Network, int], AnswerCalibration]) -> TrainingResult:
    """The result of a fit without a step: the network as it is, calibrated on the held-out rows."""
    from transformers import TrainerState

    plan.run.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    return _finish(TrainerState(), network, plan, 0, calibrate(network, 0), time.monotonic() - began)


def _finish(
    state: TrainerState, network: Network, plan: FitPlan, epoch: int, calibration: AnswerCalibration, seconds: float
) -> TrainingResult:
    earlier = plan.earlier.followed_by(state.log_history, state.global_step, seconds)
    with disk_errors(plan.result), atomic_folder(plan.result / TRAINED) as aside:
        save_trainable(network.model, aside / TRAINABLE)
        spec = replace(network.spec, shares=plan.shares or network.spec.shares, **asdict(calibration))
        save_spec(spec, aside)
        weights = hashlib.sha256((aside / TRAINABLE).read_bytes()).hexdigest()
        result = TrainingResult(
            aside, weights, earlier.steps, earlier.seconds, peak_memory(plan.numerics), plan.micro, plan.numerics, earlier.history,
            epoch, plan.learning_rate, calibration.temperature, earlier.restart, len(plan.folds.targets) if plan.folds else 0,
            calibration.thresholds,
        )  # fmt: skip
        (aside / RESULT).write_text(json.dumps({**asdict(result), "folder": None}))
    done = finished_fit(plan.result)
    if done is None:
        raise InfraError(f"{plan.result / TRAINED} was written and does not read back: check the disk")
    return done


def _progress_callback(listener: Listener, stop: threading.Event, plan: FitPlan, began: float, before: float) -> Any:
    """The one callback: reports progress, keeps the best epoch, and ends a fit on signals, early stopping and collapse."""
    from transformers import TrainerCallback

    class ProgressCallback(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: object, state: Any, control: Any, **_: object) -> None:
            listener.progress(state.global_step, plan.last_step)
            if stop.is_set():
                control.should_save = control.should_log = control.should_training_stop = True
            if state.global_step >= plan.last_step:
                control.should_training_stop = True
            if _is_collapse_check_due(state.global_step, plan) and _answers_one_class(state.log_history, plan):
                raise CollapsedError("the network answers one class whatever it reads", state.global_step, state.log_history)

        def on_log(self, args: object, state: Any, control: Any, logs: dict[str, float], **_: object) -> None:
            state.log_history[-1]["seconds"] = before + time.monotonic() - began
            if "eval_loss" in logs and plan.tells_apart is not None:
                state.log_history[-1][ONE_CLASS] = float(not plan.tells_apart())
            listener.log(state.global_step, {name: float(value) for name, value in logs.items()})
            if "loss" in logs and (reason := climbed_back(_losses(state.log_history), plan.entries, plan.untrained)):
                raise CollapsedError(reason, state.global_step, state.log_history)

        def on_evaluate(self, args: object, state: Any, control: Any, **_: object) -> None:
            if epochs_since_best(state.log_history, plan) == 0 and state.global_step < plan.last_step:
                with disk_errors(plan.run), atomic_folder(plan.run / BEST) as aside:
                    save_trainable(self.model, aside / TRAINABLE)
            elif stops_early(state.log_history, plan) and state.global_step < plan.last_step:
                listener.notice(f"stopped early: the validation loss has not fallen for {plan.training.early_stopping} epochs")
                control.should_training_stop = True

        def on_train_begin(self, args: object, state: object, control: object, model: Any = None, **_: object) -> None:
            self.model = model

    return ProgressCallback()


def _is_collapse_check_due(step: int, plan: FitPlan) -> bool:
    """Whether to check at this step that the network tells classes apart: after half the steps, then after every epoch."""
    half = -(-plan.steps // 2)
    return half >= ASKED_FROM and (step == half or (step > half and step % plan.steps_per_epoch == 0))


def _answers_one_class(logged: Sequence[dict[str, float]], plan: FitPlan) -> bool:
    """Whether the network has learned nothing so far, and answers one class to training rows of several."""
    if plan.tells_apart is None or plan.untrained is None or not learned_nothing(_losses(logged), plan.entries, plan.untrained):
        return False
    return not plan.tells_apart()


def _losses(logged: Sequence[dict[str, float]]) -> list[float]:
    return [entry["loss"] for entry in logged if "loss" in entry]


def _read_log_history(checkpoint: Path | None) -> list[dict[str, float]]:
    """The log entries up to a checkpoint."""
    if checkpoint is None:
        return []
    entries: list[dict[str, float]] = json.loads((checkpoint / STATE).read_text())["log_history"]
    return entries
