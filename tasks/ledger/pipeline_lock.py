"""One pipeline, one run at a time: an OS file lock that death releases, and across machines a lease besides.

The file is never deleted (a waiter would hold the old one) and names its holder for those who wait.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InfraError
from tasks.common.locks import release_lock, take_lock

if TYPE_CHECKING:
    from tasks.ledger.store import Ledger

POLL_SECONDS = 0.05
_held: set[int] = set()  # file descriptors this process holds locks by


class StillHeldError(InfraError):
    """A living process held the lock for the whole timeout."""


@dataclass(frozen=True)
class Hold:
    """A pipeline held by this process; `check` raises InfraError once that was lost: call it before what cannot be undone."""

    waited: float  # seconds
    check: Callable[[], None]


@contextmanager
def hold_pipeline(
    home: Path, name: str, on_wait: Callable[[str], None], timeout: float | None = None, ledger: Ledger | None = None
) -> Iterator[Hold]:
    """Hold pipeline `name` until the block ends or the process dies; `on_wait` gets a sentence about each other holder, once.

    With a ledger that other machines share, its lease row is held too. A rerun after kill -9 on the same machine inherits the dead
    run's lease: the holder of the file lock knows that the run named in the file is over. Elsewhere the lease expires.
    Raises StillHeldError when `timeout` seconds are over, InfraError when the lease was lost.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        path = home / "locks" / f"{name}.lock"
        lock = stack.enter_context(file_lock(path, f"pipeline {name}", on_wait, timeout))
        check: Callable[[], None] = _no_check
        if ledger is not None and ledger.shared:
            from tasks.ledger.lease import hold_lease

            left = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
            lease = stack.enter_context(hold_lease(ledger, name, on_wait, left, lock=lock))
            check = lease.check
        yield Hold(time.monotonic() - began, check)


@dataclass(frozen=True)
class FileHold:
    """`token` names this hold; `before` is the token of the last one, which is over, released or not."""

    token: str
    before: str | None = None


@contextmanager
def file_lock(path: Path, resource: str, on_wait: Callable[[str], None], timeout: float | None = None) -> Iterator[FileHold]:
    """Hold the OS lock on `path`; threads of one process exclude each other too.

    A forked child (a data loader's worker) lets go of its copy, or it would keep the lock after its parent was killed.
    """
    _let_go_in_children()
    descriptor, owner = _open_lock_file(path), os.getpid()
    _held.add(descriptor)
    try:
        _wait_for_holder(descriptor, resource, on_wait, timeout)
        lock = FileHold(uuid.uuid4().hex, _read_note(descriptor).get("token"))
        _write_note(descriptor, path, lock.token)
        yield lock
    finally:
        if os.getpid() == owner:
            _held.discard(descriptor)
            release_lock(descriptor)
            os.close(descriptor)


def _no_check() -> None:
    return None


def _open_lock_file(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise InfraError(f"the lock {path} cannot be opened ({error.strerror}): check the disk and its permissions") from error


def _wait_for_holder(descriptor: int, resource: str, on_wait: Callable[[str], None], timeout: float | None) -> None:
    deadline, last_holder = None if timeout is None else time.monotonic() + timeout, ""
    while not take_lock(descriptor):
        holder = _holder_text(descriptor)
        if holder != last_holder:
            on_wait(f"{resource} is held by {holder}: waiting for it to end")
            last_holder = holder
        if deadline is not None and time.monotonic() >= deadline:
            raise StillHeldError(
                f"{resource} is still held by {holder} after {timeout:g} s: let it end, or stop that process, then run again"
            )
        time.sleep(POLL_SECONDS)


def _holder_text(descriptor: int) -> str:
    note = _read_note(descriptor)
    return f"process {note.get('pid', 'unknown')} since {note.get('since', 'just now')}"


def _read_note(descriptor: int) -> dict[str, str]:
    """The holder's note in the file; empty where it is incomplete, because its writer was killed."""
    try:
        note = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:
        return {}
    same_file = isinstance(note, dict) and note.get("inode") == str(os.fstat(descriptor).st_ino)  # not a copy of another HOME
    return note if same_file else {}


def _write_note(descriptor: int, path: Path, token: str) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    note = {"pid": str(os.getpid()), "since": since, "token": token, "inode": str(os.fstat(descriptor).st_ino)}
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode(), 0)
    except OSError as error:
        raise InfraError(
            f"the lock {path} cannot be written ({error.strerror}): free or remount the disk, then run again"
        ) from error


@cache
def _let_go_in_children() -> None:
    os.register_at_fork(after_in_child=_close_copies)


def _close_copies() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()
