"""Journals: one file of lines per process, appended in whole batches, held by a lock that death releases.

What was written to it outlives kill -9 of its process, and a second later the machine's end. A journal that no process holds
is finished: the next reader moves its records to their store and removes it.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from weakref import WeakSet

from tasks.common.locks import take_lock, wait_for_lock
from tasks.traffic.disk_faults import fault_named, list_folder

log = logging.getLogger(__name__)
SUFFIX = ".jsonl"
_open: WeakSet[Journal] = WeakSet()


class Journal:
    """A new file that this process appends to. Raises OSError where the disk does not take it. Who appends counts its `records`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _let_go_in_children()
        self.path, self._file = _create_locked_file(folder)
        self.began, self.size, self.records, self._unsynced = time.monotonic(), 0, 0, False
        _open.add(self)

    def append(self, content: memoryview) -> int:
        """Write as much of it as the disk takes; returns how many bytes that was."""
        count = os.write(self._file, content)
        self.size, self._unsynced = self.size + count, True
        return count

    def is_there(self) -> bool:
        """Whether it lies where it was made, so that readers find it; what this process may not see is there."""
        try:
            return _is_same_file(self.path, self._file)
        except NotADirectoryError:
            return False
        except OSError:
            return True

    def sync(self) -> None:
        """Flush it to the disk, so that it outlives the machine."""
        if self._unsynced:
            os.fdatasync(self._file)
            self._unsynced = False

    def close(self) -> None:
        """Let go: from here on it is finished, and any process may move it."""
        _open.discard(self)
        os.close(self._file)


def list_journals(folder: Path) -> list[Path]:
    """All journals of a folder, oldest first: those in use too. InfraError where it cannot be listed."""
    return list_folder(folder, f"[!.]*{SUFFIX}")


def content_of(path: Path) -> bytes | None:
    """The bytes of a journal now; None where it was moved meanwhile. InfraError where it cannot be read."""
    try:
        with fault_named(path):
            return path.read_bytes()
    except FileNotFoundError:
        return None


@contextmanager
def claim_finished(path: Path) -> Iterator[bool]:
    """Whether a journal's owner let go or died; if so, no other process moves it while the block lasts."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        yield take_lock(file) and _is_same_file(path, file)
    finally:
        os.close(file)


def _create_locked_file(folder: Path) -> tuple[Path, int]:
    """A new file and its lock; another one where a process took it for finished before it was locked."""
    while True:
        path = folder / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(6)}{SUFFIX}"
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        wait_for_lock(file)
        if _is_same_file(path, file):
            return path, file
        os.close(file)


def _is_same_file(path: Path, file: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(file).st_ino
    except FileNotFoundError:
        return False


@cache
def _let_go_in_children() -> None:
    """A forked child lets go of its copies, or a journal would stay in use after its owner was killed."""
    os.register_at_fork(after_in_child=_close_copies)


def _close_copies() -> None:
    for journal in list(_open):
        with suppress(OSError):
            journal.close()
