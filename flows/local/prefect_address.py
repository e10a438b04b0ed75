"""The address that Prefect's client in this process asks, and the error where no server answers there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from configs.errors import InfraError
from tasks.common.http import fetch
from tasks.common.processes import environment_variable


@contextmanager
def named_if_away(url: str, remedy: str) -> Iterator[None]:
    """Where the block fails for want of a server, raise an error with its address and the remedy, which Prefect's may lack.

    A proxy's page, or no answer in time, is as little of a server as a closed port.
    """
    try:
        yield
    except Exception as error:
        if (reason := _fault_of_server(url, error)) is None:
            raise
        raise InfraError(f"the Prefect server at {url} does not answer ({reason}): {remedy}; what was done is kept") from error


def _fault_of_server(url: str, error: Exception) -> str | None:
    """What is wrong with the server where an error comes of that; None for an error that a sound server has answered with."""
    from httpx import HTTPError, HTTPStatusError

    turned_away = "Failed to reach API" in str(error)
    if not turned_away and not isinstance(error, HTTPError):
        return None
    health = fetch(f"{url}/health")
    if health.status == 0:
        return health.text
    if not health.ok or health.value is not True:
        return f"HTTP {health.status} from {url}/health, which is not a Prefect server's word"
    if isinstance(error, HTTPStatusError) and error.response.status_code < 500:
        return None
    return str(error) or type(error).__name__


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
