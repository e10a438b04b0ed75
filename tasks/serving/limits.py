"""Who may ask, and how much of a body is read."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING

from configs.errors import InputError
from tasks.serving.messages import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

VARIABLE = "TUNEKEEPER_API_KEYS"
SHORTEST_KEY = 16
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
JSON = "send the body as application/json"


class Keys:
    """The API keys of an installation; their hashes are compared, all of them, in a time that tells nothing."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._hashes = tuple(hashlib.sha256(key.encode()).digest() for key in keys)

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def allow(self, given: bytes | None) -> bool:
        """Whether a key is one of ours; without keys everybody may ask."""
        if not self._hashes:
            return True
        asked = hashlib.sha256(given or b"").digest()
        return sum(hmac.compare_digest(asked, known) for known in self._hashes) > 0


def read_keys(environment: Mapping[str, str]) -> Keys:
    """Keys from the environment, comma separated; InputError for one that can be guessed."""
    keys = tuple(key.strip() for key in environment.get(VARIABLE, "").split(",") if key.strip())
    if short := [place for place, key in enumerate(keys, 1) if len(key) < SHORTEST_KEY]:
        raise InputError(
            f"{VARIABLE}: key {short[0]} of {len(keys)} has fewer than {SHORTEST_KEY} characters: `openssl rand -hex 32` makes one"
        )
    return Keys(keys)


def key_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key that a request carries, in either of the usual headers."""
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key")


def is_local(host: bytes) -> bool:
    """Whether a Host header names this machine by its own name: a page elsewhere that points a name of its own here does not."""
    name = host.decode("latin-1").lower()
    return (name[: name.index("]") + 1] if name.startswith("[") and "]" in name else name.partition(":")[0]) in LOOPBACK


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
