"""The checkpoints of a training: which of them a resumed training starts from, and how many stay."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tasks.common.files import is_valid, remove_unfinished

CHECKPOINTS_KEPT = 2  # the newest, and one to fall back on
# Training that resumes without one of these goes on silently with other weights than an uninterrupted one.
REQUIRED = frozenset({"trainable.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"})


def newest_valid(folder: Path, notice: Callable[[str], None]) -> Path | None:
    """The checkpoint to resume from; a damaged one is dropped, saying so, in favour of the one before."""
    remove_unfinished(folder, ".*.tmp")
    for checkpoint in reversed(in_order(folder)):
        fault = is_valid(checkpoint, REQUIRED)
        if fault is None:
            return checkpoint
        notice(f"checkpoint {checkpoint.name}: {fault}; falling back to the one before it")
        shutil.rmtree(checkpoint)
    return None


def in_order(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted(folder.glob("checkpoint-*"), key=step_of) if folder.is_dir() else []


def step_of(checkpoint: Path) -> int:
    """The optimizer step that a checkpoint was written after."""
    return int(checkpoint.name.rpartition("-")[2])


def keep_newest(folder: Path) -> None:
    """Drop all but the last CHECKPOINTS_KEPT."""
    for checkpoint in in_order(folder)[:-CHECKPOINTS_KEPT]:
        shutil.rmtree(checkpoint)
