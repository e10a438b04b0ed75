"""What is wrong here and how to mend it: every check at once, in seconds, nothing written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from urllib.parse import urlsplit

from configs.credentials import without_credentials
from configs.errors import InfraError, InputError
from configs.schema import Pipeline
from flows.local import prefect_address, server
from flows.local.services import POOL, PORTS, SERVICE_PORT, port_of
from flows.local.up import running_up
from tasks.common.home import Home, configured_home, settle_environment
from tasks.common.terminal import console
from tasks.health import machine, pipeline_inputs, servers
from tasks.health.machine import HealthCheck

MARKS = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "fail": "[red]✗[/]"}
SPENT = 2  # finished trainings whose checkpoints one line names
Check = Callable[[], HealthCheck | Iterable[HealthCheck]]


def run_doctor(pipeline: Pipeline | None, *, quiet: bool) -> dict[str, object]:
    """Run every check; `ok` is False where one failed. A home that is not there yet is not made."""
    home = configured_home()
    settle_environment(home)
    began = time.monotonic()
    checks = run_checks(home, pipeline)
    if not quiet:
        _print_checks(checks, home)
    fine, seconds = all(check.state != "fail" for check in checks), round(time.monotonic() - began, 2)
    return {"ok": fine, "home": str(home.path), "seconds": seconds, "checks": [asdict(check) for check in checks]}


def run_checks(home: Home, pipeline: Pipeline | None) -> list[HealthCheck]:
    """Run the checks side by side, as most of them wait; leftovers and champion last, as they need servers that answer."""
    api = os.environ.get("PREFECT_API_URL") or server.server_address(home)
    with ThreadPoolExecutor() as pool:
        checks = [
            check for group in pool.map(lambda pair: _run_check(*pair), _named_checks(home, pipeline, api)) for check in group
        ]
    away = {check.name for check in checks if check.state == "fail"}
    checks += _run_check("strays", lambda: _check_leftovers(home, pipeline, None if "prefect" in away else api, away))
    if pipeline is not None and not away & {"mlflow", "ledger"}:
        checks += _run_check("champion", lambda: _check_champion(home, pipeline))
    return [
        HealthCheck(check.name, check.state, without_credentials(check.what), without_credentials(check.remedy)) for check in checks
    ]


def _named_checks(home: Home, pipeline: Pipeline | None, api: str | None) -> Iterator[tuple[str, Check]]:
    yield "python", machine.check_python
    yield "libraries", machine.check_libraries
    yield "mlflow command", machine.check_tools
    yield "telemetry", machine.check_telemetry
    yield "home", lambda: machine.home_folder(home)
    yield "memory", machine.check_memory
    yield "gpu", machine.check_gpu
    yield "redaction key", lambda: machine.check_redaction(home)
    yield "prefect", lambda: servers.check_prefect(api, home)
    if api is not None:
        yield "pool", lambda: servers.check_pools(api, servers.pool_names(pipeline, POOL))
    yield "mlflow", lambda: servers.check_mlflow(home)
    yield "paths", lambda: _check_paths(home)
    yield "ledger", lambda: servers.check_ledger(home)
    yield "traffic", lambda: servers.check_traffic(home)
    yield "ports", lambda: _check_ports(home)
    if pipeline is not None:
        yield "base", lambda: pipeline_inputs.check_base_of(pipeline, home)
        yield "data", lambda: pipeline_inputs.check_data(pipeline)


def _run_check(name: str, check: Check) -> list[HealthCheck]:
    """The results of a check; one that cannot be made has failed, with its error as the reason."""
    try:
        result = check()
        return [result] if isinstance(result, HealthCheck) else list(result)
    except (InputError, InfraError, OSError) as error:
        return [HealthCheck(name, "fail", str(error), "")]
    except Exception as error:  # noqa: BLE001  (whatever a damaged file makes a library raise: the other checks are still made)
        fault = f"cannot be looked at ({type(error).__name__}: {error})"
        return [HealthCheck(name, "fail", fault, "see that what it reads in this home is whole; if it is, report this")]


def _check_ports(home: Home) -> Iterable[HealthCheck]:
    up = running_up(home)
    ours = {urlsplit(url).port or 0 for url in up.get("addresses", {}).values()}
    ours |= {urlsplit(server.server_address(home) or "").port or 0}
    known = {**PORTS, "service": SERVICE_PORT}
    return servers.check_ports({name: (where[0], port_of(None, *where)) for name, where in known.items()}, ours)


def _check_leftovers(home: Home, pipeline: Pipeline | None, api: str | None, away: set[str]) -> Iterator[HealthCheck]:
    """The leftovers that `reconcile` would put right, by its own finders, as far as their servers answer."""
    from flows.reconcile import leftover_finders

    if not home.path.is_dir():
        return
    blind = away | (set() if api else {"prefect"})
    with _server_environment(api):
        leftovers = [leftover for look in leftover_finders(home, pipeline, blind, only_look=True) for leftover in look()]
    dead, spent = [leftover for leftover in leftovers if not leftover.spent], [leftover for leftover in leftovers if leftover.spent]
    if dead:
        kinds = sorted({leftover.kind for leftover in dead})
        counts = ", ".join(f"{sum(leftover.kind == kind for leftover in dead)} x {kind}" for kind in kinds)
        yield HealthCheck("strays", "warn", f"dead and not put away: {counts}", "tunekeeper reconcile; --dry-run only lists them")
    else:
        unseen = " and ".join(sorted(away & {"ledger", "mlflow", "prefect"}))
        limits = f", as far as can be seen without {unseen}" if unseen else ""
        yield HealthCheck("strays", "ok", f"nothing died and lies about{limits}")
    if spent:
        examples = "; ".join(f"{leftover.name}: {leftover.fault}" for leftover in spent[:SPENT])
        more = f" and of {len(spent) - SPENT} more" if len(spent) > SPENT else ""
        yield HealthCheck("room", "ok", f"`tunekeeper reconcile` frees it when wanted: {examples}{more}")


def _check_paths(home: Home) -> Iterator[HealthCheck]:
    from tasks.health.champion_files import home_paths

    yield from home_paths(home)


def _check_champion(home: Home, pipeline: Pipeline) -> Iterator[HealthCheck]:
    """Whether there is one, whether registry and ledger name the same, and whether its files are whole."""
    none = HealthCheck("champion", "warn", f"{pipeline.name} has none yet", "tunekeeper retrain CONFIG makes one")
    from tasks.context import open_ledger
    from tasks.health.champion_files import champion_files, experiment_of
    from tasks.health.upgrade import upgrade_check
    from tasks.ledger.promotions import check_registry, ledger_history, replayed_champion
    from tasks.opponent import ADOPTED
    from tasks.tracking.client import Tracking
    from tasks.tracking.registry import Registry

    ledger = open_ledger(home)
    if home.tracking_file is not None and not home.tracking_file.is_file():
        ledger_version = replayed_champion(ledger, pipeline.name) if ledger.exists else None
        fault = f"the ledger says version {ledger_version}, but {home.tracking_file} is gone"
        yield none if ledger_version is None else HealthCheck("champion", "fail", fault, "restore it from a copy")
        return
    with _server_environment(None):
        tracking = Tracking(home, only_look=True)
        registry = Registry(tracking, pipeline.release.alias)
        yield from experiment_of(tracking, pipeline.name)
        entries = ledger_history(ledger, pipeline.name)
        check_registry(entries, registry, pipeline.name)
        registry_version, ledger_version = registry.champion(pipeline.name), replayed_champion(ledger, pipeline.name)
        adopted = {row.to_version for row in entries if row.kind == ADOPTED}
        if registry_version != ledger_version:
            fault = f"the registry says {registry_version or 'none'}, the ledger {ledger_version or 'none'}"
            remedy = "tunekeeper history CONFIG heals the ledger, or adopts what somebody promoted in MLflow"
            yield HealthCheck("champion", "warn", fault, remedy)
        elif registry_version is None:
            yield none
        else:
            origin = " (adopted)" if registry_version in adopted else ""
            yield HealthCheck("champion", "ok", f"{pipeline.name} version {registry_version}{origin}, registry and ledger agree")
        if registry_version is not None:
            yield from champion_files(tracking, home, pipeline.name, registry_version)
            yield upgrade_check(pipeline, tracking, registry, registry_version)


@contextmanager
def _server_environment(api: str | None) -> Iterator[None]:
    """Prefect's client asks this server and starts none of its own; MLflow's does not wait long."""
    before = dict(os.environ)
    os.environ.update({"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "3"})
    try:
        with prefect_address.at_address(api) if api else nullcontext():
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _print_checks(checks: list[HealthCheck], home: Home) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table("", "", Column(overflow="fold"), box=None, padding=(0, 1), show_header=False)  # a hash is shown whole
    for check in checks:
        remedy = f"\n[bold]{escape(check.remedy)}[/]" if check.remedy and check.state != "ok" else ""
        table.add_row(MARKS[check.state], escape(check.name), f"{escape(check.what)}{remedy}")
    console().print(table)
    failed, warned = (sum(check.state == state for check in checks) for state in ("fail", "warn"))
    verdict = "[bold green]all is well[/]" if not failed + warned else f"[bold]{failed} to mend, {warned} to know[/]"
    console().print(f"\n  {verdict} [dim]in {escape(str(home.path))}[/]")
