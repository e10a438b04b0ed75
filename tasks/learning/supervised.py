"""The supervised objective: rows with the answer in them, for every problem."""

from __future__ import annotations

import gc
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, assert_never

import pandas as pd

from configs.errors import InfraError, InputError
from configs.schema import Supervised, Training
from tasks.learning import adapters
from tasks.learning.device import Numerics, check_fits, numerics
from tasks.learning.fit import Listener, Plan, Trained, arguments, finished, fit, keeping
from tasks.learning.network import TRAINABLE, Network, Spec, build, load_tokenizer, outline, read_spec, refuse_blind
from tasks.problems import text_classification, text_generation

MICRO = "micro"


def train(
    spec: Spec, base: Path, rows: pd.DataFrame, held_out: pd.DataFrame, objective: Supervised, training: Training, run: Path,
    listener: Listener, start: Path | None = None,
) -> Trained:  # fmt: skip
    """Fit to `rows`, watching the loss on `held_out` (may be empty); out of memory, once more with a quarter at a time.

    The effective batch stays `training.batch_size`. A run that was completed before is returned as it is. `start` is the
    folder of an earlier training whose weights this one starts from. Raises InputError if the loss is no number, InfraError
    if memory or disk run out.
    """
    done = finished(run)
    if done is not None:
        return done
    how = numerics(training.precision)
    sizes = _sizes(training.batch_size, run / MICRO)
    for micro in sizes:
        try:
            return _attempt(spec, base, rows, held_out, objective, training, run, listener, start, micro, how)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            if micro == sizes[-1]:
                raise InfraError(
                    f"out of memory with {micro} rows at once on {how.hardware} ({_first_line(error)}): lower "
                    "model.max_length, use adapter.kind=lora or a machine with more memory; run again to go on"
                ) from error
            listener.notice(f"out of memory with {micro} rows at once; once more with {sizes[-1]} and gradient accumulation")
            run.mkdir(parents=True, exist_ok=True)
            (run / MICRO).write_text(str(sizes[-1]))  # whoever resumes goes on in the same pieces, and to the same weights
        gc.collect()
    raise AssertionError("unreachable")


def _sizes(batch: int, noted: Path) -> tuple[int, ...]:
    """How many rows to hold in memory at once, in the order to be tried; after a kill, what was found to fit."""
    found = noted.read_text() if noted.is_file() else ""
    return (int(found),) if found.isdigit() else tuple(dict.fromkeys((batch, _smaller(batch))))


def _attempt(
    spec: Spec, base: Path, rows: pd.DataFrame, held_out: pd.DataFrame, objective: Supervised, training: Training, run: Path,
    listener: Listener, start: Path | None, micro: int, how: Numerics,
) -> Trained:  # fmt: skip
    moved, spec = _weights_of(start, spec) if start else (None, spec)
    rate = training.learning_rate or adapters.default_learning_rate(spec.moves)
    tokenizer = load_tokenizer(base)
    match spec.problem:
        case "text-classification":
            data = [_classified(tokenizer, spec, frame) for frame in (rows, held_out)]
        case "text-generation":
            data = [text_generation.encode(tokenizer, frame, spec.max_length) for frame in (rows, held_out)]
        case _:
            assert_never(spec.problem)
    lengths = [len(row["input_ids"]) for row in data[0]]
    plan = Plan(training, rate, lengths, micro, how, run)
    check_fits(outline(spec, base), micro, max(lengths), how)
    network = build(spec, base, moved)
    if start is not None:
        refuse_blind(network)
    trainer = _trainer(network, data[0], data[1], objective, plan)
    trainer.plan = plan
    return fit(trainer, network, plan, listener)


def _weights_of(start: Path, spec: Spec) -> tuple[Path, Spec]:
    """The weights to start from, and the network pooled as they were trained with.

    Those of a network with other labels, adapter or base mean something else, or do not fit.
    """
    earlier = read_spec(start)
    other = [name for name in ("problem", "adapter", "labels", "base_digest") if getattr(earlier, name) != getattr(spec, name)]
    if other:
        raise InputError(
            f"training.start: the champion has another {' and '.join(other).replace('_digest', '')} than this training, "
            "so nothing can start from its weights: set training.start=base"
        )
    return start / TRAINABLE, replace(spec, pooling=earlier.pooling)


def _trainer(
    network: Network, rows: list[dict[str, Any]], held_out: list[dict[str, Any]], objective: Supervised, plan: Plan
) -> Any:
    settings = {**arguments(plan), "eval_strategy": "steps" if held_out else "no"}
    match network.spec.problem:
        case "text-classification":
            from transformers import Trainer, TrainingArguments

            weights = _class_weights(rows, network.spec, objective)
            trainer = keeping(Trainer)(
                model=network.model,
                args=TrainingArguments(**settings, label_names=["labels"]),
                train_dataset=rows,
                eval_dataset=held_out or None,
                data_collator=text_classification.collate(network.pad_id),
                compute_loss_func=text_classification.loss(weights, objective.label_smoothing),
            )
            trainer._loss_shifts_labels = False  # one label a row: nothing is shifted, every row counts
            return trainer
        case "text-generation":
            return text_generation.sft_trainer(
                keeping, network.model, network.tokenizer, rows, held_out, network.spec.max_length,
                {**settings, "label_smoothing_factor": objective.label_smoothing},
            )  # fmt: skip
        case _:
            assert_never(network.spec.problem)


def _classified(tokenizer: Any, spec: Spec, frame: pd.DataFrame) -> list[dict[str, Any]]:
    code = {label: place for place, label in enumerate(spec.labels)}
    unknown = sorted(set(frame["target"]) - code.keys())
    if unknown:
        raise InputError(
            f"data: {len(unknown)} labels have no training row ({', '.join(unknown[:5])}): add rows, or leave them out"
        )
    ids = text_classification.encode(tokenizer, frame["text"].tolist(), spec.max_length) if len(frame) else []
    return [{"input_ids": row, "labels": code[label]} for row, label in zip(ids, frame["target"], strict=True)]


def _class_weights(rows: list[dict[str, Any]], spec: Spec, objective: Supervised) -> Any:
    if objective.class_weights == "none":
        return None
    import torch

    return torch.tensor(text_classification.class_weights([row["labels"] for row in rows], len(spec.labels)), dtype=torch.float32)


def _smaller(batch: int) -> int:
    """The largest divisor of a batch that is at most a quarter of it."""
    return max(size for size in range(1, max(2, math.ceil(batch / 4) + 1)) if batch % size == 0)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__


def _is_out_of_memory(error: BaseException) -> bool:
    """torch says it in three ways: its own class, Python's, and a RuntimeError of the CPU allocator."""
    import torch

    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "DefaultCPUAllocator" in str(error)
        or "not enough memory" in str(error)
    )
