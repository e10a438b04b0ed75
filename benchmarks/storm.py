"""Fifty triggers at once, from real events on a real server with a real worker: one training, and hardly more flow runs.

Run: python -m benchmarks.storm
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import small

EVENTS, DIRECT, PATIENCE = 50, 12, 400.0
POOL = "storm"


@dataclass(frozen=True)
class Seen:
    """What became of a storm: flow runs by the name of their end, and what was trained and asked for."""

    runs: dict[str, int]
    requests: dict[str, int]
    trained: int
    seconds: float
    first: float  # seconds from the first event to the start of the run it started

    def line(self, what: str, good: bool) -> str:
        runs = ", ".join(f"{number} {name}" for name, number in sorted(self.runs.items())) or "none"
        asked = ", ".join(f"{number} {name}" for name, number in sorted(self.requests.items())) or "none"
        first = f"{self.first:.0f} s" if self.first > 0 else "-"
        return f"| {what} | {runs} | {asked} | {self.trained} | {first} | {self.seconds:.0f} s | {'holds' if good else 'DOES NOT HOLD'} |"


def storm(home: Path, begin: Any) -> Seen:
    """Let it begin, wait until every flow run has ended and none follows; count what is new since."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        before, asked, trained = {run.id for run in _runs(client)}, _requests(home), small.left(home).runs
        started, calm, ended = time.monotonic(), 0.0, time.monotonic()
        began = time.time()
        begin(client)
        while time.monotonic() - started < PATIENCE and calm < 20:
            time.sleep(1)
            new = [run for run in _runs(client) if run.id not in before]
            if new and all(run.state.is_final() for run in new):
                calm += 1
            else:
                calm, ended = 0.0, time.monotonic()
        starts = [run.start_time.timestamp() - began for run in new if run.start_time]
    requests = Counter(_requests(home).values()) - Counter(asked.values())
    names = dict(Counter(run.state.name for run in new))
    return Seen(names, dict(requests), small.left(home).runs - trained, ended - started, min(starts, default=0.0))


def events(number: int, seconds: float) -> Any:
    """So many events of drift and decay over so many seconds."""

    def begin(_: Any) -> None:
        from prefect.events import emit_event

        for count in range(number):
            kind = ("drift", "decay")[count % 2]
            emit_event(f"tunekeeper.{kind}", resource={"prefect.resource.id": f"tunekeeper.pipeline.{small.NAME}"})
            time.sleep(seconds / number)

    return begin


def direct(number: int) -> Any:
    """So many runs of the deployment in the same moment, past the automation, as any other trigger could start them."""

    def begin(client: Any) -> None:
        deployed = client.read_deployment_by_name(f"retrain/retrain-{small.NAME}")
        for _ in range(number):
            client.create_flow_run_from_deployment(deployed.id, parameters={"why": "new-data"})

    return begin


@contextmanager
def worker(home: Path, limit: int = 8) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of the pool, which leaves nobody behind when it is over."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--limit", str(limit)]
    env = small.environment(home, PREFECT_WORKER_QUERY_SECONDS="2")
    with (home / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=small.ROOT, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        for left in small.processes(home):
            sys.stderr.write(f"ends: {left[:120]}\n")
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def deploy(job: small.Job, home: Path, *settings: str) -> None:
    words = ["deploy", str(job.config), f"schedule.work_pool={POOL}", "schedule.monitor=null", *settings, "--json"]
    process = small.start([sys.executable, "-m", "flows", *words], home)
    _, said = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(said)


def killed(home: Path) -> Any:
    """One event; its run and the worker's process of it are killed while it trains; then another event, once the burst is over."""

    def begin(_: Any) -> None:
        from prefect.events import emit_event

        resource = {"prefect.resource.id": f"tunekeeper.pipeline.{small.NAME}"}
        emit_event("tunekeeper.drift", resource=resource)
        journals = set(home.glob("runs/*/metrics.jsonl"))
        deadline = time.monotonic() + PATIENCE
        while not set(home.glob("runs/*/metrics.jsonl")) - journals and time.monotonic() < deadline:
            time.sleep(0.05)
        for each in Path("/proc").glob("[0-9]*"):
            environment = small._bytes(each / "environ")
            if f"TUNEKEEPER_HOME={home}\0".encode() in environment and b"PREFECT__FLOW_RUN_ID" in environment:
                with suppress(ProcessLookupError):
                    os.kill(int(each.name), signal.SIGKILL)
        time.sleep(16)
        emit_event("tunekeeper.drift", resource=resource)

    return begin


def section() -> str:
    """The proof as a Markdown section; some six minutes on two cores."""
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    job, lines = small.make_job(folder), []
    with small.server(folder):
        home = job.home("life")
        deploy(job, home, "schedule.cooldown_hours=24")
        with worker(home):
            seen = storm(home, events(EVENTS, 2))
            lines.append(
                seen.line(f"{EVENTS} events in 2 s, nothing trained before", seen.trained == 1 and sum(seen.runs.values()) == 1)
            )
            seen = storm(home, events(EVENTS, 40))
            good = seen.trained == 0 and set(seen.requests) == {"refused"}
            lines.append(seen.line(f"{EVENTS} events in 40 s, within the cooldown", good))
            deploy(job, home, "schedule.cooldown_hours=0", "training.seed=1")
            seen = storm(home, direct(DIRECT))
            good = seen.trained == 1 and set(seen.requests) <= {"done", "skipped", "coalesced", "refused"}
            lines.append(seen.line(f"{DIRECT} runs started at once past the automation, no cooldown", good))
            deploy(job, home, "schedule.cooldown_hours=0", "schedule.retrains_per_week=100", "training.seed=2")
            seen = storm(home, killed(home))
            good = seen.trained == 1 and seen.requests == {"failed": 1, "done": 1}
            lines.append(seen.line("one event, its run killed (kill -9) in training, another event", good))
    shutil.rmtree(folder)
    return (
        "## Trigger storms\n\nEvents of drift and decay on a real Prefect server, its automation, and a worker whose runs are processes.\n\n"
        "| storm | flow runs | requests | trained | first start after | all ended after | |\n|---|---|---|--:|--:|--:|---|\n"
        + "\n".join(lines)
        + "\n"
    )


def _runs(client: Any) -> list[Any]:
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName

    return list(client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=["retrain"])), limit=200))


def _requests(home: Path) -> dict[str, str]:
    """State by id, of every request."""
    from tasks.common.home import Home
    from tasks.context import open_ledger
    from tasks.ledger.retrain_history import requests_of

    return {each.id: each.state for each in requests_of(open_ledger(Home(home)), small.NAME)}


def main() -> None:
    """Print the section."""
    print(section())


if __name__ == "__main__":
    main()
