"""Prefect flow runs that say they run and do not: which are surely dead, and what becomes of them.

The rule. A run is dead only if nothing speaks for it. What speaks for a run:
  1. a process on this machine that carries its id (a worker starts each run with it in the environment);
  2. a process on this machine that was there when the run began and has the run's pipeline lock open: it holds the lock or waits
     for it. A run from the command line is known by this alone, as it sends no heartbeat;
  3. that it changed its state a moment ago.
Where the server is this home's own, and all its processes can be looked into, that is all there can be, and a run without is dead.
Elsewhere it may have a process on another machine, for which speak
  4. a heartbeat within the last five minutes;
  5. a lease of its pipeline that has not expired.
It is dead there if its heartbeats stopped, or if it needs a pipeline that nobody holds; and as a run that has let go of its
pipeline takes a moment to report its end, a second look, later, has to say the same. Otherwise nobody here can know, and it is
left alone and said.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tasks.common.home import Home
from tasks.recovery.leftovers import Stray

if TYPE_CHECKING:
    import psutil
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, State

MOMENT_SECONDS, OWN_MOMENT_SECONDS = 60.0, 5.0
BEAT_SECONDS = 300.0
AGAIN_SECONDS = 10.0
PENDING_SECONDS = 300.0
LATE_SECONDS = 600.0
CLOCK_SECONDS = 5.0  # between a process's birth and its run's start, for clocks and slow imports
TAG = "tunekeeper"
FLOWS = frozenset({"retrain", "retrain-config"})  # those that hold their pipeline from beginning to end
PAGE = 200


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
    if any(_may_be(process, run) for process in machine.processes):
        return "alive"
    if machine.own:
        return "dead"
    if run.beat is not None and now - run.beat < BEAT_SECONDS:
        return "alive"
    if run.pipeline is not None and run.holds:
        return "unknown" if machine.held(run.pipeline) else "dead"
    return "dead" if run.beat is not None else "unknown"


def _may_be(process: Process, run: SeenRun) -> bool:
    return process.born <= run.started + CLOCK_SECONDS and (not run.holds or run.pipeline in process.pipelines)


def look_around(home: Home, own: bool, held: Callable[[str], bool]) -> Machine:
    """Every process that carries a flow run's id or has one of this home's locks open; `up` and the servers speak for no run.

    Where another user's process may be a run, this machine is not all that there is to see.
    """
    import psutil

    runs, found, blind = set[str](), list[Process](), False
    for process in psutil.process_iter():
        try:
            run, opened = process.environ().get("PREFECT__FLOW_RUN_ID"), {file.path for file in process.open_files()}
            runs |= {run} if run else set()
            locks = _locks(home, opened)
            if locks is not None and "up" not in locks and process.pid != os.getpid():
                found.append(Process(process.pid, process.create_time(), locks))
        except psutil.AccessDenied:
            blind = blind or _may_run_flows(process)
        except (psutil.Error, OSError):
            continue
    return Machine(frozenset(runs), tuple(found), own and not blind, held)


def _locks(home: Home, opened: set[str]) -> frozenset[str] | None:
    """The pipelines whose locks are among the open files; None where no file of this home's is, not even its server's."""
    folder = str(home.path / "locks")
    found = frozenset(Path(path).name.removesuffix(".lock").removesuffix(".next") for path in opened if path.startswith(folder))
    return found if found or str(home.prefect / "in-use.lock") in opened else None


def _may_run_flows(process: psutil.Process) -> bool:
    import psutil

    try:
        return any(word in part for part in process.cmdline() for word in ("prefect", "tunekeeper", "flows"))
    except (psutil.Error, OSError):
        return False


def dead_runs(client: SyncPrefectClient, machine: Callable[[], Machine]) -> Iterator[Stray]:
    """Runs that say Running, Cancelling or Pending with nothing behind them."""
    now, around = time.time(), machine()
    later = time.monotonic() + (0.0 if around.own else AGAIN_SECONDS)
    for raw, run in list(_runs(client, ("RUNNING", "CANCELLING", "PENDING"))):  # all, before a state that is set moves the pages
        verdict = judge_flow_run(run, around, now)
        if verdict == "alive" or (run.state == "PENDING" and now - run.since < PENDING_SECONDS):
            continue
        said = f"says {raw.state.name} since {_clock(now - run.since)}, and nothing speaks for it"
        if verdict == "unknown":
            yield Stray("flow run", run.name, f"{said} here", f"look on its machine, or cancel it in the Prefect UI ({run.id})")
        else:
            due = run.state == "PENDING" and raw.deployment_id is not None
            remedy = {"PENDING": "scheduled again" if due else "Crashed", "CANCELLING": "Cancelled"}.get(run.state, "Crashed")
            yield Stray("flow run", run.name, said, remedy, _mend(client, run, remedy, machine, later))


def late_runs(client: SyncPrefectClient) -> Iterator[Stray]:
    """Scheduled runs that a later one of the same deployment has overtaken: one turn is enough, not one per turn missed."""
    now, newest = time.time(), dict[str, Any]()
    late = [
        raw for raw, _ in _runs(client, ("SCHEDULED",)) if raw.state.name == "Late" and raw.auto_scheduled and raw.deployment_id
    ]
    for raw in sorted(late, key=lambda one: one.expected_start_time):
        before = newest.get(str(raw.deployment_id))
        if before is not None and now - before.expected_start_time.timestamp() > LATE_SECONDS:
            what = f"late since {_clock(now - before.expected_start_time.timestamp())}, and a later one waits"
            yield Stray(
                "flow run", before.name, what, "Cancelled", _set(client, str(before.id), "Cancelled", "overtaken by a later run")
            )
        newest[str(raw.deployment_id)] = raw


def stale_slots(client: SyncPrefectClient, limit: str, held: Callable[[], int]) -> Iterator[Stray]:
    """The device limit counts holders that are dead; `held` says how many slots living processes hold."""
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
    from prefect.exceptions import ObjectNotFound

    with suppress(ObjectNotFound):
        taken, alive = client.read_global_concurrency_limit_by_name(limit).active_slots, held()
        if taken > alive:

            def reclaim() -> None:
                client.update_global_concurrency_limit(limit, GlobalConcurrencyLimitUpdate(active_slots=held()))

            yield Stray("slot", limit, f"{taken} taken, {alive} by living processes", f"{alive} taken", reclaim)


def _mend(client: SyncPrefectClient, run: SeenRun, remedy: str, machine: Callable[[], Machine], again: float) -> Callable[[], None]:
    """At the moment `again` or later look again, at the run and at this machine, then set the state."""

    def act() -> None:
        time.sleep(max(0.0, again - time.monotonic()))
        seen = next((one for _, one in _runs(client, (run.state,)) if one.id == run.id), None)
        if seen is not None and seen.since == run.since and judge_flow_run(seen, machine(), time.time()) == "dead":
            _set(client, run.id, remedy, "its process is gone; found by `tunekeeper reconcile`")()

    return act


def _set(client: SyncPrefectClient, run: str, to: str, why: str) -> Callable[[], None]:
    def act() -> None:
        from prefect.states import Cancelled, Crashed, Scheduled

        states: dict[str, Callable[..., State[object]]] = {"Crashed": Crashed, "Cancelled": Cancelled, "scheduled again": Scheduled}
        state = states[to](message=why)
        client.set_flow_run_state(run, state, force=True)

    return act


def _runs(client: SyncPrefectClient, states: Sequence[str]) -> Iterator[tuple[Any, SeenRun]]:
    """Our runs in these states, page by page, each with what is known of it."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
    from prefect.client.schemas.objects import StateType

    wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType(state) for state in states])))
    flows, offset = dict[str, str](), 0
    while page := client.read_flow_runs(flow_run_filter=wanted, limit=PAGE, offset=offset):
        for raw in page:
            if str(raw.flow_id) not in flows:
                flows[str(raw.flow_id)] = client.read_flow(raw.flow_id).name
            name = flows[str(raw.flow_id)]
            if raw.state is not None and (TAG in raw.tags or name in FLOWS):
                yield raw, _seen(client, raw, name)
        offset += PAGE


def _seen(client: SyncPrefectClient, raw: Any, flow: str) -> SeenRun:
    since = raw.state.timestamp.timestamp()
    started = raw.start_time.timestamp() if raw.start_time else since
    return SeenRun(
        str(raw.id), f"{flow}/{raw.name}", raw.state.type.value, since, started, _beat(client, str(raw.id)), _pipeline(raw),
        flow in FLOWS,
    )  # fmt: skip


def _pipeline(raw: FlowRun) -> str | None:
    """By the run's parameters, else by its tags."""
    given = raw.parameters.get("pipeline")
    if isinstance(given, dict) and "name" in given:
        return str(given["name"])
    return next((tag for tag in raw.tags if tag != TAG), None)


def _beat(client: SyncPrefectClient, run: str) -> float | None:
    """When it last sent a heartbeat."""
    from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter

    mine = EventFilter(
        event=EventNameFilter(name=["prefect.flow-run.heartbeat"]), resource=EventResourceFilter(id=[f"prefect.flow-run.{run}"])
    )
    found = client.read_events(mine, limit=1).events
    return float(found[0].occurred.timestamp()) if found else None


def _clock(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
