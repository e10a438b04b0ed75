"""The service over HTTP: its paths, and what is answered where none of them does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from configs.schema import facts_of
from tasks.serving.http.answer_routes import AnswerRoutes
from tasks.serving.http.docs_page import FILES, docs_answer
from tasks.serving.http.feedback_routes import FeedbackRoutes
from tasks.serving.http.messages import Refusal
from tasks.serving.http.middleware import AccessMiddleware, refusal_response
from tasks.serving.http.openai.paths import CHATS, COMPLETIONS, MODELS, OpenAIPaths
from tasks.serving.http.openapi import SCHEMES, describe_path
from tasks.serving.http.pair_routes import EMBED, EMBEDDINGS, RERANK, PairRoutes
from tasks.serving.http.runtime import Runtime, Service
from tasks.serving.http.status_routes import StatusRoutes

Paths = dict[str, tuple[str, Callable[..., Any]]]


def create_app(service: Service) -> FastAPI:
    """The application; its start starts the follower, its end answers what waits and closes the log."""
    runtime = Runtime(service)
    answers, feedback, status = AnswerRoutes(runtime), FeedbackRoutes(runtime), StatusRoutes(runtime)
    app = FastAPI(
        title=f"Tunekeeper: {service.name}",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=runtime.life,
    )
    more = _further_paths(runtime, answers)
    requests = runtime.watch.requests
    app.add_middleware(AccessMiddleware, keys=service.keys, local=service.local, requests=requests, more=tuple(more))
    app.add_exception_handler(Refusal, _answer_refusal)
    app.add_exception_handler(RequestValidationError, _answer_unreadable)
    app.add_exception_handler(HTTPException, _answer_not_found)
    app.add_exception_handler(Exception, _answer_failure)
    paths: Paths = {
        "/predict": ("POST", answers.predict),
        "/feedback": ("POST", feedback.feedback),
        "/audit": ("GET", feedback.audit),
        "/health": ("GET", status.health),
        "/ready": ("GET", status.ready),
        "/metrics": ("GET", status.metrics),
        **more,
    }
    for path, (method, answer) in paths.items():
        described = describe_path(path, service.name, runtime, service.keys, service.local)
        app.add_api_route(path, answer, methods=[method], **described)
    for path in FILES:
        app.add_api_route(path, docs_answer(path), methods=["GET"], include_in_schema=False)
    if service.keys:
        app.openapi()["components"]["securitySchemes"] = SCHEMES  # FastAPI writes the page once
    return app


def _further_paths(runtime: Runtime, answers: AnswerRoutes) -> Paths:
    """The paths that only models of some problems have."""
    facts, openai, pairs = facts_of(runtime.service.problem), OpenAIPaths(runtime), PairRoutes(answers)
    models: Paths = {MODELS: ("GET", openai.models)}
    if facts.writes_text:
        return {COMPLETIONS: ("POST", openai.completions), CHATS: ("POST", openai.chats), **models}
    if facts.embeds:
        return {EMBED: ("POST", pairs.embed), EMBEDDINGS: ("POST", pairs.embeddings), **models}
    return {RERANK: ("POST", pairs.rerank)} if facts.ranks else {}


async def _answer_refusal(request: Request, error: Exception) -> Response:
    fault = error if isinstance(error, Refusal) else Refusal(500, str(error), "", "")
    return refusal_response(fault, request.scope["path"])


async def _answer_unreadable(request: Request, error: Exception) -> Response:
    first: dict[str, Any] = error.errors()[0] if isinstance(error, RequestValidationError) else {"msg": str(error), "loc": ()}
    refusal = Refusal(422, first["msg"], ".".join(str(part) for part in first["loc"]), "see /openapi.json")
    return refusal_response(refusal, request.scope["path"])


async def _answer_not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    reason = {404: "there is nothing here", 405: f"{request.method} is not for this path"}.get(status, str(error))
    refusal = Refusal(status, reason, request.url.path, "see /openapi.json for what there is", headers)
    return refusal_response(refusal, request.scope["path"])


async def _answer_failure(request: Request, _: Exception) -> Response:
    refusal = Refusal(500, "the service failed", request.url.path, "its log says more: please report it")
    return refusal_response(refusal, request.scope["path"])
