"""A judge behind an OpenAI-compatible address: asked once about each pair and order, tried again where it does not answer.

What it prefers is kept by the hash of all that was sent, without the texts, so that a rerun asks nothing twice. The key is read
from the environment when it is sent, goes into one header, and into no error: addresses are followed nowhere else.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from configs.errors import InfraError, InputError
from configs.schema import ModelJudge
from tasks.common.files import write_json
from tasks.preferences.prompt import VERSION, AnswerPair, PairPreference, judging_messages, read_preference

MOST_BYTES = 1 << 20  # of one answer over HTTP
UNREADABLE = "unreadable"


class JudgeAwayError(InfraError):
    """The judge does not answer."""


class _Busy(Exception):  # noqa: N818
    """An answer that may be another the next time."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True)
class JudgeClient:
    """A judge with the folder that keeps what it prefers; `pause` waits between attempts."""

    settings: ModelJudge
    folder: Path
    pause: Callable[[float], None]
    environment: Mapping[str, str]

    def ask_preference(self, pair: AnswerPair) -> PairPreference | None:
        """Which answer it prefers, by place; None where what it says is none of A, B and tie. JudgeAwayError, InputError."""
        body = self._body(pair)
        file = self.folder / f"{self._key(body)}.json"
        try:
            stored_preference = str(json.loads(file.read_text())["preferred"])
        except (OSError, ValueError, KeyError):
            preference = read_preference(self._ask(body))
            stored_preference = preference or UNREADABLE
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(file, {"preferred": stored_preference})
        return read_preference(stored_preference)

    def _body(self, pair: AnswerPair) -> bytes:
        settings = self.settings
        messages = judging_messages(settings.criterion, pair)
        request = {"model": settings.model, "messages": messages, "temperature": 0, "max_tokens": settings.max_tokens, "n": 1}
        return json.dumps(request, sort_keys=True).encode("utf-8", "replace")

    def _key(self, body: bytes) -> str:
        return sha256(f"{VERSION}\n{self.settings.url}\n".encode() + body).hexdigest()

    def _ask(self, body: bytes) -> str:
        attempts = Retrying(
            stop=stop_after_attempt(self.settings.attempts), wait=wait_exponential(max=20), sleep=self.pause,
            retry=retry_if_exception_type(_Busy), reraise=True,
        )  # fmt: skip
        try:
            return attempts(self._ask_once, body)
        except _Busy as error:
            raise JudgeAwayError(
                f"evaluation.judge: {self.settings.url} does not answer ({error}), asked {self.settings.attempts} times: start it, "
                "or drop evaluation.judge; what was judged is kept"
            ) from None

    def _ask_once(self, body: bytes) -> str:
        request = urllib.request.Request(f"{self.settings.url}/chat/completions", body, self._headers(), method="POST")  # noqa: S310
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=self.settings.timeout_seconds) as answer:
                return _content_of(answer.read(MOST_BYTES))
        except urllib.error.HTTPError as error:
            if error.code in (408, 409, 425, 429) or error.code >= 500:
                raise _Busy(f"status {error.code}") from None
            raise InputError(
                f"evaluation.judge: {self.settings.url} refuses what is asked (status {error.code}): check url, model and "
                "key_variable"
            ) from None
        except (OSError, HTTPException) as error:
            raise _Busy(type(error).__name__) from None

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        name = self.settings.key_variable
        if name is None:
            return headers
        if not (key := self.environment.get(name, "").strip()):
            raise InputError(f"evaluation.judge.key_variable: {name} is not set: put the judge's key into it, or drop the setting")
        return {**headers, "Authorization": f"Bearer {key}"}


def judge_client(settings: ModelJudge, folder: Path, pause: Callable[[float], None]) -> JudgeClient:
    """The judge of a config; InputError where its key is missing."""
    judge = JudgeClient(settings, folder, pause, os.environ)
    judge._headers()
    return judge


def _content_of(body: bytes) -> str:
    """The text of a chat completion; empty where the body is none, which no judgement is."""
    try:
        value = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        return ""
    return value if isinstance(value, str) else ""
