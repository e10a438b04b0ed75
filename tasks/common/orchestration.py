"""The project's only way to Prefect's decorators, artifacts and events: what they send to its server is without credentials.

An error becomes the message of a state and a line of a log there, and so does that of a library, which may name an address with its
password. One that does is replaced before Prefect sees it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import prefect
from prefect import artifacts, events
from prefect.utilities.hashing import file_hash

from configs.credentials import clean_value, without_credentials
from configs.errors import InfraError

P = ParamSpec("P")
R = TypeVar("R")


def task(**options: Any) -> Callable[[Callable[P, R]], prefect.Task[P, R]]:
    """Prefect's `task`, whose errors are without credentials."""
    return lambda function: prefect.task(**options)(_with_clean_errors(function))


def flow(**options: Any) -> Callable[[Callable[P, R]], prefect.Flow[P, R]]:
    """Prefect's `flow`, whose errors are without credentials; its version is the hash of the file that it is written in."""

    def decorate(function: Callable[P, R]) -> prefect.Flow[P, R]:
        version = file_hash(inspect.getfile(function))[:32]
        return prefect.flow(**{"version": version, **options})(_with_clean_errors(function))

    return decorate


def create_markdown_artifact(markdown: str, key: str, description: str | None = None) -> None:
    artifacts.create_markdown_artifact(without_credentials(markdown), key=key, description=description)


def create_table_artifact(rows: list[dict[str, Any]], key: str, description: str | None = None) -> None:
    artifacts.create_table_artifact(clean_value(rows), key=key, description=description)


def create_link_artifact(link: str, text: str, key: str) -> None:
    artifacts.create_link_artifact(without_credentials(link), link_text=without_credentials(text), key=key)


def create_progress_artifact(key: str) -> UUID:
    """A bar at its beginning; its id."""
    artifact: Any = artifacts.create_progress_artifact(0.0, key=key, description="not begun")
    return UUID(str(artifact))


def update_progress_artifact(artifact: UUID, percent: float, description: str) -> None:
    artifacts.update_progress_artifact(artifact, percent, description=without_credentials(description))


def emit_event(name: str, resource: dict[str, str], payload: dict[str, object]) -> None:
    events.emit_event(name, resource=clean_value(resource), payload=clean_value(payload))


def _with_clean_errors(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose errors are without credentials; in the globals of its own module, where Prefect looks up its types."""
    plain_one = _without_credentials

    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if (plain := plain_one(error)) is not error:
                raise plain from None
            raise

    copy: Any = FunctionType(called.__code__, getattr(function, "__globals__"), closure=called.__closure__)  # noqa: B009
    return wraps(function)(copy)


def _without_credentials(error: Exception) -> Exception:
    """The error itself; one of ours in its place where its message holds a credential."""
    message = f"{type(error).__name__}: {error}"
    plain = without_credentials(message)
    return error if plain == message else InfraError(plain)
