"""What every request passes: on its way in the checks of its key and its size, on its way out the counters."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.responses import Response

from configs.credentials import clean_value
from tasks.serving.http.auth import KEY_HEADERS, VARIABLE, Caller, Keys, Role, is_local, key_of, keyless_caller
from tasks.serving.http.docs_page import FILES
from tasks.serving.http.messages import Refusal
from tasks.serving.http.openai.faults import PREFIX, openai_fault, openai_status

if TYPE_CHECKING:
    from prometheus_client import Counter as RequestCounter
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Which role opens what. Probes carry no keys: /health and /ready answer all, and /ready tells details to `metrics` alone; the page
# of the paths reads them with a key.
NEEDS: dict[str, Role] = {"/predict": "ask", "/feedback": "feedback", "/audit": "audit", "/metrics": "metrics"}
WRITING: dict[str, Role] = {"/v1/completions": "ask", "/v1/chat/completions": "ask", "/v1/models": "ask"}  # where texts are written
PAIRS: dict[str, Role] = {"/rerank": "ask", "/embed": "ask", "/v1/embeddings": "ask"}  # of models that read two texts
ROLES = NEEDS | WRITING | PAIRS
OPEN = frozenset({"/health", "/ready", *FILES})
ANY_KEY = frozenset({"/openapi.json"})
PATHS = OPEN | ANY_KEY | NEEDS.keys()
SEND_JSON = "send the body as application/json"
ADDRESS = re.compile(rb"https?://([^/?#@]+)(?=/|$)", re.IGNORECASE)
CALLER = "tunekeeper.caller"  # where a request's scope says who sent it


def refusal_response(refusal: Refusal, path: str) -> Response:
    """A refusal as an answer, in the form that callers of the path expect."""
    status, fault = refusal.status, refusal.fault
    if path.startswith(PREFIX):
        status, fault = openai_status(refusal), openai_fault(refusal)
    body = json.dumps(clean_value({"error": fault}), ensure_ascii=False).encode("utf-8", "replace")
    return Response(body, status, refusal.headers, "application/json")


def lacks_role(role: Role, where: str) -> Refusal:
    """The refusal of a known caller whose key lacks a role."""
    remedy = f"send a key that has it: an entry of the service's {VARIABLE} as name:{role}:KEY"
    return Refusal(403, f"this needs the role `{role}`", where, remedy)


class AccessMiddleware:
    """ASGI middleware. Nothing of a body is read before its sender is known."""

    def __init__(self, app: ASGIApp, keys: Keys, local: bool, requests: RequestCounter, more: Iterable[str] = ()) -> None:
        self.app, self.keys, self.requests = app, keys, requests
        self.paths = PATHS | frozenset(more)  # of paths that are there for some problems alone
        self.keyless_caller = keyless_caller(local)
        self.strangers = not (local and not keys)  # without keys this machine's own names are what keeps a browser's pages out

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        scope = as_path(scope)
        path, headers = scope["path"], dict(scope["headers"])
        caller = self.keys.caller(key_of(headers)) if self.keys else self.keyless_caller
        refusal = ambiguity_of(scope["headers"]) or self._refusal_of(path, headers, caller)
        if scope["method"] == "HEAD" and path in self.paths:  # as GET, of whose answer the server sends the headers alone
            scope = {**scope, "method": "GET"}
        scope[CALLER] = caller
        try:
            await (self.app if refusal is None else refusal_response(refusal, path))(scope, receive, counted)
        finally:
            self.requests.labels(path if path in self.paths else "other", str(status)).inc()

    def _refusal_of(self, path: str, headers: dict[bytes, bytes], caller: Caller | None) -> Refusal | None:
        if not self.strangers and not is_local(headers.get(b"host", b"localhost")):
            reason = "without API keys only this machine's own names are answered"
            return Refusal(403, reason, "header Host", f"ask localhost, or set {VARIABLE}")
        if (
            path not in self.paths
        ):  # a router may read a path more freely than NEEDS is looked up: `$` matches before a final newline
            return Refusal(404, "there is nothing here", path, "see /openapi.json for what there is")
        if path in OPEN:
            return None
        if caller is None:
            remedy = f"send `Authorization: Bearer KEY` with one of the keys in the service's {VARIABLE}"
            return Refusal(401, "no valid API key", "header Authorization", remedy, {"WWW-Authenticate": "Bearer"})
        role = ROLES.get(path)
        return None if role is None or role in caller.roles else lacks_role(role, path)


def ambiguity_of(headers: Iterable[tuple[bytes, bytes]]) -> Refusal | None:
    """The refusal of headers that a proxy may read otherwise than this service: where a body ends, or whose request it is."""
    count = Counter(name for name, _ in headers)
    if count[b"transfer-encoding"] and count[b"content-length"]:
        fault, where = "both Transfer-Encoding and Content-Length say where the body ends", "header Content-Length"
        return Refusal(400, fault, where, "send one of them", {"Connection": "close"})
    twice = next((name.decode() for name in KEY_HEADERS if count[name] > 1), None)
    if twice is not None:
        return Refusal(400, f"{twice} is there {count[twice.encode()]} times", f"header {twice}", "send one key, once")
    return None


def as_path(scope: Scope) -> Scope:
    """A request that names a whole address, as those to a proxy do, as one for its path on the host that it names.

    By RFC 9112, 3.2.2, its Host header says nothing then.
    """
    address = ADDRESS.match(scope["raw_path"])
    if address is None:
        return scope
    path = scope["raw_path"][address.end() :] or b"/"
    headers = [(b"host", address[1]), *((name, value) for name, value in scope["headers"] if name != b"host")]
    return {**scope, "path": unquote(path.decode("latin-1")), "raw_path": path, "headers": headers}


async def read_body(request: Request, most: int) -> bytes:
    """A JSON body, read no further than `most` bytes, whatever its headers say of its size."""
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":  # browsers ask first before they send this across sites
        raise Refusal(415, f"the body's type is {kind[:80] or 'not given'}", "header Content-Type", SEND_JSON)
    packing = request.headers.get("content-encoding", "").strip()
    if packing.lower() not in ("", "identity"):
        fault, taken = f"the body is packed, as {packing[:80]}", {"Accept-Encoding": "identity"}
        raise Refusal(415, fault, "header Content-Encoding", "send it as it is, and without this header", taken)
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most:
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
