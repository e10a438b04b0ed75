"""A Prefect server that Tunekeeper starts once: it outlives runs, and ends itself when no process has used it for a while."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from configs.errors import InfraError
from flows.local.logs import log_file, rotate_log
from flows.local.prefect_address import at_address, named_if_away, watched_server
from tasks.common.home import Home
from tasks.common.locks import take_lock, wait_for_lock

PORT = 4200
START_SECONDS = 120
IDLE_SECONDS = 600
DATABASE_BYTES = 5_000_000  # of room that its database wants, at the least
SAID = "server.json"  # where the server is, and its process


@contextmanager
def prefect_server(home: Home) -> Iterator[str]:
    """The API of the server that PREFECT_API_URL names, else of our own, started if it is not up; in use while the block lasts."""
    address = os.environ.get("PREFECT_API_URL")
    if address:
        remedy = "start it, or correct or unset PREFECT_API_URL, then run the same command again"
        with at_address(address), named_if_away(address, remedy), watched_server(address, remedy):
            yield address
        return
    with in_use(home):
        url = server_address(home) or _start_server(home)
        remedy = f"run the same command again, which starts another; its log is {log_of(home)}"
        with at_address(url), named_if_away(url, remedy), watched_server(url, remedy):
            yield url


@contextmanager
def prefect_if_up(home: Home) -> Iterator[bool]:
    """Whether there is a server to report to: the one that PREFECT_API_URL names, or our own if it runs; none is started."""
    with in_use(home):
        url = os.environ.get("PREFECT_API_URL") or server_address(home)
        if url is None:
            yield False
            return
        logging.getLogger("EventsWorker").setLevel(logging.ERROR)  # it sends its last as Python exits, and warns of that
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")  # a terminal wants our own words alone
        with at_address(url):
            yield True


@contextmanager
def in_use(home: Home) -> Iterator[None]:
    """A shared lock that death releases: the server ends only when it can have it alone."""
    home.prefect.mkdir(parents=True, exist_ok=True)
    with (home.prefect / "in-use.lock").open("a") as file:
        wait_for_lock(file, shared=True)
        yield


def server_address(home: Home) -> str | None:
    """The address of our server if it lives and answers; another home's server may have its port by now."""
    url = _read_address(home)
    try:
        with (home.prefect / "server.lock").open("r") as lock:
            lives = not take_lock(lock, shared=True)
    except OSError:  # there is none, or the home is no folder, which others say
        return None
    return url if lives and url is not None and _is_healthy(url) else None


def _previous_port(home: Home) -> int:
    """The port it had last, so that its address stays valid; else Prefect's usual one."""
    return urllib.parse.urlsplit(_read_address(home) or "").port or PORT


def _read_address(home: Home) -> str | None:
    try:
        return str(json.loads((home.prefect / SAID).read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310  (our own address)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _start_server(home: Home) -> str:
    """Start it in a session of its own; of many processes that try at once one does, the others wait for it.

    The server holds `server.lock` from its first moment, so a second one is not started where the first one's starter was killed.
    """
    with (home.prefect / "starting.lock").open("a") as starting, (home.prefect / "server.lock").open("a") as own:
        wait_for_lock(starting)
        if _wait_until_up(home, lambda: not take_lock(own)):
            return str(_read_address(home))
        if not take_lock(own):
            raise InfraError(f"a local Prefect server runs and does not answer: end the process named in {home.prefect / SAID}")
        process = _spawn_server(home, [_previous_port(home), 0], own.fileno(), {})
        if not _wait_until_up(home, lambda: process.poll() is None):
            process.kill()
            raise InfraError(f"the local Prefect server did not start: {_failure_cause(home)}")
        return str(_read_address(home))


def _failure_cause(home: Home) -> str:
    """The likely cause, and what to do."""
    if (free := shutil.disk_usage(home.path).free) < DATABASE_BYTES:
        return f"{home.path} has {free / 1e6:.1f} MB of room left: free some space, or set TUNEKEEPER_HOME to another disk"
    from tasks.health.servers import check_prefect_file

    if (database := check_prefect_file(home)).state == "fail":
        return f"{database.what}: {database.remedy}"
    return f"its log is {log_of(home)}. Set PREFECT_API_URL to use another one"


def start_at(home: Home, port: int, idle_seconds: float) -> subprocess.Popen[bytes] | None:
    """Start it at a port, for a caller that supervises it; None where one lives already, or is being started."""
    with (home.prefect / "starting.lock").open("a") as starting, (home.prefect / "server.lock").open("a") as own:
        if not take_lock(starting) or not take_lock(own):
            return None
        return _spawn_server(home, [port], own.fileno(), {"TUNEKEEPER_SERVER_IDLE_SECONDS": str(idle_seconds)})


def log_of(home: Home) -> Path:
    return home.path / "logs" / "prefect.log"


def is_alive(home: Home) -> bool:
    """Whether a server of this home is there, answering or not."""
    with (home.prefect / "server.lock").open("a") as lock:
        return not take_lock(lock)


def used_by_others(home: Home) -> bool:
    """Whether a run holds the server in use; the caller has let go of it."""
    with (home.prefect / "in-use.lock").open("a") as lock:
        return not take_lock(lock)


def _spawn_server(home: Home, ports: list[int], lock: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the process; it writes its address once it has one of the ports, and the older address is deleted before."""
    (home.prefect / SAID).unlink(missing_ok=True)
    with log_file(log_of(home)) as out:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.local.server", str(home.path), *map(str, ports)],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=home.path, pass_fds=(lock,),
            env={**os.environ, **environment},
        )  # fmt: skip


def _wait_until_up(home: Home, alive: Callable[[], bool]) -> bool:
    """Wait until the server answers; False where it is dead or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while server_address(home) is None:
        if not alive() or time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _listen(ports: list[int]) -> socket.socket:
    """Listen at the first of the ports that is free; the socket reserves the port, also against a process that asks at once."""
    for port in ports:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that a server has just left is free
        try:
            listening.bind(("127.0.0.1", port))
            listening.listen(2048)
            return listening
        except OSError:
            listening.close()
    raise InfraError(f"none of the ports {ports} is free on 127.0.0.1 (0: any): end the server that has it")


def _end_when_idle(lock: Path, idle_seconds: float, log: Path) -> None:
    """Exit while holding the lock, once no process has held it for a while: the next one finds no server, not a dying one.

    Meanwhile keep the server's log small: the server outlives the process that started it.
    """
    idle_since = time.monotonic()
    while lock.exists():  # a home that was deleted needs no server
        time.sleep(min(5.0, idle_seconds / 4))
        rotate_log(log)
        with suppress(FileNotFoundError), lock.open("r") as file:
            if not take_lock(file):
                idle_since = time.monotonic()
            if time.monotonic() - idle_since >= idle_seconds:
                os._exit(0)
    os._exit(0)


def main() -> None:
    """Serve until idle: the process that `_spawn_server` begins."""
    home, listening = Path(sys.argv[1]), _listen([int(port) for port in sys.argv[2:]])
    port = listening.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    os.environ |= {"PREFECT_SERVER_API_HOST": "127.0.0.1", "PREFECT_SERVER_API_PORT": str(port), "PREFECT_UI_API_URL": url}
    (home / "prefect" / SAID).write_text(json.dumps({"url": url, "pid": os.getpid()}))
    import uvicorn
    from prefect.server.api.server import create_app

    idle = float(os.environ.get("TUNEKEEPER_SERVER_IDLE_SECONDS", IDLE_SECONDS))
    watched = home / "prefect" / "in-use.lock", idle, home / "logs" / "prefect.log"
    threading.Thread(target=_end_when_idle, args=watched, daemon=True).start()
    uvicorn.Server(uvicorn.Config(create_app(), log_level="warning", lifespan="on")).run(sockets=[listening])


if __name__ == "__main__":
    main()
