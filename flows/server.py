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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from configs.errors import InfraError
from tasks.home import Home

START_SECONDS = 120
IDLE_SECONDS = 600
SAID = "server.json"  # where the server is, and its process


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
    """The address of our server if it lives and answers; another home's may have its port by now."""
    url = _said(home)
    try:
        with (home.prefect / "server.lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return url if url is not None and _answers(url) else None
    return None


def _said(home: Home) -> str | None:
    try:
        return str(json.loads((home.prefect / SAID).read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310  (our own address)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _start(home: Home) -> str:
    """Start it in a session of its own; of many who try at once one does, the others wait for it.

    The server holds `server.lock` from its first moment, so that one whose starter was killed is waited for, not doubled.
    """
    with (home.prefect / "starting.lock").open("a") as starting, (home.prefect / "server.lock").open("a") as own:
        fcntl.flock(starting, fcntl.LOCK_EX)
        if _comes_up(home, lambda: not _free(own)):
            return str(_said(home))
        if not _free(own):
            raise InfraError(f"a local Prefect server runs and does not answer: end the process named in {home.prefect / SAID}")
        process = _spawn(home, free_port(4200), own.fileno())
        if not _comes_up(home, lambda: process.poll() is None):
            process.kill()
            log = home.prefect / "server.log"
            raise InfraError(f"the local Prefect server did not start; its log is {log}. Set PREFECT_API_URL to use another one")
        return str(_said(home))


def _spawn(home: Home, port: int, lock: int) -> subprocess.Popen[bytes]:
    url = f"http://127.0.0.1:{port}/api"
    (home.prefect / SAID).write_text(json.dumps({"url": url}))
    own = {"PREFECT_SERVER_API_HOST": "127.0.0.1", "PREFECT_SERVER_API_PORT": str(port), "PREFECT_UI_API_URL": url}
    with (home.prefect / "server.log").open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.server", str(home.path), str(port)],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env={**os.environ, **own}, cwd=home.path,
            pass_fds=(lock,),
        )  # fmt: skip


def _free(lock: IO[str]) -> bool:
    """Whether no server has the lock; if so, it is held from here on."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _comes_up(home: Home, alive: Callable[[], bool]) -> bool:
    """Wait until the server answers; False where it is dead or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while _running(home) is None:
        if not alive() or time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


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
    """Leave when nobody has held the lock for a while, holding it: whoever comes then finds no server, not a dying one."""
    idle_since = time.monotonic()
    while lock.exists():  # a home that was deleted needs no server
        time.sleep(min(5.0, idle_seconds / 4))
        with suppress(FileNotFoundError), lock.open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                idle_since = time.monotonic()
            if time.monotonic() - idle_since >= idle_seconds:
                os._exit(0)
    os._exit(0)


def main() -> None:
    """Serve until idle: the process that `_start` begins."""
    home, port = Path(sys.argv[1]), int(sys.argv[2])
    (home / "prefect" / SAID).write_text(json.dumps({"url": f"http://127.0.0.1:{port}/api", "pid": os.getpid()}))
    import uvicorn
    from prefect.server.api.server import create_app

    idle = float(os.environ.get("TUNEKEEPER_SERVER_IDLE_SECONDS", IDLE_SECONDS))
    threading.Thread(target=_end_when_idle, args=(home / "prefect" / "in-use.lock", idle), daemon=True).start()
    uvicorn.run(create_app(), host="127.0.0.1", port=port, log_level="warning", lifespan="on")


if __name__ == "__main__":
    main()
