"""What can be wrong with the servers: do they answer, to this user, with the versions, pools, tables and clocks they need."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from configs.credentials import without_credentials
from configs.schema import Pipeline
from tasks.common.home import Home
from tasks.common.http import HttpAnswer, fetch, mlflow_headers, port_is_free, port_listener, prefect_headers
from tasks.common.sqlite_files import first_cell, sqlite_fault, sqlite_remedy
from tasks.health.machine import HealthCheck
from tasks.health.traffic_files import traffic_faults
from tasks.ledger import schema
from tasks.tracking.database import count_unrecorded_versions

SKEW_SECONDS, BROKEN_SKEW_SECONDS = 5.0, 60.0
DATABASE_SECONDS = 3
WITHOUT_RECORD = (
    "move it and what lies beside it under its name (-wal, -shm) to another place: the next command makes another. Only the record "
    "of runs is lost; `tunekeeper deploy CONFIG` makes schedules and triggers anew"
)


def check_prefect(api: str | None, home: Home) -> Iterator[HealthCheck]:
    """The server alone; None where none runs, which is no fault where this home's own can be started: a command starts it."""
    if api is None:
        yield check_prefect_file(home)
        return
    healthy = fetch(f"{api}/health")
    if not healthy.ok:
        yield HealthCheck(
            "prefect", "fail", f"{api} does not answer ({_failure_text(healthy)})", "start it, or correct PREFECT_API_URL"
        )
        return
    version, own = fetch(f"{api}/admin/version", headers=prefect_headers()), metadata.version("prefect")
    if version.status in (401, 403):
        yield HealthCheck(
            "prefect", "fail", f"{api} refuses this user ({version.status})", "set PREFECT_API_AUTH_STRING (USER:PASSWORD)"
        )
    elif not isinstance(version.value, str):
        fault = f"{api} is no Prefect server: a page, or HTTP {version.status}, answers where its version is asked for"
        yield HealthCheck("prefect", "fail", fault, "start it, or correct PREFECT_API_URL")
    elif version.value != own:
        yield HealthCheck("prefect", "warn", f"{api} is {version.value}, this is {own}", "use the same version on both sides")
    else:
        yield HealthCheck("prefect", "ok", f"{api}, {own}")
    yield from _check_clock("prefect clock", healthy.time)


def check_prefect_file(home: Home) -> HealthCheck:
    """The database that a server of this home would open, where none runs."""
    if fault := sqlite_fault(home.prefect_database):
        return HealthCheck("prefect", "fail", f"{home.prefect_database}: {fault}", sqlite_remedy(fault, WITHOUT_RECORD))
    return HealthCheck("prefect", "ok", "no server runs: a command starts its own, `tunekeeper up` keeps one")


def check_pools(api: str, names: set[str]) -> Iterator[HealthCheck]:
    """Each pool that a run may wait in: is it there, open, and does a worker's heart beat for it?"""
    for name in sorted(names):
        pool = fetch(f"{api}/work_pools/{name}", headers=prefect_headers())
        if pool.status == 404:
            yield HealthCheck(f"pool {name}", "warn", "is not there", "`tunekeeper up` makes it, and so does `tunekeeper deploy`")
        elif not isinstance(pool.value, dict):
            yield HealthCheck(f"pool {name}", "fail", f"cannot be read ({_failure_text(pool)})", "see prefect above")
        elif pool.value.get("is_paused"):
            yield HealthCheck(f"pool {name}", "warn", "is paused: no run of it starts", f"prefect work-pool resume {name}")
        else:
            yield _check_workers(api, name)


def _check_workers(api: str, pool: str) -> HealthCheck:
    workers = fetch(f"{api}/work_pools/{pool}/workers/filter", {}, prefect_headers()).value
    live = [str(worker["name"]) for worker in workers or [] if worker.get("status") == "ONLINE"]
    if not live:
        return HealthCheck(
            f"pool {pool}", "warn", "no worker: what is due waits", f"tunekeeper up, or prefect worker start --pool {pool}"
        )
    return HealthCheck(f"pool {pool}", "ok", f"{len(live)} workers: {', '.join(sorted(live)[:3])}")


def check_mlflow(home: Home) -> Iterator[HealthCheck]:
    uri = home.tracking_uri
    if uri.startswith("sqlite:///"):
        yield _mlflow_file(Path(uri.removeprefix("sqlite:///")), home)
    elif uri.startswith(("http://", "https://")):
        yield from _mlflow_server(uri.rstrip("/"))
    elif uri.startswith("postgresql+psycopg2://"):
        yield from _check_database("mlflow", uri, "alembic_version", "MLFLOW_TRACKING_URI")
    else:
        yield HealthCheck(
            "mlflow",
            "fail",
            f"MLFLOW_TRACKING_URI begins with {uri.partition(':')[0]}",
            "write http(s)://, sqlite:/// or postgresql+psycopg2://",
        )


def _mlflow_file(file: Path, home: Home) -> HealthCheck:
    if not file.is_file() and home.tracks_here and home.artifacts.is_dir() and any(home.artifacts.iterdir()):
        remedy = "restore it from a copy of this home; to begin anew, set TUNEKEEPER_HOME to another folder"
        return HealthCheck("mlflow", "fail", f"{file} is gone, though {home.artifacts} holds what it lists", remedy)
    if not file.is_file():
        return HealthCheck("mlflow", "ok", f"{file}, made by the first run")
    fault = sqlite_fault(file, "select version_num from alembic_version")
    if fault:
        remedy = sqlite_remedy(fault, "restore it from a copy, and keep this one beside it")
        return HealthCheck("mlflow", "fail", f"{file}: {fault}", remedy)
    return HealthCheck("mlflow", "ok", f"{file}, {file.stat().st_size / 1e6:.1f} MB")


def _mlflow_server(uri: str) -> Iterator[HealthCheck]:
    address, healthy = without_credentials(uri), fetch(f"{uri}/health")
    if not healthy.ok:
        yield HealthCheck(
            "mlflow", "fail", f"{address} does not answer ({_failure_text(healthy)})", "start it, or correct MLFLOW_TRACKING_URI"
        )
        return
    answer = fetch(f"{uri}/api/2.0/mlflow/experiments/search", {"max_results": 1}, mlflow_headers())
    own = metadata.version("mlflow")
    if answer.status in (401, 403):
        remedy = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        yield HealthCheck("mlflow", "fail", f"{address} refuses this user ({answer.status})", remedy)
    elif not answer.ok:
        yield HealthCheck(
            "mlflow", "fail", f"{address} answers {_failure_text(answer)}", "see the server's log: its database may be away"
        )
    else:
        server_version = fetch(f"{uri}/version", headers=mlflow_headers()).text.strip()
        if server_version[:1].isdigit() and server_version != own:
            yield HealthCheck(
                "mlflow", "warn", f"{address} is {server_version}, this is {own}", "use the same version on both sides"
            )
        else:
            yield HealthCheck("mlflow", "ok", f"{address}, {own}")
    yield from _check_clock("mlflow clock", healthy.time)


def check_ledger(home: Home) -> Iterator[HealthCheck]:
    """Reachable, and of a schema that this version knows; one that a newer Tunekeeper made is refused by every command."""
    from tasks.ledger.store import Ledger

    ledger = Ledger(home.ledger_url)  # InputError for a URL that cannot be one
    if ledger.shared:
        yield from _check_database("ledger", home.ledger_url, schema.schema.name, "TUNEKEEPER_LEDGER_URL")
        return
    file = Path(str(ledger.url.database))
    if versions := count_unrecorded_versions(home, file):
        fact = f"{file} is gone, though {home.path / 'mlflow.db'} lists {versions} versions, of which it is the record"
        remedy = "restore it from a copy; where there is none, `tunekeeper history` says how to begin another"
        yield HealthCheck("ledger", "fail", fact, remedy)
        return
    if not file.is_file():
        yield HealthCheck("ledger", "ok", f"{file}, made by the first run")
        return
    fault = sqlite_fault(file, f"select version from {schema.schema.name}")  # noqa: S608  (a constant)
    if fault:
        remedy = sqlite_remedy(fault, "restore it from a copy; it is the record of every promotion")
        yield HealthCheck("ledger", "fail", f"{file}: {fault}", remedy)
    else:
        yield _schema_check(file, first_cell(file, f"select version from {schema.schema.name}"))  # noqa: S608


def _schema_check(where: object, version: int | None) -> HealthCheck:
    if version is not None and version > schema.VERSION:
        fact = f"{where} has schema {version}, this Tunekeeper knows {schema.VERSION}"
        return HealthCheck("ledger", "fail", fact, "run the Tunekeeper that made it, or a newer one")
    return HealthCheck("ledger", "ok", f"{where}, schema {version or 'none yet: the first run makes it'}")


def check_traffic(home: Home, environment: Mapping[str, str] = os.environ) -> Iterator[HealthCheck]:
    """The files, which lie here whatever the store is, and the database where there is one."""
    folder, url = home.path / "traffic", environment.get("TUNEKEEPER_TRAFFIC_URL")
    faults = list(traffic_faults(folder))
    yield from faults
    if url:
        yield from _check_database("traffic", url, None, "TUNEKEEPER_TRAFFIC_URL")
    elif not faults:
        yield HealthCheck("traffic", "ok", f"{folder}" if folder.exists() else f"{folder}, made by the first answer")


def check_ports(ports: Mapping[str, tuple[str, int]], ours: set[int]) -> Iterator[HealthCheck]:
    """Those that `up` will want; taken by an `up` of this home is as it should be."""
    conflicts = {name: (variable, port) for name, (variable, port) in ports.items() if port not in ours and not port_is_free(port)}
    for name, (variable, port) in conflicts.items():
        fact = f"{port} for {name} is taken by {port_listener(port) or 'another process'}"
        yield HealthCheck("ports", "warn", fact, f"end it, or set {variable} before `tunekeeper up`")
    if not conflicts:
        yield HealthCheck("ports", "ok", ", ".join(f"{name} {port}" for name, (_, port) in ports.items()))


def pool_names(pipeline: Pipeline | None, usual: str) -> set[str]:
    if pipeline is None:
        return {usual}
    return {pipeline.schedule.work_pool} | ({pipeline.training.work_pool} if pipeline.training.work_pool else set())


def _check_database(name: str, url: str, table: str | None, variable: str) -> Iterator[HealthCheck]:
    """A database server: does it let us in, is the table there, is its clock ours?"""
    import sqlalchemy as sa
    from sqlalchemy.exc import SQLAlchemyError

    try:
        where = sa.make_url(url).set(query={}).render_as_string(hide_password=True)
        arguments = {"connect_timeout": DATABASE_SECONDS} if url.startswith("postgresql") else {}
        engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=arguments)
        with engine.connect() as connection:
            version = None
            if table is not None and sa.inspect(connection).has_table(table):
                version = connection.scalar(sa.text(f"select * from {table}"))  # noqa: S608  (a constant)
            clock = connection.scalar(sa.text("select extract(epoch from clock_timestamp())")) if arguments else None
    except ModuleNotFoundError as error:
        yield HealthCheck(name, "fail", f"{variable} needs the package {error.name}", "pip install psycopg2-binary")
    except (SQLAlchemyError, OSError) as error:
        message = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        yield HealthCheck(
            name, "fail", f"{variable}: {message}", f"see that the database runs and lets this user in; check {variable}"
        )
    else:
        yield _schema_check(where, version) if name == "ledger" else HealthCheck(name, "ok", where)
        yield from _check_clock(f"{name} clock", float(clock) if clock is not None else None)


def _check_clock(name: str, theirs: float | None) -> Iterator[HealthCheck]:
    """Leases live by the database's clock and heartbeats by the server's: said only where it is off."""
    off = 0.0 if theirs is None else abs(theirs - time.time())
    if off > SKEW_SECONDS:
        yield HealthCheck(
            name, "fail" if off > BROKEN_SKEW_SECONDS else "warn", f"{off:.0f} s off this machine's", "let NTP set both clocks"
        )


def _failure_text(answer: HttpAnswer) -> str:
    return answer.text if answer.status == 0 else f"HTTP {answer.status}"
