"""The address that Prefect's client in this process asks, and the error where no server answers there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from configs.errors import InfraError
from tasks.common.http import fetch
from tasks.common.processes import environment_variable


@contextmanager
def named_if_away(url: str, remedy: str) -> Iterator[None]:
    """Where the block fails for want of a server, raise an error with its address and the remedy, which Prefect's may lack."""
    try:
        yield
    except Exception as error:
        from httpx import HTTPError

        unreachable = isinstance(error, HTTPError) or "Failed to reach API" in str(error)
        if not unreachable or (health := fetch(f"{url}/health")).status != 0:
            raise
        raise InfraError(f"the Prefect server at {url} does not answer ({health.text}): {remedy}; what was done is kept") from error


@contextmanager
def at_address(url: str) -> Iterator[None]:
    """Prefect's client in this process asks `url`, and so do processes started from here.

    Prefect reads the environment once, as it is imported, and a client that knows no address starts a server of its own: so its
    settings get the address too, in case Prefect was imported before.
    """
    with environment_variable("PREFECT_API_URL", url):
        from prefect.settings import PREFECT_API_URL, temporary_settings

        with temporary_settings({PREFECT_API_URL: url}):
            yield
