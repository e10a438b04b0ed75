"""Connections have a deadline and a limit: a client that opens many and sends little takes nothing from the others.

A connection waits from its opening, or from its last answer, until a request is there with its body. One that has begun to send
headers and does not end in time is refused (408) and closed; one too many closes one that waits, first of those that never asked
anything, last of those whose headers are there, or is refused (503) where all are being answered. One that does not read what it
is answered is cut off.
"""

from __future__ import annotations

import asyncio
import json
import resource
from typing import TYPE_CHECKING

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tasks.serving.http.waiting import WaitingConnections

if TYPE_CHECKING:
    from starlette.types import ASGIApp

HEADER_SECONDS = 10.0
READ_SECONDS, LEAST_READ = 10.0, 65_536  # in so long the other side reads so many bytes of what waits to be sent, or all of it
KEEP_ALIVE_SECONDS = 75
OPEN_FILES = 65_536  # asked of the system, as far as it lets
RESERVED_FILES = 256  # for the model, the log, the registry
NO_HTTP_REMEDY = "ask http://, not https://, with one Host header, and with headers and chunks as RFC 9112 has them, below 64 kB"
BACKLOG = 512  # connections that are taken at once, and stand beside those that are to close


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
        self._abandon_answer()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.refuse(b"400 Bad Request", "what came is no request of HTTP/1.1", NO_HTTP_REMEDY)
        else:
            self.leave()

    def _should_upgrade(self) -> bool:
        """Never: whoever asks for WebSockets or HTTP/2 is answered as everybody is, and no line of the log tells of it."""
        return False

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
        if self._is_answering():  # the next request came with this one
            self._update_waiting()
            return
        self._stop_waiting()
        if self.transport.is_closing():
            self._expect_reading()
        else:
            self.waiting.add(self)  # until its next byte uvicorn's own deadline for idle connections holds

    def leave(self) -> None:
        """Close a connection that waits, so that another has its place; one that sends a body is told why."""
        if self._awaits_body():
            self._abandon_answer()
            fault = f"{self.waiting.most} connections are open, as many as there may be, and the body had not come yet"
            self.refuse(b"503 Service Unavailable", fault, "send it again, and at once")
            return
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

    def _awaits_body(self) -> bool:
        """Whether a request's body is awaited, and nothing of an answer is there."""
        return self._is_answering() and self.cycle.more_body and not self.cycle.response_started

    def _abandon_answer(self) -> None:
        """Stop the work for a request that gets no answer any more."""
        if self._is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _update_waiting(self) -> None:
        if self._awaits_body() and not self.transport.is_closing():
            self._end_deadline()
            self.waiting.add_sending(self)
        elif self._is_answering() or self.transport.is_closing():
            self._stop_waiting()
        elif self._deadline is None:
            self._start_waiting()

    def _start_waiting(self) -> None:
        self.waiting.add(self)
        self._deadline = self.loop.call_later(self.waiting.header_seconds, self._refuse_late)

    def _stop_waiting(self) -> None:
        self.waiting.drop(self)
        self._end_deadline()

    def _end_deadline(self) -> None:
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
