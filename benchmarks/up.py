"""`tunekeeper up` for real: each process killed in turn under a training, asked to end, killed itself: `python -m benchmarks.up`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from benchmarks.stack import ROOT, free_ports, pipeline
from tasks.common.http import fetch

TRAINING = ["training.epochs=150", "training.checkpoint_every=25"]  # long enough to be killed in


class Up:
    """One `up`, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.config = pipeline(folder)
        self.mlflow, self.prefect, self.port = free_ports(3)
        self.environment = {**os.environ, "TUNEKEEPER_HOME": str(self.home), "PREFECT_WORKER_QUERY_SECONDS": "2"}
        self.environment |= {"TUNEKEEPER_MLFLOW_PORT": str(self.mlflow), "TUNEKEEPER_PREFECT_PORT": str(self.prefect)}
        self.api = f"http://127.0.0.1:{self.prefect}/api"
        self.tracking = f"http://127.0.0.1:{self.mlflow}/api/2.0/mlflow"
        self.process: Any = None

    def start(self) -> float:
        began = time.monotonic()
        with (self.folder / "said").open("ab") as out:
            words = [sys.executable, "-m", "flows", "up", str(self.config), "--port", str(self.port), "--json"]
            self.process = subprocess.Popen(words, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=out)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError((self.folder / "said").read_text()[-3000:])
        return time.monotonic() - began

    def said(self) -> str:
        return (self.folder / "said").read_text()

    def living(self) -> list[psutil.Process]:
        """All that this home's `up` began, by what each has in its environment."""
        found = []
        for process in psutil.process_iter():
            try:
                mine = process.environ().get("TUNEKEEPER_HOME") == str(self.home) and process.status() != psutil.STATUS_ZOMBIE
            except psutil.Error:
                continue
            found += [process] if mine and process.pid != os.getpid() else []
        return found

    def find(self, *words: str) -> psutil.Process:
        """The process whose command line has these words, not its guard."""
        for process in self.living():
            line = " ".join(process.cmdline())
            if all(word in line for word in words) and "flows.local.guard" not in line:
                return process
        raise RuntimeError(f"no process of {words}")

    def deploy(self) -> None:
        code = (
            "from prefect import flow; import sys, json; "
            "here = flow.from_source(source=sys.argv[1], entrypoint='flows/retrain_config.py:retrain_config'); "
            "here.to_deployment('tiny', work_pool_name='tunekeeper', parameters=json.loads(sys.argv[2]), tags=['tunekeeper', 'tiny']).apply()"
        )
        given = json.dumps({"config": str(self.config), "overrides": TRAINING})
        subprocess.run(
            [sys.executable, "-c", code, str(ROOT), given],
            env={**self.environment, "PREFECT_API_URL": self.api},
            check=True,
            stdout=sys.stderr,
        )

    def run(self, *overrides: str) -> str:
        """Ask for a run; again where the server, just started on SQLite, says 503, as Prefect's own client does."""
        deployment = fetch(f"{self.api}/deployments/name/retrain-config/tiny", seconds=10).value["id"]
        given = {"parameters": {"config": str(self.config), "overrides": [*TRAINING, *overrides]}, "idempotency_key": str(uuid4())}
        for _ in range(5):
            made = fetch(f"{self.api}/deployments/{deployment}/create_flow_run", given, seconds=10)
            if made.ok:
                return str(made.value["id"])
            time.sleep(1)
        raise RuntimeError(f"no run was made: {made.status} {made.text[:200]}")

    def state(self, run: str) -> str:
        found = fetch(f"{self.api}/flow_runs/{run}", seconds=10).value or {}
        return str(found.get("state_name"))

    def checkpoints(self) -> int:
        return len(list(self.home.glob("runs/*/checkpoint-*")))


def eventually(what: str, holds: Callable[[], object], seconds: float = 120) -> float:
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise RuntimeError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)
    return time.monotonic() - began


def proofs(up: Up) -> Iterator[tuple[str, str, bool]]:
    """Claim, what was seen, whether it holds."""
    seconds = up.start()
    yield "all ready, the first time", f"{seconds:.0f} s, {len(up.living())} processes", True
    eventually("the pool", lambda: fetch(f"{up.api}/deployments/name/reconcile/reconcile").ok)
    up.deploy()
    run = up.run()
    eventually("a checkpoint", up.checkpoints)
    yield moving(up)
    for name, words in {
        "worker": ("prefect worker start",), "MLflow": ("mlflow server",), "service": ("flows serve",), "Prefect": ("flows.local.server",),
    }.items():  # fmt: skip
        up.find(*words).kill()
        back = eventually(f"{name} back", lambda name=name: f"{name} is back" in up.said())
        yield (
            f"kill -9 of {name}, under a training",
            f"back after {back:.0f} s; the run is {up.state(run)}",
            up.state(run) in ("Running", "Completed"),
        )
    eventually("the training", lambda: up.state(run) not in ("Running",), 300)
    yield "the training, for all that", up.state(run), up.state(run) == "Completed"
    ready = eventually("the service", lambda: fetch(f"http://127.0.0.1:{up.port}/ready").ok)
    yield "the service answers with it", f"{ready:.0f} s later", True
    yield scheduled(up)
    yield from ended(up)
    yield from killed(up)


def moving(up: Up) -> tuple[str, str, bool]:
    """What both pages show of a training, read twice while it runs, from the servers behind them."""
    eventually("losses in MLflow and progress in Prefect", lambda: min(_shown(up)))
    percent, count = _shown(up)
    time.sleep(8)
    later, more = _shown(up)
    words = f"{percent:.0f} % then {later:.0f} % in Prefect, {count} then {more} losses in MLflow, 8 s apart"
    return "progress and loss move in both while it trains", words, 0 < percent < later < 100 and 0 < count < more


def _shown(up: Up) -> tuple[float, int]:
    """How far the newest training is in percent, as Prefect shows it, and how many losses MLflow has of it."""
    shown = fetch(f"{up.api}/artifacts/latest/filter", {"artifacts": {"key": {"any_": ["training-progress"]}}}, seconds=10)
    found = fetch(f"{up.tracking}/experiments/get-by-name?experiment_name=tiny", seconds=10).value["experiment"]
    asked = {"experiment_ids": [found["experiment_id"]]}
    run = fetch(f"{up.tracking}/runs/search", asked, seconds=10).value["runs"][0]["info"]["run_id"]
    losses = fetch(f"{up.tracking}/metrics/get-history?run_id={run}&metric_key=loss", seconds=10).value
    return float(shown.value[0]["data"]), len(losses.get("metrics", []))


def scheduled(up: Up) -> tuple[str, str, bool]:
    """infra/prefect.yaml's deployment, its cron set to the next minute: the scheduler makes the run, the worker runs it."""
    words = ["deploy", "--name", "helpdesk", "--prefect-file", "infra/prefect.yaml", "--cron", "* * * * *", "--param"]
    command = [sys.executable, "-m", "prefect", "--no-prompt", *words, f"config={up.config}"]
    subprocess.run(command, cwd=ROOT, env={**up.environment, "PREFECT_API_URL": up.api}, check=True, stdout=sys.stderr)
    deployment = fetch(f"{up.api}/deployments/name/retrain-config/helpdesk", seconds=10).value["id"]
    wanted = {"flow_runs": {"deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": ["COMPLETED"]}}}}
    eventually("a run that the scheduler made", lambda: fetch(f"{up.api}/flow_runs/filter", wanted, seconds=10).value, 240)
    run = fetch(f"{up.api}/flow_runs/filter", wanted, seconds=10).value[-1]
    fetch(f"{up.api}/deployments/{deployment}", seconds=10, method="DELETE")
    late = float(run["estimated_start_time_delta"])
    seen = f"{run['state_name']}, {late:.0f} s after its time, made by the scheduler: {run['auto_scheduled']}"
    return "the deployment of infra/prefect.yaml runs when its cron is due", seen, bool(run["auto_scheduled"]) and late < 60


def ended(up: Up) -> Iterator[tuple[str, str, bool]]:
    """SIGTERM under a training."""
    run = up.run("training.seed=1")
    eventually("the run", lambda: up.state(run) == "Running")
    running = time.time()
    eventually("a checkpoint of it", lambda: any(one.stat().st_mtime > running for one in up.home.glob("runs/*/checkpoint-*")))
    before = {one.name for one in up.home.glob("runs/*/checkpoint-*")}
    began = time.monotonic()
    up.process.terminate()
    code = up.process.wait(60)
    took, left = time.monotonic() - began, len(up.living())
    saved = {one.name for one in up.home.glob("runs/*/checkpoint-*")} != before
    yield (
        "SIGTERM under a training: a checkpoint is saved, nobody is left",
        f"{took:.0f} s, code {code}, {left} left, saved: {saved}",
        (took < 25 and code == 0 and left == 0 and saved),
    )
    seconds = up.start()
    yield "started again", f"{seconds:.0f} s; the run is {up.state(run)}", up.state(run) not in ("Running", "Pending")


def killed(up: Up) -> Iterator[tuple[str, str, bool]]:
    """kill -9 of `up`, and of everything, under a training."""
    run = up.run("training.seed=2")
    eventually("the run", lambda: up.state(run) == "Running")
    time.sleep(8)
    up.process.kill()
    up.process.wait()
    gone = eventually("nobody", lambda: not up.living(), 60)
    yield "kill -9 of `up` under a training: nobody is left", f"after {gone:.0f} s", gone < 30
    up.start()
    eventually("the worker's turn", lambda: up.state(run) != "Pending")
    again = up.run("training.seed=2")
    eventually("the run", lambda: up.state(again) == "Running")
    time.sleep(8)
    everybody = [up.process, *up.living()]
    for process in everybody:
        process.send_signal(signal.SIGKILL)
    up.process.wait()
    up.start()
    mended = eventually("reconciled", lambda: up.state(again) != "Running", 120)
    yield (
        "kill -9 of everything at once, `up` again: what says Running and is dead is found",
        f"{up.state(again)} after {mended:.0f} s",
        (up.state(again) == "Crashed"),
    )
    last = up.run("training.seed=2")
    eventually("the last", lambda: up.state(last) in ("Completed", "Failed", "Crashed"), 300)
    yield "asked for once more it goes on to its end", up.state(last), up.state(last) == "Completed"
    up.process.terminate()
    up.process.wait(40)


def section() -> str:
    lines = [
        "## up",
        "",
        "MLflow, Prefect, a worker and the service under `tunekeeper up`, and what becomes of them.",
        "",
        "| claim | seen | holds |",
        "|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="tunekeeper-up-") as aside:
        up = Up(Path(aside))
        try:
            for claim, seen, holds in proofs(up):
                print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}: {seen}", file=sys.stderr, flush=True)
                lines.append(f"| {claim} | {seen} | {'yes' if holds else '**no**'} |")
        except RuntimeError as error:
            print(up.said()[-3000:], file=sys.stderr)
            lines.append(f"| {str(error).splitlines()[0]} | | **no** |")
        finally:
            for process in up.living():
                process.kill()
    return "\n".join(lines)


def main() -> None:
    print(section())


if __name__ == "__main__":
    main()
