"""A Prefect server that Tunekeeper starts once and keeps: it outlives runs, and ends itself when nobody has used it for a while."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from configs.errors import InfraError
from tasks.home import Home

START_SECONDS = 120
IDLE_SECONDS = 600


@contextmanager
def prefect_server(home: Home) -> Iterator[str]:
    """The API of the server that PREFECT_API_URL names, else of our own, started if it is not up; in use while the block lasts."""
    given = os.environ.get("PREFECT_API_URL")
    if given:
        yield given
        return
    home.prefect.mkdir(parents=True, exist_ok=True)
    with _in_use(home):
        os.environ["PREFECT_API_URL"] = _running(home) or _start(home)
        try:
            yield os.environ["PREFECT_API_URL"]
        finally:
            del os.environ["PREFECT_API_URL"]


@contextmanager
def _in_use(home: Home) -> Iterator[None]:
    """A shared lock that death releases: the server ends only when it can have it alone."""
    with (home.prefect / "in-use.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def _running(home: Home) -> str | None:
    """The address of our server if it answers."""
    try:
        url = str(json.loads((home.prefect / "server.json").read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None
    return url if _answers(url) else None


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310  (our own address)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _start(home: Home) -> str:
    """Start it in a session of its own; of many who try at once one does, the others wait for it."""
    with (home.prefect / "starting.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        url = _running(home)
        if url is not None:
            return url
        port = free_port(4200)
        log = home.prefect / "server.log"
        environment = {**os.environ, "PREFECT_SERVER_API_HOST": "127.0.0.1", "PREFECT_SERVER_API_PORT": str(port)}
        environment["PREFECT_UI_API_URL"] = f"http://127.0.0.1:{port}/api"
        with log.open("ab") as out:
            command = [sys.executable, "-m", "flows.server", str(home.path), str(port)]
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=environment, cwd=home.path
            )
        url = f"http://127.0.0.1:{port}/api"
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise InfraError(
                    f"the local Prefect server did not start; its log is {log}. Set PREFECT_API_URL to use another one"
                )
            time.sleep(0.1)
        (home.prefect / "server.json").write_text(json.dumps({"url": url, "pid": process.pid}))
        return url


def free_port(wanted: int) -> int:
    """The port that is wanted, or one that is free."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise InfraError("no port is free on 127.0.0.1: end some other servers")


def _end_when_idle(lock: Path, idle_seconds: float) -> None:
    """Leave when nobody has held the lock for a while."""
    idle_since = time.monotonic()
    while time.monotonic() - idle_since < idle_seconds and lock.exists():  # a home that was deleted needs no server
        time.sleep(min(5.0, idle_seconds / 4))
        with suppress(FileNotFoundError), lock.open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                idle_since = time.monotonic()
    os._exit(0)


def main() -> None:
    """Serve until idle: the process that `_start` begins."""
    import uvicorn
    from prefect.server.api.server import create_app

    home, port = Path(sys.argv[1]), int(sys.argv[2])
    idle = float(os.environ.get("TUNEKEEPER_SERVER_IDLE_SECONDS", IDLE_SECONDS))
    threading.Thread(target=_end_when_idle, args=(home / "prefect" / "in-use.lock", idle), daemon=True).start()
    uvicorn.run(create_app(), host="127.0.0.1", port=port, log_level="warning", lifespan="on")


if __name__ == "__main__":
    main()
