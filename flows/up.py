"""MLflow, Prefect and a worker on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from configs.errors import InfraError
from flows.server import free_port, prefect_server
from tasks.home import Home, find_home, settle_environment
from tasks.terminal import say

POOL = "tunekeeper"
GRACE_SECONDS = 20


def up() -> None:
    """Start what is not up yet, say where it is, and wait; what was started here ends with this process."""
    home = find_home()
    settle_environment(home)
    with prefect_server(home) as api:
        mlflow, url = _mlflow(home)
        worker = _worker(home)
        say(f"MLflow   {url}")
        say(f"Prefect  {api.removesuffix('/api')}")
        say(f"a worker serves the pool `{POOL}`; logs are in {home.path / 'logs'}; Ctrl-C ends all of it")
        try:
            _wait({"MLflow": mlflow, "the worker": worker})
        finally:
            _end(worker, mlflow)


def _wait(processes: dict[str, subprocess.Popen[bytes]]) -> None:
    """Return on SIGTERM or Ctrl-C; InfraError when one of them ends by itself."""
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, signal.default_int_handler)
    try:
        while True:
            for name, process in processes.items():
                if process.poll() is not None:
                    raise InfraError(f"{name} ended with code {process.returncode}: see its log")
            time.sleep(0.5)
    except KeyboardInterrupt:
        return


def _end(*processes: subprocess.Popen[bytes]) -> None:
    """Ask each and its children to end, which lets a training save a checkpoint; what has not ended by then is killed."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _mlflow(home: Home) -> tuple[subprocess.Popen[bytes], str]:
    port = int(os.environ.get("TUNEKEEPER_MLFLOW_PORT", 0)) or free_port(5000)
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", home.tracking_uri, "--default-artifact-root", home.artifacts.as_uri(), "--workers", "1",
    ]  # fmt: skip
    return _start(command, home.path / "logs" / "mlflow.log"), f"http://127.0.0.1:{port}"


def _worker(home: Home) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", "local"]
    return _start(command, home.path / "logs" / "worker.log")


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
