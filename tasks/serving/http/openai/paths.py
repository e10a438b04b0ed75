"""The paths of OpenAI's interface. What writes needs torch, and is made once a version is there, which has loaded it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from tasks.serving.batcher import NoModel
from tasks.serving.http.runtime import Runtime, json_response

if TYPE_CHECKING:
    from tasks.serving.http.openai.routes import CompletionRoutes

COMPLETIONS, CHATS, MODELS = "/v1/completions", "/v1/chat/completions", "/v1/models"


class OpenAIPaths:
    """Completions, chats, and the models that there are."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.service = runtime, runtime.service

    async def completions(self, request: Request) -> Response:
        """Go on from one prompt, or from several."""
        self._require_version(COMPLETIONS)
        return await self._routes.completions(request)

    async def chats(self, request: Request) -> Response:
        """Write the next message of a chat."""
        self._require_version(CHATS)
        return await self._routes.chats(request)

    async def models(self) -> Response:
        """The names that a request may give: of the model, and of the version that answers."""
        now = self.service.champion.standing
        names = [self.service.name, *([f"{self.service.name}@{now.version}"] if now.version is not None else [])]
        common = {"object": "model", "created": int(now.since or self.runtime.began), "owned_by": "tunekeeper"}
        return json_response({"object": "list", "data": [{"id": name, **common} for name in names]})

    def _require_version(self, path: str) -> None:
        if self.service.champion.current is None:
            raise self.runtime.refusal_for(NoModel(), path)

    @cached_property
    def _routes(self) -> CompletionRoutes:
        from tasks.serving.http.openai.routes import CompletionRoutes

        return CompletionRoutes(self.runtime)
