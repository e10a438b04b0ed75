"""Connections have a deadline and a limit: a client that opens many and sends little takes nothing from the others.

A connection waits from its opening, or from its last answer, until the headers of a request are there. One that has begun to send
them and does not end in time is refused (408) and closed; one too many closes one that waits, first of those that never asked
anything, or is refused (503) where all are being answered. One that does not read what it is answered is cut off.
"""

from __future__ import annotations

import asyncio
import json
import resource
import time
from typing import TYPE_CHECKING

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

HEADER_SECONDS = 10.0
READ_SECONDS, LEAST_READ = 10.0, 65_536  # in so long the other side reads so many bytes of what waits to be sent, or all of it
YOUNG_SECONDS, IDLE_SECONDS = 0.1, 1.0  # so long a new connection, and one that was answered, is let wait in any case
KEEP_ALIVE_SECONDS = 75
OPEN_FILES = 65_536  # asked of the system, as far as it lets
RESERVED_FILES = 256  # for the model, the log, the registry
NO_HTTP_REMEDY = "ask http://, not https://, with one Host header, and with headers and chunks as RFC 9112 has them, below 64 kB"
BACKLOG = 512  # connections that are taken at once, and stand beside those that are to close


class WaitingConnections:
    """The connections of a server that wait, and how many it may have in all."""

    def __init__(self, most: int, header_seconds: float) -> None:
        self.most, self.header_seconds = most, header_seconds
        self._strangers: dict[BoundedProtocol, float] = {}  # never answered yet, and since when they wait
        self._known: dict[BoundedProtocol, float] = {}

    def add(self, protocol: BoundedProtocol) -> None:
        (self._known if protocol.cycle is not None else self._strangers)[protocol] = time.monotonic()

    def drop(self, protocol: BoundedProtocol) -> None:
        self._strangers.pop(protocol, None)
        self._known.pop(protocol, None)

    def longest(self) -> BoundedProtocol | None:
        """The one to close for another: first those that have not asked anything yet, of these the one that has waited longest.

        None where all have only come, or been answered, and may be about to ask.
        """
        now = time.monotonic()
        for waiting, least in ((self._strangers, YOUNG_SECONDS), (self._known, IDLE_SECONDS)):
            protocol, since = next(iter(waiting.items()), (None, now))
            if now - since >= least:
                return protocol
        return None


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol of one connection, with a deadline for headers and a place among the others."""

    waiting: WaitingConnections  # the server's, set in `bounded_protocol`
    read_seconds: float  # likewise
    _deadline: asyncio.TimerHandle | None = None
    _cut: asyncio.TimerHandle | None = None  # ends a connection whose other side does not read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.waiting.most:
            longest = self.waiting.longest()
            if longest is None:
                fault = f"{self.waiting.most} connections are being answered, as many as there may be"
                self.refuse(b"503 Service Unavailable", fault, "ask again in a second, over one connection that stays open")
                return
            longest.leave()
        self._start_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._cancel_cut_off()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """More waits to be sent than is read: a client that does not go on reading is cut off."""
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._cancel_cut_off()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._expect_reading()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, unless an answer was sent or begun already; stop the work that still goes on for it."""
        if self._is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.refuse(b"400 Bad Request", "what came is no request of HTTP/1.1", NO_HTTP_REMEDY)
        else:
            self.leave()

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing():
            self._expect_reading()

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
            super().data_received(data)
            self._update_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_answering():
            return
        self._stop_waiting()
        if self.transport.is_closing():
            self._expect_reading()
        else:
            self.waiting.add(self)  # until its next byte uvicorn's own deadline for idle connections holds

    def leave(self) -> None:
        """Close a connection that waits, so that another has its place."""
        self._stop_waiting()
        self.transport.close()
        self._expect_reading()

    def refuse(self, status: bytes, fault: str, remedy: str) -> None:
        """Say why, in the form of every refusal, and close."""
        self._stop_waiting()
        body = json.dumps({"error": {"what": fault, "where": "connection", "remedy": remedy}}).encode()
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        self.transport.write(head % (status, len(body)) + body)
        self.transport.close()
        self._expect_reading()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _update_waiting(self) -> None:
        if self.transport.is_closing() or self._is_answering():
            self._stop_waiting()
        elif self._deadline is None:
            self._start_waiting()

    def _start_waiting(self) -> None:
        self.waiting.add(self)
        self._deadline = self.loop.call_later(self.waiting.header_seconds, self._refuse_late)

    def _stop_waiting(self) -> None:
        self.waiting.drop(self)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expect_reading(self) -> None:
        """From here on the other side has to read what waits to be sent."""
        if self._cut is None:
            self._cut = self.loop.call_later(self.read_seconds, self._cut_off, self.transport.get_write_buffer_size())

    def _cut_off(self, before: int) -> None:
        self._cut = None
        if before - self.transport.get_write_buffer_size() >= LEAST_READ:
            self._expect_reading()
        else:
            self.transport.abort()

    def _cancel_cut_off(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None

    def _refuse_late(self) -> None:
        if self.transport.is_closing() or self._is_answering():
            return
        seconds = f"the headers did not come within {self.waiting.header_seconds:g} s"
        self.refuse(b"408 Request Timeout", seconds, "send them at once")


def bounded_protocol(most: int, header_seconds: float, read_seconds: float) -> type[BoundedProtocol]:
    """The protocol of one server, whose connections count together."""
    return type(
        "Connections", (BoundedProtocol,), {"waiting": WaitingConnections(most, header_seconds), "read_seconds": read_seconds}
    )


def uvicorn_server(
    app: ASGIApp, connections: int, grace: float, header_seconds: float = HEADER_SECONDS, read_seconds: float = READ_SECONDS
) -> uvicorn.Server:
    """A uvicorn server of the app, which takes `grace` seconds to end; what it has to say goes to this process's own log."""
    backlog, most = connection_room(connections, raise_open_files())
    return uvicorn.Server(
        uvicorn.Config(
            app, http=bounded_protocol(most, header_seconds, read_seconds), lifespan="on", ws="none", access_log=False,
            server_header=False, log_config=None, log_level="warning", timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(grace), backlog=backlog,
        )
    )  # fmt: skip


def connection_room(connections: int, files: int) -> tuple[int, int]:
    """How many connections are taken at once, and how many are had, where so many files may be open."""
    left = max(16, files - RESERVED_FILES)
    backlog = min(BACKLOG, left // 2)
    return backlog, min(connections, left - backlog)


def raise_open_files() -> int:
    """Let this process open as many files as the system allows, up to OPEN_FILES; how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft == resource.RLIM_INFINITY or soft >= limit:
        return OPEN_FILES if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except (OSError, ValueError):
        return soft
    return limit
