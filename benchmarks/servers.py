"""infra/compose.yaml for real (benchmarks/stack.py): `python -m benchmarks.servers`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.stack import ROOT, Stack, stack, told_here

CLIENT = """
import sys, mlflow, pandas as pd
kept = mlflow.pyfunc.load_model("models:/tiny@champion")
print(next(value for value in kept.predict(pd.DataFrame({"text": [sys.argv[1]]})).iloc[0] if isinstance(value, str)))
"""


def tell(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[1:5])} ended with {done.returncode}:\n{done.stdout[-1500:]}{done.stderr[-3000:]}")
    return done.stdout


def told(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """The one object that `--json` prints."""
    text = tell([sys.executable, "-m", "flows", *command, "--json"], environment)
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        raise RuntimeError(f"{command[0]} --json printed {text[:1000]!r}") from None
    return found


def proofs(there: Stack) -> Iterator[tuple[str, str, bool]]:
    """Claim, what was seen, whether it holds."""
    worker, service = there.environment("worker"), there.environment("service")
    yield from kept(there, worker, service)
    yield from tables(there, worker)
    yield from served(there, service)
    yield from operated(there, worker)


def kept(there: Stack, worker: dict[str, str], service: dict[str, str]) -> Iterator[tuple[str, str, bool]]:
    """A model is made with all state on the servers, and nobody else may touch it."""
    from tasks.common.http import basic_auth, fetch

    began = time.monotonic()
    outcome = told(["retrain", there.values["CONFIG"]], worker)
    seen = f"{outcome['verdict']} version {outcome['model']['version']} in {time.monotonic() - began:.0f} s"
    yield "`retrain` against the servers, with auth", seen, outcome["verdict"] == "PROMOTE"
    again = told(["retrain", there.values["CONFIG"]], worker)
    yield "run again: nothing is trained", f"skipped: {again['skipped']}", bool(again["skipped"])

    uri, words = worker["MLFLOW_TRACKING_URI"], service["MLFLOW_TRACKING_PASSWORD"]
    reader = {"Authorization": basic_auth(f"service:{words}")}
    alias = fetch(f"{uri}/api/2.0/mlflow/registered-models/alias?name=tiny&alias=champion", headers=reader)
    yield "the alias in the registry", str((alias.value or {}).get("model_version", {}).get("version")), alias.ok
    move = {"name": "tiny", "alias": "champion", "version": outcome["model"]["version"]}
    refused = [
        fetch(f"{uri}/api/2.0/mlflow/registered-models/alias", move, reader).status,
        fetch(f"{uri}/api/2.0/mlflow/experiments/search", {"max_results": 1}).status,
        fetch(f"{worker['PREFECT_API_URL']}/flow_runs/filter", {}).status,
    ]
    yield (
        "refused: the service's user moving the alias; nobody at MLflow; nobody at Prefect",
        str(refused),
        refused == [403, 401, 401],
    )

    objects = stored(there)
    yield (
        "the artifact in S3",
        f"{len(objects)} objects, {sum(size for _, size in objects) / 1e6:.1f} MB",
        any(name.endswith("trainable.safetensors") for name, _ in objects),
    )
    rows = query(there, "select kind, to_version, state from ledger_promotions")
    yield "the ledger in PostgreSQL", str(rows), rows == [("FIRST", outcome["model"]["version"], "applied")]


def served(there: Stack, service: dict[str, str]) -> Iterator[tuple[str, str, bool]]:
    """It answers where nothing of it was before, the folder of its base being gone."""
    from tasks.common.http import fetch

    shutil.rmtree(there.folder / "base")
    text = "kan lora mile rust north teka soste rumple mido south kale lon"
    url, key = f"http://127.0.0.1:{there.ports['service']}", there.values["TUNEKEEPER_API_KEYS"].rpartition(":")[2]
    deadline = time.monotonic() + 60
    while not fetch(f"{url}/ready").ok and time.monotonic() < deadline:
        time.sleep(0.5)
    nobody = fetch(f"{url}/predict", {"text": text})
    answer = fetch(f"{url}/predict", {"text": text}, {"Authorization": f"Bearer {key}", "X-API-Key": key}, seconds=20)
    yield (
        "the service, with its own home, answers; and nobody without a key",
        f"{answer.text[:120]} / {nobody.status}",
        (answer.ok and nobody.status == 401),
    )
    names = (
        "MLFLOW_TRACKING_URI",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "TUNEKEEPER_REDACTION_KEY",
        "PATH",
        "HOME",
        "HF_HUB_OFFLINE",
    )
    bare = {name: service[name] for name in names if name in service} | {"TUNEKEEPER_HOME": str(there.folder / "elsewhere")}
    said = tell([sys.executable, "-c", CLIENT, text], bare).strip().splitlines()[-1]
    yield "a second home with an address and a user alone loads the champion", said, said in answer.text


def operated(there: Stack, worker: dict[str, str]) -> Iterator[tuple[str, str, bool]]:
    """What runs and is watched by itself."""
    from tasks.common.http import basic_auth, fetch

    deployed = fetch(f"{worker['PREFECT_API_URL']}/deployments/name/retrain/retrain-tiny", headers=authorized(worker))
    yield "the pipeline that PIPELINES names is deployed", f"HTTP {deployed.status}", deployed.ok
    run = scheduled(worker)
    yield "the worker runs the scheduled `reconcile`", run, run == "COMPLETED"
    metrics = fetch(
        f"{worker['MLFLOW_TRACKING_URI']}/metrics",
        headers={"Authorization": basic_auth(f"admin:{there.values['MLFLOW_ADMIN_PASSWORD']}")},
    )
    yield (
        "MLflow's metrics for Prometheus",
        f"HTTP {metrics.status}, {len(metrics.text.splitlines())} lines",
        metrics.ok and "mlflow_exporter_info" in metrics.text,
    )
    doctor = told(["doctor"], worker)
    wrong = [check["name"] for check in doctor["checks"] if check["state"] == "fail"]
    yield (
        "`doctor` on the worker",
        f"{len(doctor['checks'])} checks in {doctor['seconds']:.1f} s, failed: {wrong or 'none'}",
        not wrong,
    )
    deadline = time.monotonic() + 15
    while not (logged := traffic(there)) and time.monotonic() < deadline:
        time.sleep(0.5)
    yield "the answer in the traffic log, in PostgreSQL", f"{logged} rows", logged == 1


def tables(there: Stack, worker: dict[str, str]) -> Iterator[tuple[str, str, bool]]:
    """The rows in a table of PostgreSQL, with the login in libpq's own variables."""
    import pandas as pd
    import sqlalchemy as sa

    address = sa.make_url(worker["TUNEKEEPER_LEDGER_URL"])
    rows = pd.read_csv(there.folder / "rows.csv")
    with sa.create_engine(address).connect() as connection:
        rows.to_sql("tickets", connection, index=False)
        connection.commit()
    source = f"data.source={address._replace(username=None, password=None).render_as_string()}/tickets"
    login = {**worker, "PGUSER": str(address.username), "PGPASSWORD": str(address.password)}
    first = told(["retrain", there.values["CONFIG"], "name=tabled", source], login)
    seen = f"{first['verdict']} version {first['model']['version']} on {len(rows)} rows"
    yield "`retrain` on a table in PostgreSQL", seen, not first["skipped"]
    again = told(["retrain", there.values["CONFIG"], "name=tabled", source], login)
    yield "run again: the table's rows are the same, nothing is trained", f"skipped: {again['skipped']}", bool(again["skipped"])
    query(there, "insert into tickets select 'new', text, label, half from tickets limit 1 returning 1")
    more = told(["retrain", there.values["CONFIG"], "name=tabled", source], login)
    new = more["snapshot"] != first["snapshot"] and not more["skipped"]
    yield "a row inserted: a new snapshot, and a new question", f"skipped: {more['skipped']}", new


def stored(there: Stack) -> list[tuple[str, int]]:
    import boto3

    given = there.environment("mlflow")
    client = boto3.client(
        "s3", endpoint_url=given["MLFLOW_S3_ENDPOINT_URL"], aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"], region_name=given["AWS_DEFAULT_REGION"],
    )  # fmt: skip
    return [(one["Key"], one["Size"]) for one in client.list_objects_v2(Bucket="tunekeeper").get("Contents", [])]


def query(there: Stack, sql: str) -> list[tuple[Any, ...]]:
    import psycopg2

    with psycopg2.connect(there.environment("worker")["TUNEKEEPER_LEDGER_URL"].replace("+psycopg2", "")) as connection:
        cursor = connection.cursor()
        cursor.execute(sql)
        return cursor.fetchall()


def traffic(there: Stack) -> int:
    tables = query(there, "select table_name from information_schema.tables where table_name like '%answers%'")
    return sum(int(query(there, f"select count(*) from {name}")[0][0]) for (name,) in tables)


def authorized(environment: dict[str, str]) -> dict[str, str]:
    """The header that Prefect's server asks for."""
    from tasks.common.http import basic_auth

    return {"Authorization": basic_auth(environment["PREFECT_API_AUTH_STRING"])}


def scheduled(environment: dict[str, str]) -> str:
    """Ask for a run of the deployment; its state in the end."""
    from tasks.common.http import fetch

    api, who = environment["PREFECT_API_URL"], authorized(environment)
    deployment = fetch(f"{api}/deployments/name/reconcile/reconcile", headers=who).value["id"]
    run = fetch(f"{api}/deployments/{deployment}/create_flow_run", {}, who, seconds=10).value["id"]
    deadline, state = time.monotonic() + 120, ""
    while state not in ("COMPLETED", "FAILED", "CRASHED") and time.monotonic() < deadline:
        time.sleep(1)
        state = str((fetch(f"{api}/flow_runs/{run}", headers=who, seconds=10).value or {}).get("state_type"))
    return state


def section() -> str:
    began, lines = time.monotonic(), []
    with stack() as there:
        up = time.monotonic() - began
        for claim, seen, holds in proofs(there):
            print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}: {seen}", file=sys.stderr, flush=True)
            lines.append(f"| {claim} | {seen.replace('|', '/')} | {'yes' if holds else '**no**'} |")
        slow = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in there.seconds.items())
        down = there.down()
    return "\n".join(
        [
            "## Servers",
            "",
            "Every service of `infra/compose.yaml` started natively with its own commands and environment: PostgreSQL, an S3 server, MLflow and",
            f"Prefect with auth, a worker, the service. Up in {up:.0f} s ({slow}), down in {down:.0f} s.",
            "",
            "| claim | seen | holds |",
            "|---|---|---|",
            *lines,
        ]
    )


def main() -> None:
    """Print the section."""
    told_here("benchmarks.servers", section, "Servers")


if __name__ == "__main__":
    main()
