"""Whether a flow run that says it runs is dead: what can be seen on this machine, held against a rule.

The rule. A run is dead only if nothing speaks for it. What speaks for a run:
  1. a process on this machine that carries its id (a worker starts each run with it in the environment);
  2. a process on this machine that was there when the run began and has the run's pipeline lock open: it holds the lock or waits
     for it. A run from the command line is known by this alone, as it sends no heartbeat;
  3. that it changed its state a moment ago.
Where the server is this home's own, and all its processes can be looked into, that is all there can be, and a run without is dead.
Elsewhere it may have a process on another machine, for which speak
  4. a heartbeat within the last five minutes;
  5. a lease of its pipeline that has not expired.
It is dead there if its heartbeats stopped, or if it needs a pipeline that no run holds; and as a run that has let go of its
pipeline takes a moment to report its end, a second look, later, has to say the same. Otherwise this machine cannot know, and the
run is left alone and reported.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tasks.common.home import Home

if TYPE_CHECKING:
    import psutil

MOMENT_SECONDS, OWN_MOMENT_SECONDS = 60.0, 5.0
BEAT_SECONDS = 300.0
CLOCK_SECONDS = 5.0  # between a process's birth and its run's start, for clocks and slow imports


@dataclass(frozen=True)
class SeenRun:
    """A flow run as the server knows it; times are seconds since 1970."""

    id: str
    name: str
    state: str  # RUNNING, CANCELLING, PENDING
    since: float
    started: float
    beat: float | None = None
    pipeline: str | None = None
    holds: bool = False  # whether its flow holds the pipeline while it runs


@dataclass(frozen=True)
class Process:
    """One that has a lock of this home open."""

    pid: int
    born: float
    pipelines: frozenset[str]


@dataclass(frozen=True)
class Machine:
    """What can be seen here: ids of flow runs that have a process, and processes at this home's locks; `own`: the server is its."""

    runs: frozenset[str] = frozenset()
    processes: tuple[Process, ...] = ()
    own: bool = True
    held: Callable[[str], bool] = field(default=lambda _: False)


def judge_flow_run(run: SeenRun, machine: Machine, now: float) -> Literal["alive", "dead", "unknown"]:
    """The rule at the top of this file."""
    moment = OWN_MOMENT_SECONDS if machine.own else MOMENT_SECONDS
    if now - run.since < moment or run.id in machine.runs:
        return "alive"
    if any(_may_run(process, run) for process in machine.processes):
        return "alive"
    if machine.own:
        return "dead"
    if run.beat is not None and now - run.beat < BEAT_SECONDS:
        return "alive"
    if run.pipeline is not None and run.holds:
        return "unknown" if machine.held(run.pipeline) else "dead"
    return "dead" if run.beat is not None else "unknown"


def _may_run(process: Process, run: SeenRun) -> bool:
    return process.born <= run.started + CLOCK_SECONDS and (not run.holds or run.pipeline in process.pipelines)


def look_around(home: Home, own: bool, is_held: Callable[[str], bool]) -> Machine:
    """Every process that carries a flow run's id or has one of this home's locks open; `up` and the servers speak for no run.

    Where another user's process may be a run, this machine is not all that there is to see.
    """
    import psutil

    runs, processes, blind = set[str](), list[Process](), False
    for process in psutil.process_iter():
        try:
            run, open_files = process.environ().get("PREFECT__FLOW_RUN_ID"), {file.path for file in process.open_files()}
            runs |= {run} if run else set()
            locks = _locked_pipelines(home, open_files)
            if locks is not None and "up" not in locks and process.pid != os.getpid():
                processes.append(Process(process.pid, process.create_time(), locks))
        except psutil.AccessDenied:
            blind = blind or _may_run_flows(process)
        except (psutil.Error, OSError):
            continue
    return Machine(frozenset(runs), tuple(processes), own and not blind, is_held)


def _locked_pipelines(home: Home, open_files: set[str]) -> frozenset[str] | None:
    """The pipelines whose locks are among the open files; None where no file of this home's is, not even its server's."""
    folder = str(home.path / "locks")
    names = (Path(path).name for path in open_files if path.startswith(folder))
    pipelines = frozenset(name.removesuffix(".lock").removesuffix(".next") for name in names)
    return pipelines if pipelines or str(home.prefect / "in-use.lock") in open_files else None


def _may_run_flows(process: psutil.Process) -> bool:
    import psutil

    try:
        return any(word in part for part in process.cmdline() for word in ("prefect", "tunekeeper", "flows"))
    except (psutil.Error, OSError):
        return False
