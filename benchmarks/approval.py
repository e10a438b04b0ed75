"""A person has the last word: while the question waits, worker and server are killed and started again; nothing is lost or done twice.

Run: python -m benchmarks.approval
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import small, storm

PATIENCE = 300.0
NAMES = ("retrain", "approve")


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The server of this home, begun again where it was killed."""
    os.environ.pop("PREFECT_API_URL", None)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with small.server(folder) as url, temporary_settings({PREFECT_API_URL: url}):
        yield url


def runs(flow: str) -> list[Any]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName

    with get_client(sync_client=True) as client:
        return list(client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=[flow]))))


def until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (value := found()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {PATIENCE:.0f} s in vain; runs: {[(r.name, r.state.name) for f in NAMES for r in runs(f)]}")
        time.sleep(0.5)
    return value


def ended(flow: str, state: str) -> Callable[[], Any]:
    return lambda: next((run for run in runs(flow) if run.state.name == state), None)


def held(home: Path) -> list[str]:
    """Locks of the home that somebody has while the question waits."""
    from tasks.ledger.pipeline_lock import StillHeldError, hold_pipeline

    found = []
    for name in (small.NAME, "gpu-0"):
        try:
            with hold_pipeline(home, name, lambda _: None, timeout=0):
                pass
        except StillHeldError:
            found.append(name)
    return found


def section() -> str:
    """The proof as a Markdown section; some two minutes on two cores."""
    from prefect.client.orchestration import get_client
    from prefect.flow_runs import resume_flow_run

    folder = Path(tempfile.mkdtemp(prefix="approval-"))
    job = small.make_job(folder)
    home, facts = job.home("life"), []
    with server(folder):
        storm.deploy(job, home, "release.approval=manual")
        with storm.worker(home) as worker:
            with get_client(sync_client=True) as client:
                deployed = client.read_deployment_by_name(f"retrain/retrain-{small.NAME}")
                client.create_flow_run_from_deployment(deployed.id)
            until(ended("retrain", "Completed"))
            question = until(ended("approve", "Suspended"))
            waiting = small.processes(home)
            facts.append(("runs of the flow still alive while it waits", str(sum("flow-run" in each for each in waiting)), "0"))
            facts.append(("locks and slots held while it waits", ", ".join(held(home)) or "none", "none"))
            facts.append(("champion while it waits", str(small.left(home).champion), "None"))
            os.killpg(worker.pid, signal.SIGKILL)
        pid = json.loads((folder / "prefect" / "server.json").read_text())["pid"]
        os.kill(pid, signal.SIGKILL)
    with server(folder):
        again = until(ended("approve", "Suspended"))
        facts.append(("after a kill -9 of server and worker", again.state.name, "Suspended"))
        resume_flow_run(question.id, run_input={"answer": "approve", "who": "Ada", "reason": "better on refunds"})
        with storm.worker(home):
            until(ended("approve", "Approved"))
        left = small.left(home)
        facts += [("champion", str(left.champion), "1"), ("its ledger row", _row(home), "Ada: better on refunds")]
        facts += [("trainings", str(left.runs), "1"), ("versions", str(left.versions), "1")]
    shutil.rmtree(folder)
    lines = [f"| {what} | {seen} | {'holds' if seen == wanted else 'DOES NOT HOLD'} |" for what, seen, wanted in facts]
    return (
        "## Approval\n\n`release.approval: manual`, with a real server and worker; both are killed (kill -9) while a person thinks.\n\n"
        "| what | seen | |\n|---|---|---|\n" + "\n".join(lines) + "\n"
    )


def _row(home: Path) -> str:
    from tasks.common.home import Home
    from tasks.context import open_ledger
    from tasks.ledger.promotions import ledger_history

    row = ledger_history(open_ledger(Home(home)), small.NAME)[-1]
    return f"{row.who}: {row.reason}"


def main() -> None:
    """Print the section."""
    print(section())


if __name__ == "__main__":
    main()
