"""How much of a body is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.serving.http.messages import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

JSON = "send the body as application/json"


async def read_body(request: Request, most: int) -> bytes:
    """A JSON body, read no further than `most` bytes, whatever its headers say of its size."""
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":  # browsers ask first before they send this across sites
        raise Refusal(415, f"the body's type is {kind[:80] or 'not given'}", "header Content-Type", JSON)
    said = request.headers.get("content-length", "0")
    if said.isdecimal() and int(said) > most:
        raise _too_large(most)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    return b"".join(parts)


def _too_large(most: int) -> Refusal:
    return Refusal(
        413,
        f"the body is larger than {most:,} bytes",
        "body",
        "send fewer texts at once, or raise serving.max_body_bytes",
        {"Connection": "close"},
    )
