"""MLflow, Prefect, a worker and the service on this machine, kept alive until Ctrl-C."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from configs.credentials import clean_value
from configs.errors import InfraError
from flows.local import server
from flows.local.services import POOL, ServicePlan, local_services, plan_for
from flows.local.supervise import GuardedProcess, Supervisor
from tasks.common.home import Home, find_home, settle_environment
from tasks.common.http import HttpAnswer, fetch
from tasks.common.locks import take_lock
from tasks.common.terminal import console, print_notice
from tasks.tracking.client import Tracking
from tasks.tracking.database import open_database

LOCK = Path("locks", "up.lock")
SAID = "up.json"  # what runs where, for a second `up` and for `doctor`
NOT_LOOKED = "not looked at yet"  # what a service says of a registry that it has not asked
PATIENCE = (17.0, 5.0)  # seconds for the worker and the service, then for the servers: less than 25 in all


def run_services(config: Path | None, overrides: Sequence[str], ports: Mapping[str, int | None], *, as_json: bool = False) -> None:
    """Start what is not up yet, say where it is, and keep it; what was started here ends with this process."""
    home = find_home()
    settle_environment(home)
    if config is not None:
        from configs.load import load_pipeline

        load_pipeline(config, overrides)
    with ExitStack() as stack:
        stack.enter_context(_single_instance(home))
        used = stack.enter_context(ExitStack())
        used.enter_context(server.in_use(home))
        plan = plan_for(home, config, overrides, ports)
        tracking = Tracking(home)
        tracking.attempt("opening its database", partial(open_database, home))
        supervisor = Supervisor(local_services(plan, used), print_notice)
        supervisor.run(lambda seconds: _announce_ready(plan, supervisor, seconds, as_json), PATIENCE)


@contextmanager
def _single_instance(home: Home) -> Iterator[None]:
    """Refuse a second `up` on the same home, with the addresses of the first one's servers."""
    (home.path / LOCK).parent.mkdir(exist_ok=True)
    with (home.path / LOCK).open("a") as lock:
        if not take_lock(lock):
            status = running_up(home)
            where = "".join(f"\n  {name:<8} {url}" for name, url in status.get("addresses", {}).items())
            raise InfraError(
                f"`tunekeeper up` runs already for {home.path} (process {status.get('pid', 'unknown')}): use that one, or end it; "
                f"for a second one set TUNEKEEPER_HOME and other ports{where}"
            )
        _write_status(home, {"pid": os.getpid()})
        try:
            yield
        finally:
            (home.path / SAID).unlink()


def _write_status(home: Home, status: Mapping[str, object]) -> None:
    (home.path / SAID).write_text(json.dumps(status))


def running_up(home: Home) -> dict[str, Any]:
    """The status of the `up` of this home: pid, since, addresses; empty where none runs, also after a killed one."""
    try:
        with (home.path / LOCK).open("r") as lock:
            if take_lock(lock):
                return {}
        status: dict[str, Any] = json.loads((home.path / SAID).read_text())
    except (OSError, ValueError):
        return {}
    return status


def _announce_ready(plan: ServicePlan, supervisor: Supervisor, seconds: dict[str, float], as_json: bool) -> None:
    """Print and write all addresses; then put right what an earlier kill left."""
    addresses = clean_value({"MLflow": plan.mlflow, "Prefect": plan.prefect.removesuffix("/api")})
    if plan.config is not None:
        addresses["service"] = plan.service
    since = datetime.now(UTC).isoformat(timespec="seconds")
    status = {"pid": os.getpid(), "since": since, "home": str(plan.home.path), "addresses": addresses}
    _write_status(plan.home, status)
    _print_services(plan, seconds)
    if as_json:
        sys.stdout.write(json.dumps({**status, "pids": supervisor.pids()}) + "\n")
        sys.stdout.flush()
    mend = [sys.executable, "-m", "flows.reconcile"]
    supervisor.helpers.append(GuardedProcess(mend, plan.environment, plan.home.path / "logs" / "reconcile.log", 2))


def _print_services(plan: ServicePlan, seconds: dict[str, float]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2), show_header=False)
    rows = clean_value({"MLflow": plan.mlflow, "Prefect": plan.prefect.removesuffix("/api"), "worker": f"pool {POOL}"})
    if plan.config is not None:
        rows["service"] = plan.service
    for name, where in rows.items():
        after = f"ready after {seconds[name]:.0f} s" if name in seconds else "not started here"
        table.add_row(f"[green]✓[/] {name}", f"[bold]{where}[/]", f"[dim]{_service_text(plan) if name == 'service' else after}[/]")
    console().print()
    console().print(table)
    console().print(f"\n  [dim]logs: {plan.home.path / 'logs'}; Ctrl-C ends all of it[/]")


def _service_text(plan: ServicePlan) -> str:
    return service_state(fetch(f"{plan.service}/ready"), plan.config)


def service_state(ready: HttpAnswer, config: Path | None) -> str:
    """The service's state in words, by its answer to /ready; it waits for a champion only where the registry was read."""
    now = ready.value if isinstance(ready.value, dict) else {}
    if ready.ok:
        return "answers"
    if now.get("refused"):
        return f"does not answer yet: {now['refused']}"
    if now.get("alias_names"):
        return f"loads version {now['alias_names']}"
    if now.get("registry") == "read":
        return f"waits for a champion: tunekeeper retrain {config}"
    return "looks for its champion" if now.get("registry", NOT_LOOKED) == NOT_LOOKED else f"waits: {now['registry']}"
