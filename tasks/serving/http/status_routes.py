"""How a service says that it lives, which version answers, and what it counts."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from configs.credentials import clean_value
from tasks.serving.http.auth import Caller
from tasks.serving.http.middleware import CALLER
from tasks.serving.http.runtime import Runtime, json_response

NOT_LOOKED = "not looked at yet"


class StatusRoutes:
    """The paths that say how the service is."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.service, self.settings = runtime, runtime.service, runtime.settings

    async def health(self) -> Response:
        """Whether the process lives."""
        return json_response({"alive": True, "seconds": round(time.time() - self.runtime.began)})

    async def ready(self, request: Request) -> Response:
        """Whether a version answers; and, for whoever may know, which, and what is not as it should be."""
        now = self.service.champion.standing
        caller: Caller | None = request.scope[CALLER]
        if caller is None or "metrics" not in caller.roles:
            return json_response({"ready": now.version is not None}, 200 if now.version is not None else 503)
        counts = self.service.traffic.counts if self.service.traffic is not None else None
        readiness = {
            "ready": now.version is not None,
            "model": self.service.name,
            "version": now.version,
            "since": None if now.since is None else datetime.fromtimestamp(now.since, UTC).isoformat(timespec="seconds"),
            "check": now.check or None,
            "alias_names": now.wanted,
            "loading": now.loading,
            "registry": now.registry or ("read" if now.looked else NOT_LOOKED),
            "refused": now.refused,
            "waiting": self.runtime.waiting,
            "traffic": None if counts is None else {"written": counts.written, "lost": counts.lost, "waiting": counts.waiting},
        }
        return json_response(clean_value(readiness), 200 if now.version is not None else 503)

    async def metrics(self) -> Response:
        """For Prometheus."""
        return Response(self.runtime.watch.page(), media_type="text/plain; version=0.0.4; charset=utf-8")
