"""The address that Prefect's client in this process asks, and the error where no server answers there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from configs.errors import InfraError
from tasks.common.http import fetch
from tasks.common.processes import environment_variable
from tasks.common.terminal import print_notice

PATIENCE = 20.0  # seconds in which a server has to answer before a run begins, or is said to be silent
PAUSE = 10.0  # seconds between two looks at a server while a run uses it


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


@contextmanager
def watched_server(url: str, remedy: str) -> Iterator[None]:
    """Tell a person when a server that answers falls silent in the block, for which the run then waits, and when it is back.

    InfraError, at once, for one that lets a caller wait: Prefect's client would do so for minutes. Any other fault it says itself.
    """
    health = fetch(f"{url}/health", seconds=PATIENCE)
    if health.status == 0 and "timed out" in health.text:
        raise InfraError(f"the Prefect server at {url} does not answer in {PATIENCE:.0f} s: {remedy}; nothing was begun")
    over = threading.Event()
    if health.status:
        threading.Thread(target=_watch, args=(url, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _watch(url: str, over: threading.Event) -> None:
    silent = False
    while not over.wait(PAUSE):
        health = fetch(f"{url}/health", seconds=PATIENCE)
        if over.is_set() or (health.status == 0) is silent:
            continue
        silent = not silent
        fault = f"does not answer ({health.text}): the run waits for it; it can be stopped by Ctrl-C, and goes on from there"
        print_notice(f"the Prefect server at {url} {fault if silent else 'answers again'}")


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
