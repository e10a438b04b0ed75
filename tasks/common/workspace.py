"""A working folder that never outlives its owner: removed at the end, and after a kill by the next process."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from configs.errors import InfraError
from tasks.common.locks import take_lock, wait_for_lock


@contextmanager
def workspace(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder under `parent` that this process holds by a file lock; remove it at the end, however that comes."""
    parent.mkdir(parents=True, exist_ok=True)
    remove_orphans(parent, prefix)
    folder, lock = _create_locked_folder(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_orphans(parent: Path, prefix: str) -> int:
    """Remove the folders that dead processes left behind, and say how many: a living owner's lock cannot be taken."""
    return sum(_remove_if_unlocked(folder) for folder in parent.glob(f"{prefix}*") if folder.is_dir())


@contextmanager
def world_faults(place: Path) -> Iterator[None]:
    """Raise a fault of the disk as InfraError: what failed, where, and what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        limited = "raise this user's limit on the size of files (ulimit -f)"
        remedy = limited if error.errno == errno.EFBIG else "free space there or make it writable"
        raise InfraError(f"{place}: {reason}: {remedy}, then run again; nothing was lost") from error


def _create_locked_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new folder and its lock; another one where a process swept it before it was locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with suppress(FileNotFoundError):
            lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            wait_for_lock(lock)
            if (folder / ".lock").exists():
                return folder, lock
            os.close(lock)


def _remove_if_unlocked(folder: Path) -> bool:
    """Remove a folder whose lock is free, holding it meanwhile.

    One killed before it was locked has none, nor has one that its owner is about to lock: the lock is made, so that of the two who
    want it one gets it.
    """
    try:
        lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:  # another process was quicker
        return False
    try:
        if not take_lock(lock):
            return False
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
    return True
