"""Refusals as clients of OpenAI's interface read them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from tasks.serving.http.messages import Refusal

PREFIX = "/v1/"  # of the paths whose faults have this form
CODES = {
    401: "invalid_api_key",
    404: "not_found",
    413: "request_too_large",
    429: "rate_limit_exceeded",
    503: "overloaded",
    504: "timeout",
}
TYPES = {403: "permission_error", 429: "rate_limit_error"}  # else one for what the caller, and one for what the service has to mend


class CodedRefusal(Refusal):
    """A refusal with a code that clients know."""

    def __init__(self, status: int, reason: str, where: str, remedy: str, code: str) -> None:
        super().__init__(status, reason, where, remedy)
        self.code = code


class OpenAIFault(BaseModel):
    """What is wrong, and what to do; `param` is the field that it is about."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIFaultAnswer(BaseModel):
    error: OpenAIFault


def openai_status(refusal: Refusal) -> int:
    """422 is 400 here."""
    return 400 if refusal.status == 422 else refusal.status


def openai_fault(refusal: Refusal) -> dict[str, Any]:
    """The body of a refusal."""
    what, where, status = refusal.fault["what"], refusal.fault["where"], openai_status(refusal)
    return {
        "message": f"{what}: {refusal.fault['remedy']}",
        "type": TYPES.get(status, "invalid_request_error" if status < 500 else "server_error"),
        "param": where.removeprefix("body.") if where.startswith("body.") else None,
        "code": refusal.code if isinstance(refusal, CodedRefusal) else CODES.get(status),
    }
