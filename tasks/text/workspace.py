"""A working folder that never outlives its owner: removed at the end, and after a kill by whoever comes next."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.errors import InfraError

_YOUNG = 60.0  # seconds: a folder this new may belong to a process that has not taken its lock yet


@contextmanager
def workspace(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder under `parent` that this process holds by a file lock; remove it at the end, however that comes."""
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep(parent: Path, prefix: str) -> int:
    """Remove the folders that dead processes left behind, and say how many: a living owner's lock cannot be taken."""
    removed = 0
    for folder in parent.glob(f"{prefix}*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


@contextmanager
def world_faults(place: Path) -> Iterator[None]:
    """Tell a fault of the disk as such: what failed, where, and what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InfraError(f"{place}: {reason}: free space there or make it writable, then run again; nothing was lost") from error


def _is_abandoned(folder: Path) -> bool:
    try:
        if time.time() - folder.stat().st_mtime < _YOUNG:
            return False
        lock = os.open(folder / ".lock", os.O_RDWR)
    except FileNotFoundError:
        return folder.is_dir()
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
