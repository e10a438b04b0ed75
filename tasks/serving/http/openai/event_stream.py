"""An answer that is sent as it is written: server-sent events, which end where the caller goes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from configs.credentials import clean_value
from tasks.serving.http.cancellation import while_connected
from tasks.serving.http.messages import Refusal
from tasks.serving.http.openai.faults import openai_fault
from tasks.serving.http.openai.responses import encode_event

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

KIND = "text/event-stream"
HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))


class EventStream(Response):
    """Sends events one by one, each once the other side has taken those before it.

    A Refusal before the first event is an answer like any other; later it is the last event. The events are closed in any case,
    where the caller has gone in the midst of one too.
    """

    def __init__(self, request: Request, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(media_type=KIND)
        self._request, self._events, self._begun = request, events, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await while_connected(self._request, self._send_all(send))
        except ClientDisconnect:
            if not self._begun:
                raise Refusal(499, "the caller has gone", scope["path"], "stay until the answer") from None

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            try:
                async for event in events:
                    if not self._begun:
                        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
                        self._begun = True
                    await send({"type": "http.response.body", "body": event, "more_body": True})
            except Refusal as refusal:
                if not self._begun:
                    raise
                fault = encode_event(clean_value({"error": openai_fault(refusal)}))
                await send({"type": "http.response.body", "body": fault, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
