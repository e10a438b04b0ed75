"""Prefect flow runs that say they run and do not: which are dead, late or hold slots for nothing, and what becomes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tasks.recovery.leftovers import Leftover
from tasks.recovery.run_evidence import Machine, SeenRun, judge_flow_run

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, State

AGAIN_SECONDS = 10.0
PENDING_SECONDS = 300.0
LATE_SECONDS = 600.0
TAG = "tunekeeper"
FLOWS = frozenset({"retrain", "retrain-config"})  # those that hold their pipeline from beginning to end
PAGE = 200


def dead_runs(client: SyncPrefectClient, machine: Callable[[], Machine]) -> Iterator[Leftover]:
    """Runs that say Running, Cancelling or Pending with nothing behind them."""
    now, around = time.time(), machine()
    later = time.monotonic() + (0.0 if around.own else AGAIN_SECONDS)
    for raw, run in list(_own_runs(client, ("RUNNING", "CANCELLING", "PENDING"))):  # all, as setting a state moves the pages
        verdict = judge_flow_run(run, around, now)
        if verdict == "alive" or (run.state == "PENDING" and now - run.since < PENDING_SECONDS):
            continue
        fault = f"says {raw.state.name} since {_duration_text(now - run.since)}, and nothing speaks for it"
        if verdict == "unknown":
            yield Leftover("flow run", run.name, f"{fault} here", f"look on its machine, or cancel it in the Prefect UI ({run.id})")
        else:
            due = run.state == "PENDING" and raw.deployment_id is not None
            remedy = {"PENDING": "scheduled again" if due else "Crashed", "CANCELLING": "Cancelled"}.get(run.state, "Crashed")
            yield Leftover("flow run", run.name, fault, remedy, _mend_action(client, run, remedy, machine, later))


def late_runs(client: SyncPrefectClient) -> Iterator[Leftover]:
    """Scheduled runs that a later one of the same deployment has overtaken: one turn is enough, not one per turn missed."""
    now, newest = time.time(), dict[str, Any]()
    late = [
        raw for raw, _ in _own_runs(client, ("SCHEDULED",)) if raw.state.name == "Late" and raw.auto_scheduled and raw.deployment_id
    ]
    for raw in sorted(late, key=lambda run: run.expected_start_time):
        before = newest.get(str(raw.deployment_id))
        if before is not None and now - before.expected_start_time.timestamp() > LATE_SECONDS:
            fault = f"late since {_duration_text(now - before.expected_start_time.timestamp())}, and a later one waits"
            yield Leftover(
                "flow run",
                before.name,
                fault,
                "Cancelled",
                _state_action(client, str(before.id), "Cancelled", "overtaken by a later run"),
            )
        newest[str(raw.deployment_id)] = raw


def stale_slots(client: SyncPrefectClient, limit: str, count_holders: Callable[[], int]) -> Iterator[Leftover]:
    """The device limit counts holders that are dead; `held` says how many slots living processes hold."""
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
    from prefect.exceptions import ObjectNotFound

    with suppress(ObjectNotFound):
        slots, alive = client.read_global_concurrency_limit_by_name(limit).active_slots, count_holders()
        if slots > alive:

            def reclaim() -> None:
                client.update_global_concurrency_limit(limit, GlobalConcurrencyLimitUpdate(active_slots=count_holders()))

            yield Leftover("slot", limit, f"{slots} taken, {alive} by living processes", f"{alive} taken", reclaim)


def _mend_action(
    client: SyncPrefectClient, run: SeenRun, remedy: str, machine: Callable[[], Machine], again: float
) -> Callable[[], None]:
    """At the moment `again` or later look again, at the run and at this machine, then set the state."""

    def act() -> None:
        time.sleep(max(0.0, again - time.monotonic()))
        current = next((candidate for _, candidate in _own_runs(client, (run.state,)) if candidate.id == run.id), None)
        if current is not None and current.since == run.since and judge_flow_run(current, machine(), time.time()) == "dead":
            _state_action(client, run.id, remedy, "its process is gone; found by `tunekeeper reconcile`")()

    return act


def _state_action(client: SyncPrefectClient, run: str, to: str, reason: str) -> Callable[[], None]:
    def act() -> None:
        from prefect.states import Cancelled, Crashed, Scheduled

        states: dict[str, Callable[..., State[object]]] = {"Crashed": Crashed, "Cancelled": Cancelled, "scheduled again": Scheduled}
        state = states[to](message=reason)
        client.set_flow_run_state(run, state, force=True)

    return act


def _own_runs(client: SyncPrefectClient, states: Sequence[str]) -> Iterator[tuple[Any, SeenRun]]:
    """Our runs in these states, page by page, each with what is known of it."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
    from prefect.client.schemas.objects import StateType

    run_filter = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType(state) for state in states])))
    flows, offset = dict[str, str](), 0
    while page := client.read_flow_runs(flow_run_filter=run_filter, limit=PAGE, offset=offset):
        for raw in page:
            if str(raw.flow_id) not in flows:
                flows[str(raw.flow_id)] = client.read_flow(raw.flow_id).name
            name = flows[str(raw.flow_id)]
            if raw.state is not None and (TAG in raw.tags or name in FLOWS):
                yield raw, _seen_run(client, raw, name)
        offset += PAGE


def _seen_run(client: SyncPrefectClient, raw: Any, flow: str) -> SeenRun:
    since = raw.state.timestamp.timestamp()
    start = raw.start_time.timestamp() if raw.start_time else since
    return SeenRun(
        str(raw.id), f"{flow}/{raw.name}", raw.state.type.value, since, start, _last_beat(client, str(raw.id)), _pipeline_of(raw),
        flow in FLOWS,
    )  # fmt: skip


def _pipeline_of(raw: FlowRun) -> str | None:
    """By the run's parameters, else by its tags."""
    pipeline = raw.parameters.get("pipeline")
    if isinstance(pipeline, dict) and "name" in pipeline:
        return str(pipeline["name"])
    return next((tag for tag in raw.tags if tag != TAG), None)


def _last_beat(client: SyncPrefectClient, run: str) -> float | None:
    """When it last sent a heartbeat."""
    from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter

    mine = EventFilter(
        event=EventNameFilter(name=["prefect.flow-run.heartbeat"]), resource=EventResourceFilter(id=[f"prefect.flow-run.{run}"])
    )
    events = client.read_events(mine, limit=1).events
    return float(events[0].occurred.timestamp()) if events else None


def _duration_text(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"
