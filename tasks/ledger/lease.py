"""A lease row in the ledger's database: one holder across machines, by the database's clock, kept alive by a heartbeat.

A file lock ends with its process; a row does not. So it is renewed, and expires 15 seconds after its last beat: a rerun after
kill -9, on another machine, is training again within 30.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from configs.errors import InfraError
from tasks.ledger.pipeline_lock import FileHold, StillHeldError
from tasks.ledger.schema import leases as rows

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from tasks.ledger.store import Ledger

TTL_SECONDS = 15.0
BEAT_SECONDS = 3.0
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class LeaseTimes:
    """How long a lease lasts after its last beat, and how often it beats; seconds."""

    ttl: float = TTL_SECONDS
    beat: float = BEAT_SECONDS


class LeaseLostError(InfraError):
    """Another may hold the pipeline by now: stop, and write nothing more in its name."""


class Lease:
    """A lease held by this process, renewed by a thread until it is closed."""

    def __init__(self, ledger: Ledger, name: str, token: str, times: LeaseTimes, acquired_at: float) -> None:
        self.ledger, self.name, self.token, self.times = ledger, name, token, times
        self._renewed = acquired_at  # monotonic, read before the statement was sent, so that we never believe too long
        self._over, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease of {name}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise LeaseLostError unless the lease is surely still ours."""
        if self._lost.is_set() or time.monotonic() - self._renewed > self.times.ttl:
            raise LeaseLostError(
                f"the lease of pipeline {self.name} at {self.ledger.name} was not renewed in time, so another run may hold it: "
                "this run stops here; run it again"
            )

    def close(self) -> None:
        self._over.set()
        self._thread.join(timeout=self.times.ttl)

    def _renew(self) -> None:
        while not self._over.wait(self.times.beat):
            sent = time.monotonic()
            try:
                renewed = self.ledger.write(self._beat_once)
            except InfraError:
                continue  # the database is away: the next beat tries again, and `check` knows how long it has been
            if not renewed:
                self._lost.set()
                return
            self._renewed = sent

    def _beat_once(self, connection: Connection) -> bool:
        mine = (rows.c.name == self.name) & (rows.c.token == self.token)
        return connection.execute(sa.update(rows).where(mine).values(expires=self.ledger.clock + self.times.ttl)).rowcount == 1


@contextmanager
def hold_lease(
    ledger: Ledger,
    name: str,
    on_wait: Callable[[str], None],
    timeout: float | None = None,
    *,
    lock: FileHold,
    times: LeaseTimes = LeaseTimes(),
) -> Iterator[Lease]:
    """Hold the lease `name` under the lock's token until the block ends; the lease of the lock's holder before is taken over.

    Raises InfraError after `timeout` seconds of waiting, and LeaseLostError at the block's end if it was lost.
    """
    acquired_at = _acquire(ledger, name, on_wait, timeout, lock, times.ttl)
    lease = Lease(ledger, name, lock.token, times, acquired_at)
    try:
        yield lease
        lease.check()
    finally:
        lease.close()
        mine = (rows.c.name == name) & (rows.c.token == lock.token)
        with suppress(InfraError):  # the database is away: the row expires by itself, and the work in the block is done
            ledger.write(lambda connection: connection.execute(sa.delete(rows).where(mine)))


def _acquire(ledger: Ledger, name: str, on_wait: Callable[[str], None], timeout: float | None, lock: FileHold, ttl: float) -> float:
    began, last_holder = time.monotonic(), ""
    while True:
        sent = time.monotonic()
        holder = ledger.write(lambda connection: _try_acquire(connection, ledger, name, lock, ttl))
        if holder is None:
            return sent
        if holder != last_holder:
            on_wait(f"pipeline {name} is held by {holder}: waiting for it to end")
            last_holder = holder
        if timeout is not None and time.monotonic() - began >= timeout:
            raise StillHeldError(
                f"pipeline {name} is still held by {holder} after {timeout:g} s: let it end, or stop it, then run again"
            )
        time.sleep(POLL_SECONDS)


def _try_acquire(connection: Connection, ledger: Ledger, name: str, lock: FileHold, ttl: float) -> str | None:
    """Take the row if it is free, expired, ours or inherited; returns the other holder, None where the lease is ours."""
    row = {"token": lock.token, "holder": f"process {os.getpid()} on {socket.gethostname()}", "since": ledger.stamp()}
    expires = ledger.clock + ttl
    free = (rows.c.expires < ledger.clock) | rows.c.token.in_([lock.token, lock.before or lock.token])
    insert = ledger.insert(rows).values(name=name, expires=expires, **row)
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={**row, "expires": expires}, where=free))
    current = connection.execute(sa.select(rows.c.token, rows.c.holder, rows.c.since).where(rows.c.name == name)).one_or_none()
    if current is None or current.token == lock.token:
        return None
    return f"{current.holder} since {current.since}"
