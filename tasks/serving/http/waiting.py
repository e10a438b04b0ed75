"""Which connections of a server wait, and which of them is closed where another comes and there is no room."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.serving.http.connections import BoundedProtocol

YOUNG_SECONDS, IDLE_SECONDS = 0.1, 1.0  # so long a new connection, and one that was answered, is let wait in any case
SENDING_SECONDS = 0.01  # and one whose headers are there: a longer grace, and whoever sends no body at all holds all places


class WaitingConnections:
    """The connections of a server that wait, and how many it may have in all."""

    def __init__(self, most: int, header_seconds: float) -> None:
        self.most, self.header_seconds = most, header_seconds
        self._strangers: dict[BoundedProtocol, float] = {}  # never answered yet, and since when they wait
        self._known: dict[BoundedProtocol, float] = {}
        self._sending: dict[BoundedProtocol, float] = {}  # the body of a request

    def add(self, protocol: BoundedProtocol) -> None:
        self.drop(protocol)
        (self._known if protocol.cycle is not None else self._strangers)[protocol] = time.monotonic()

    def add_sending(self, protocol: BoundedProtocol) -> None:
        """It waits from its headers on: a byte of its body now and then puts nothing off."""
        if protocol not in self._sending:
            self.drop(protocol)
            self._sending[protocol] = time.monotonic()

    def drop(self, protocol: BoundedProtocol) -> None:
        for waiting in (self._strangers, self._known, self._sending):
            waiting.pop(protocol, None)

    def longest(self) -> BoundedProtocol | None:
        """The one to close for another: first those that have not asked anything yet, of these the one that has waited longest.

        None where all have only come, or been answered, and may be about to ask, or are asking.
        """
        now, sending = time.monotonic(), (self._sending, SENDING_SECONDS)
        for waiting, least in ((self._strangers, YOUNG_SECONDS), (self._known, IDLE_SECONDS), sending):
            protocol, since = next(iter(waiting.items()), (None, now))
            if now - since >= least:
                return protocol
        return None
