"""The train task on a worker with a home of its own: the same weights to the bit, and killed on the way, still the same.

Run: python -m benchmarks.elsewhere
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks import small

POOL = "gpus"
THERE = f"training.work_pool={POOL}"
PATIENCE = 400.0
SEEDS = {"as it is": 1, "its flow killed": 2, "worker and flow killed, another worker started": 3, "who waits killed, run again": 4}


@contextmanager
def worker(home: Path, tracking: str) -> Iterator[subprocess.Popen[bytes]]:
    """A machine with nothing but two addresses and a home of its own."""
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
    env = small.environment(home, MLFLOW_TRACKING_URI=tracking, PREFECT_WORKER_QUERY_SECONDS="2")
    with (home / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=home, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def kill(home: Path, mark: bytes) -> int:
    """Kill -9 every process of a home whose environment or command line has this mark; how many."""
    mine, number = f"TUNEKEEPER_HOME={home}\0".encode(), 0
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environment = (each / "environ").read_bytes()
            if mine in environment and (mark in environment or mark in (each / "cmdline").read_bytes()):
                os.kill(int(each.name), signal.SIGKILL)
                number += 1
    return number


def trains(there: Path, seen: set[Path]) -> None:
    """Wait until a training that is not among `seen` has left a checkpoint."""
    deadline = time.monotonic() + PATIENCE
    while not set(there.glob("runs/*/checkpoint-*")) - seen and time.monotonic() < deadline:
        time.sleep(0.05)


def outcome(process: subprocess.Popen[str]) -> dict[str, Any]:
    said, told = process.communicate(timeout=PATIENCE * 2)
    if process.returncode != 0:
        raise RuntimeError(told[-2000:])
    found: dict[str, Any] = json.loads(said)
    return {**found, "told": told}


def case(job: small.Job, home: Path, there: Path, tracking: str, what: str, seed: int) -> str:
    """One training elsewhere, struck as `what` says, beside the same one in a third home."""
    words, began = (f"training.seed={seed}", "training.epochs=40"), time.monotonic()
    seen, before = set(there.glob("runs/*/checkpoint-*")), _resumed(there)
    with worker(there, tracking):
        process = small.retrain(job.config, home, THERE, *words)
        if what != "as it is":
            trains(there, seen)
        if what.startswith("its flow"):
            kill(there, b"PREFECT__FLOW_RUN_ID")
        if what.startswith("worker"):
            kill(there, b"")
            with worker(there, tracking):
                done = outcome(process)
        elif what.startswith("who waits"):
            kill(home, b"flows")
            process.wait()
            done = outcome(small.retrain(job.config, home, THERE, *words))
        else:
            done = outcome(process)
    seconds = time.monotonic() - began
    third = job.home(f"here-{seed}")
    here = outcome(small.retrain(job.config, third, *words))
    shutil.rmtree(third)
    resumed = _resumed(there) > before
    good = done["weights_sha256"] == here["weights_sha256"] and done["train_key"] == here["train_key"] and not done["skipped"]
    left = small.left(home)
    good = good and left.twice_logged == 0 and resumed == ("flow killed" in what)
    return (
        f"| {what} | {done['weights_sha256'][:12]} | {here['weights_sha256'][:12]} | {left.runs} | {left.twice_logged} | {'yes' if resumed else 'no'} "
        f"| {seconds:.0f} s | {'holds' if good else 'DOES NOT HOLD'} |"
    )


def _resumed(there: Path) -> int:
    """What was said there of trainings that went on from a checkpoint, in lines."""
    return sum(log.read_text().count("going on from checkpoint") for log in there.glob("worker.log"))


def section() -> str:
    """The proof as a Markdown section; some eight minutes on two cores, two of them spent waiting for the dead."""
    folder = Path(tempfile.mkdtemp(prefix="elsewhere-"))
    job = small.make_job(folder)
    home, there = job.home("home"), folder / "there"
    tracking = f"sqlite:///{home}/mlflow.db"
    with small.server(folder):
        lines = [case(job, home, there, tracking, what, seed) for what, seed in SEEDS.items()]
        strays = len(list(there.rglob("test.parquet")))
    shutil.rmtree(folder)
    return (
        "## Training elsewhere\n\n`training.work_pool`: the train task on a worker that knows the addresses of MLflow and Prefect, and "
        f"has a home of its own. Test rows that reached it: {strays if strays == 0 else f'{strays} DOES NOT HOLD'}.\n\n"
        "| struck | weights from there | weights trained here | runs so far | metrics logged twice | went on from a checkpoint | took | |\n"
        "|---|---|---|--:|--:|---|--:|---|\n" + "\n".join(lines) + "\n"
    )


def main() -> None:
    """Print the section."""
    print(section())


if __name__ == "__main__":
    main()
