"""Callers by turns, for one thing at a time or for many: a caller that sends much waits behind its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar("T")


class TurnQueue(Generic[T]):
    """What waits, of one thread: the first of each caller by turns, and of one caller in order of arrival."""

    def __init__(self) -> None:
        self._by_caller: dict[str, deque[T]] = {}  # in the order of their turns; no queue is empty

    def __len__(self) -> int:
        return sum(map(len, self._by_caller.values()))

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._by_caller.values())

    def add(self, caller: str, item: T) -> None:
        self._by_caller.setdefault(caller, deque()).append(item)

    def first(self) -> T:
        """What `take` would give; there must be something."""
        return next(iter(self._by_caller.values()))[0]

    def take(self) -> T:
        """The first of the caller whose turn it is, which then has its next turn after all others."""
        caller, waiting = next(iter(self._by_caller.items()))
        item = waiting.popleft()
        del self._by_caller[caller]
        if waiting:
            self._by_caller[caller] = waiting
        return item

    def keep(self, is_wanted: Callable[[T], bool]) -> None:
        """Let go of all that is not wanted any more."""
        wanted = {caller: deque(filter(is_wanted, waiting)) for caller, waiting in self._by_caller.items()}
        self._by_caller = {caller: waiting for caller, waiting in wanted.items() if waiting}


class FairLock:
    """A lock of one event loop that goes from caller to caller, and among one caller's requests in order of arrival."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # no queue is empty
        self._turns, self._last = 0, dict[str, int]()  # how many there were, and the last one of each caller

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """No other caller has a turn while the block lasts."""
        await self._wait_for_turn(caller)
        try:
            yield
        finally:
            self._pass_turn_on()

    async def _wait_for_turn(self, caller: str) -> None:
        if not self._taken:
            self._grant_turn(caller)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave_queue(caller, turn)
            else:  # its turn had come
                self._pass_turn_on()
            raise

    def _leave_queue(self, caller: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(caller, deque())
        if turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[caller]

    def _grant_turn(self, caller: str) -> None:
        self._taken = True
        self._turns += 1
        self._last[caller] = self._turns

    def _pass_turn_on(self) -> None:
        """Give the turn to the caller that has waited longest since its last one."""
        self._taken = False
        while self._waiting and not self._taken:
            caller = min(self._waiting, key=lambda name: self._last.get(name, 0))
            turn = self._waiting[caller][0]
            self._leave_queue(caller, turn)
            if not turn.done():
                turn.set_result(None)
                self._grant_turn(caller)
