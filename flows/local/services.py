"""The services that `up` runs on this machine: their addresses, free ports, commands and health checks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from configs.errors import InfraError, InputError
from flows.local import server
from flows.local.supervise import GuardedProcess, SupervisedProcess
from tasks.common.home import Home
from tasks.common.http import fetch, port_is_free, port_listener, prefect_headers
from tasks.common.terminal import print_notice

POOL = "tunekeeper"
GRACE_SECONDS = 14.0  # what a training gets to save its checkpoint
SERVER_IDLE_SECONDS = 15.0  # how long the Prefect server outlives an `up` that was killed
PORTS = {"MLflow": ("TUNEKEEPER_MLFLOW_PORT", 5000), "Prefect": ("TUNEKEEPER_PREFECT_PORT", 4200)}
SERVICE_PORT = ("TUNEKEEPER_SERVE_PORT", 8000)


@dataclass(frozen=True)
class ServicePlan:
    """The services to run and where: `prefect` and `mlflow` are addresses, and those not in `own` are others' servers."""

    home: Home
    prefect: str
    mlflow: str
    own: frozenset[str]
    config: Path | None
    overrides: Sequence[str]
    port: int

    @property
    def service(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PREFECT_API_URL": self.prefect,
            "TUNEKEEPER_MLFLOW_PAGES": self.mlflow,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }


def plan_for(home: Home, config: Path | None, overrides: Sequence[str], ports: Mapping[str, int | None]) -> ServicePlan:
    """The addresses, after a check of the ports: one error names every port that is taken, before anything starts."""
    prefect = os.environ.get("PREFECT_API_URL") or _adopted_address(home)
    mlflow = home.tracking_uri if home.tracking_uri.startswith("http") else None
    own = [name for name, address in (("MLflow", mlflow), ("Prefect", prefect)) if address is None]
    numbers = {name: port_of(ports.get(name), *PORTS[name], option=f"--{name.lower()}-port") for name in own}
    port = port_of(ports.get("service"), *SERVICE_PORT)
    settings = {**{name: (PORTS[name][0], port) for name, port in numbers.items()}}
    if config is not None:
        settings["the service"] = (SERVICE_PORT[0], port)
    _check_ports(settings)
    return ServicePlan(
        home,
        prefect or f"http://127.0.0.1:{numbers['Prefect']}/api",
        mlflow or f"http://127.0.0.1:{numbers['MLflow']}",
        frozenset(numbers),
        config,
        overrides,
        port,
    )


def port_of(number: int | None, variable: str, usual: int, option: str = "--port", lowest: int = 1) -> int:
    """The port that the option names, else the variable, else the usual one; InputError where that is no port."""
    name, text = (option, str(number)) if number is not None else (variable, os.environ.get(variable) or str(usual))
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not (lowest if number is not None else 1) <= int(text) < 65536:
        raise InputError(f"{name} is `{text[:20]}`: set it to a port, a number from 1 to 65535")
    return int(text)


def _check_ports(ports: Mapping[str, tuple[str, int]]) -> None:
    faults = [
        f"  {port} for {name}: taken by {port_listener(port) or 'another process'}; end it, or set {variable} to another port"
        for name, (variable, port) in ports.items()
        if not port_is_free(port)
    ]
    numbers = [port for _, port in ports.values()]
    faults += [f"  {port} is asked for twice: choose another" for port in sorted({n for n in numbers if numbers.count(n) > 1})]
    if faults:
        raise InfraError("nothing was started, for want of ports:\n" + "\n".join(faults))


def _adopted_address(home: Home) -> str | None:
    """The address of this home's server that a run has started, None without one; waits where it is being started."""
    deadline = time.monotonic() + server.START_SECONDS
    while (address := server.server_address(home)) is None and server.is_alive(home) and time.monotonic() < deadline:
        time.sleep(0.2)
    return address


def local_services(plan: ServicePlan, used: ExitStack) -> list[SupervisedProcess]:
    logs, services = plan.home.path / "logs", list[SupervisedProcess]()
    ui = plan.prefect.removesuffix("/api")
    if not os.environ.get("PREFECT_API_URL"):
        start: Callable[[], PrefectServer] = lambda: PrefectServer(plan, used)  # noqa: E731
        services.append(
            SupervisedProcess(
                "Prefect", ui, server.log_of(plan.home), start, lambda: _is_healthy(f"{plan.prefect}/health"), stage=1
            )
        )
    if "MLflow" in plan.own:
        begin = _guarded_start(plan, _mlflow_command(plan), logs / "mlflow.log", 4, MLFLOW_BACKEND_STORE_URI=plan.home.tracking_uri)
        services.append(
            SupervisedProcess(
                "MLflow", plan.mlflow, logs / "mlflow.log", begin, lambda: _is_healthy(f"{plan.mlflow}/health"), stage=1
            )
        )
    servers, log = ("Prefect", "MLflow"), logs / "worker.log"
    began: list[float] = []
    worker = _guarded_start(plan, _worker_command(), log, GRACE_SECONDS, lambda: began.append(time.time()))
    services.append(
        SupervisedProcess("worker", f"pool {POOL}", log, worker, lambda: _has_heartbeat(plan.prefect, began[-1]), servers)
    )
    if plan.config is not None:
        log = logs / "service.log"
        serve = _guarded_start(plan, _serve_command(plan, plan.config), log, GRACE_SECONDS)
        health = f"{plan.service}/health"
        services.append(
            SupervisedProcess("service", plan.service, log, serve, lambda: _is_healthy(health), servers, hopeless=frozenset({2}))
        )
    return services


def _guarded_start(
    plan: ServicePlan,
    command: Sequence[str],
    log: Path,
    grace: float,
    before: Callable[[], object] = lambda: None,
    **environment: str,
) -> Callable[[], GuardedProcess]:
    def start() -> GuardedProcess:
        before()
        return GuardedProcess(command, {**plan.environment, **environment}, log, grace)

    return start


def _mlflow_command(plan: ServicePlan) -> list[str]:
    """Its database is named by the environment: every user of a machine can read the words of a command."""
    home, port = plan.home, plan.mlflow.rpartition(":")[2]
    return [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port,
        "--default-artifact-root", home.artifacts.as_uri(), "--workers", "1",
    ]  # fmt: skip


def _worker_command() -> list[str]:
    name = f"up-{socket.gethostname()}"
    return [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--name", name]


def _serve_command(plan: ServicePlan, config: Path) -> list[str]:
    return [sys.executable, "-m", "flows", "serve", str(config), *plan.overrides, "--port", str(plan.port)]


class PrefectServer:
    """This home's server: begun here, or a run's that is adopted; it ends with `up` unless a run still uses it."""

    def __init__(self, plan: ServicePlan, used: ExitStack) -> None:
        self.home, self.used = plan.home, used
        port = int(plan.prefect.removesuffix("/api").rpartition(":")[2])
        self.process: subprocess.Popen[bytes] | None = server.start_at(plan.home, port, SERVER_IDLE_SECONDS)
        self.pid: int | None = self.process.pid if self.process else None
        self.asked = self.stays = False

    def ended(self) -> int | None:
        if self.process is not None:
            return self.process.poll()
        return None if server.is_alive(self.home) else -signal.SIGKILL

    def stop(self) -> None:
        self.used.close()
        if self.process is None or server.used_by_others(self.home):
            if not self.asked:
                print_notice("the Prefect server stays for the runs that use it, and ends by itself when none does")
            self.process, self.stays = None, True
        elif self.asked:
            self.process.kill()
        else:
            self.process.terminate()
        self.asked = True

    def over(self) -> bool:
        return self.process is None or self.process.poll() is not None


def _is_healthy(url: str) -> bool:
    return fetch(url, headers=prefect_headers(), seconds=1).ok


def _has_heartbeat(api: str, since: float) -> bool:
    """Whether a worker of the pool has sent a heartbeat since then."""
    answer = fetch(f"{api}/work_pools/{POOL}/workers/filter", {}, prefect_headers(), seconds=1)
    beats = [worker.get("last_heartbeat_time") or "" for worker in answer.value or []] if answer.ok else []
    return any(_epoch_seconds(beat) >= since for beat in beats)


def _epoch_seconds(text: str) -> float:
    with suppress(ValueError):
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    return 0.0
