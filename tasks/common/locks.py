"""Locks on open files, which the system releases when their holder ends, however it ends.

For folders, for shared locks, for a file that is handed on to another process. Where one process at a time is to do something and
nothing more is asked, `filelock.FileLock` does.
"""

from __future__ import annotations

import fcntl
from typing import IO, Any


def take_lock(file: int | IO[Any], *, shared: bool = False) -> bool:
    """Lock an open file or folder until it is closed, alone or `shared`; False, at once, where another process forbids it."""
    try:
        fcntl.flock(file, _lock_operation(shared=shared) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for_lock(file: int | IO[Any], *, shared: bool = False) -> None:
    """As `take_lock`, but wait for as long as another process's lock forbids it."""
    fcntl.flock(file, _lock_operation(shared=shared))


def release_lock(file: int | IO[Any]) -> None:
    """Give the lock up and leave the file open; a forked child's copy of it holds nothing any more either."""
    fcntl.flock(file, fcntl.LOCK_UN)


def _lock_operation(*, shared: bool) -> int:
    return fcntl.LOCK_SH if shared else fcntl.LOCK_EX
