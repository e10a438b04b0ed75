"""Leftovers of dead processes: the record that every finder of `reconcile` yields, and the finders on disk.

A finder only looks; each leftover carries the act that puts it right, which looks again before it acts.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tasks.common.files import is_valid
from tasks.common.home import Home
from tasks.common.locks import take_lock

OLD_SECONDS = 3600.0  # younger leftovers may be a living process's, between two of its steps
ASIDES = ("*/.*.tmp", "*/*/.*.tmp", "*/*/*/.*.tmp")  # atomic_folder's
WORKSPACES = ("work/*", "snapshots/sealing-*")  # workspace's
HALF_KEY = re.compile(r"redaction\.key\.\d+\.[0-9a-f]{8}")  # as tasks/data/redaction/key.py names a key in the making


@dataclass(frozen=True)
class Leftover:
    """`kind` and `name` say what, `fault` what is wrong, `remedy` what `mend` does; without one a person has to decide.

    `spent`: its owner did not die; it is whole and no longer needed, and its room can be freed.
    """

    kind: str
    name: str
    fault: str
    remedy: str
    mend: Callable[[], object] | None = None
    spent: bool = False


def find_leftovers(home: Home, now: float | None = None) -> Iterator[Leftover]:
    """Folders and files that a killed process wrote aside: an hour old, and their lock is free."""
    before = (time.time() if now is None else now) - OLD_SECONDS
    for pattern in (*ASIDES, *WORKSPACES):
        for folder in home.path.glob(pattern):
            lock = folder / ".lock" if pattern in WORKSPACES else folder
            if folder.is_dir() and _last_written(folder) < before and is_free(lock):
                fault, remedy = f"half-written, {_size_text(folder)}, and its writer is gone", "removed"
                yield Leftover("leftover", _path_in_home(home, folder), fault, remedy, partial(_remove_unlocked, folder, lock))
    for file in home.path.glob("redaction.key.*"):  # a person's copy of the key has another name, and is never removed
        if HALF_KEY.fullmatch(file.name) and file.is_file() and _last_written(file) < before:
            yield Leftover(
                "leftover",
                file.name,
                "a key that was never put in place",
                "removed",
                partial(file.unlink, missing_ok=True),
            )


def spent_checkpoints(home: Home) -> Iterator[Leftover]:
    """Checkpoints of trainings whose result is whole: nothing resumes from them. Those of unfinished ones are never touched."""
    for run in sorted((home.path / "runs").glob("*")):
        spent = [*run.glob("checkpoint-*"), *(run / name for name in ("best",) if (run / name).is_dir())]
        if spent and (run / "trained" / "training.json").is_file() and is_valid(run / "trained") is None:
            size = _size_text(*spent)
            fault = f"{len(spent)} checkpoints of a finished training, {size}"
            remedy = f"removed; its result stays, {size} are free"
            yield Leftover("checkpoints", _path_in_home(home, run), fault, remedy, partial(_drop_checkpoints, run), spent=True)


def held_slots(home: Home) -> int:
    """How many device slots living processes hold (tasks/common/gpu_slots.py)."""
    return sum(not is_free(lock) for lock in (home.path / "locks").glob("gpu-[0-9]*.lock"))


def _drop_checkpoints(run: Path) -> None:
    if is_valid(run / "trained") is None:
        for folder in (*run.glob("checkpoint-*"), run / "best"):
            shutil.rmtree(folder, ignore_errors=True)


def _remove_unlocked(folder: Path, lock: Path) -> None:
    """Remove it while holding its lock, unless another process took that meanwhile."""
    try:
        with _try_lock(lock) as mine:
            if mine:
                shutil.rmtree(folder, ignore_errors=True)
    except FileNotFoundError:
        shutil.rmtree(folder, ignore_errors=True)


def is_free(lock: Path) -> bool:
    """Whether no process holds it, shared or alone; a process killed before it locked left none."""
    try:
        with _try_lock(lock) as mine:
            return mine
    except FileNotFoundError:
        return True


@contextmanager
def _try_lock(path: Path) -> Iterator[bool]:
    """Whether no process holds the lock; if so, this one does while the block lasts."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield take_lock(handle)
    finally:
        os.close(handle)


def _last_written(path: Path) -> float:
    """When something in it was last written."""
    newest = 0.0
    for place in (path, *(path.rglob("*") if path.is_dir() else ())):
        with suppress(FileNotFoundError):
            newest = max(newest, place.stat().st_mtime)
    return newest


def _size_text(*folders: Path) -> str:
    total = 0
    for file in (file for folder in folders for file in folder.rglob("*")):
        with suppress(FileNotFoundError):
            total += file.stat().st_size if file.is_file() else 0
    return f"{total / 1e6:.1f} MB"


def _path_in_home(home: Home, path: Path) -> str:
    return path.relative_to(home.path).as_posix()
