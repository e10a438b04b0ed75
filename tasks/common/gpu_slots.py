"""The slots of this machine's devices: a Prefect concurrency limit, kept true by file locks that death releases."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tasks.common.locks import release_lock, take_lock

LIMIT = f"gpu-{platform.node()}"  # each machine sets its own, by the locks that it sees
POLL_SECONDS = 0.2


@contextmanager
def gpu_slot(home: Path, devices: int, on_wait: Callable[[str], None]) -> Iterator[int]:
    """Hold one of `devices` slots; yields its number.

    Prefect's limit forgets its holders only minutes after a kill -9, and would block the next run that long. So the slots are file
    locks first, and the limit is set to what the locks say before a slot of it is taken: it shows in the UI, and binds other flows.
    """
    from filelock import FileLock
    from prefect.concurrency.sync import concurrency

    with _file_slot(home / "locks", devices, on_wait) as (number, other_holders), ExitStack() as stack:
        # or of two who set the limit before they occupy it, one waits for Prefect's next poll
        with FileLock(home / "locks" / "gpu-limit.lock"):
            _reset_limit(devices, other_holders())
            stack.enter_context(concurrency(LIMIT, occupy=1, strict=True))
        yield number


def _reset_limit(devices: int, holders: int) -> None:
    """Make the limit, or set it to the number of slots that live processes hold."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(LIMIT)
        except ObjectNotFound:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=LIMIT, limit=devices, active_slots=holders))
            return
        client.update_global_concurrency_limit(LIMIT, GlobalConcurrencyLimitUpdate(limit=devices, active_slots=holders))


@contextmanager
def _file_slot(folder: Path, devices: int, on_wait: Callable[[str], None]) -> Iterator[tuple[int, Callable[[], int]]]:
    """A slot's number, and a count of those that others hold."""
    folder.mkdir(parents=True, exist_ok=True)
    handles = [os.open(folder / f"gpu-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644) for number in range(devices)]
    try:
        number = _first_free(handles)
        if number is None:
            on_wait(f"all {devices} device slots are taken: waiting for one")
        while number is None:
            time.sleep(POLL_SECONDS)
            number = _first_free(handles)
        yield number, lambda: sum(not _is_free(handle) for place, handle in enumerate(handles) if place != number)
    finally:
        for handle in handles:
            os.close(handle)


def _first_free(handles: list[int]) -> int | None:
    return next((number for number, handle in enumerate(handles) if take_lock(handle)), None)


def _is_free(handle: int) -> bool:
    if not take_lock(handle):
        return False
    release_lock(handle)
    return True
