"""One request at a time, callers by turns: a caller that sends much waits behind its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


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
