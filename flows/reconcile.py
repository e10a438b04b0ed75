"""Put away what died: by hand, every quarter of an hour where there is a worker, and once when `up` starts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import InfraError, InputError
from configs.schema import Pipeline
from tasks.common.home import Home, find_home, settle_environment
from tasks.common.orchestration import flow
from tasks.common.terminal import print_closing, print_notice
from tasks.recovery.leftovers import Leftover, find_leftovers, spent_checkpoints

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

EVERY_SECONDS = 900
COLUMNS = ("what", "which", "what is wrong", "what was done")


@dataclass(frozen=True)
class MendingResult:
    """A leftover and its mending: `done` is None where nothing was tried, else whether it worked; `note` says why not."""

    leftover: Leftover
    done: bool | None = None
    note: str = ""

    @property
    def outcome_text(self) -> str:
        if self.done is False:
            return f"failed: {self.note}"
        return self.leftover.remedy if self.done else f"to do: {self.leftover.remedy}"


@flow(name="reconcile", flow_run_name="reconcile")
def reconcile(dry_run: bool = False) -> dict[str, Any]:
    """Find what died and put it right; with `dry_run` only list it. The list is the run's artifact."""
    from tasks.common.orchestration import create_table_artifact

    home = find_home()
    settle_environment(home)
    mended, blind = mend_leftovers(home, None, dry_run=dry_run)
    if not dry_run:
        _name_planned_runs()
    rows = [dict(zip(COLUMNS, _result_row(item), strict=True)) for item in mended]
    if rows:
        create_table_artifact(rows, "reconcile", "what had died, and what was done about it")
    return _json_outcome(home, mended, blind, dry_run)


def _name_planned_runs() -> None:
    from prefect.client.orchestration import get_client

    from flows.deploy.run_names import name_planned
    from flows.deploy.specs import TAG

    with get_client(sync_client=True) as client:
        name_planned(client, TAG)


def put_right(pipeline: Pipeline | None, *, dry_run: bool, quiet: bool) -> dict[str, object]:
    """The same from the command line; returns the object of `--json`."""
    home = find_home()
    settle_environment(home)
    from flows.local.server import prefect_server

    with prefect_server(home):
        mended, blind = mend_leftovers(home, pipeline, dry_run=dry_run)
    if not quiet:
        _print_outcome(mended, blind, dry_run)
    return _json_outcome(home, mended, blind, dry_run)


def mend_leftovers(home: Home, pipeline: Pipeline | None, *, dry_run: bool) -> tuple[list[MendingResult], list[str]]:
    """Run every finder and mend what it finds; returns what was mended, and the errors of the finders that failed, each once."""
    mended, blind = list[MendingResult](), dict[str, None]()
    for look in leftover_finders(home, pipeline):
        try:
            mended += [_mend_leftover(leftover, dry_run) for leftover in look()]
        except (InfraError, InputError) as error:
            blind[str(error)] = None
    return mended, list(blind)


def _mend_leftover(leftover: Leftover, dry_run: bool) -> MendingResult:
    if leftover.mend is None or dry_run:
        return MendingResult(leftover)
    try:
        leftover.mend()
    except (InfraError, InputError, OSError) as error:
        return MendingResult(leftover, False, str(error))
    return MendingResult(leftover, True)


def leftover_finders(
    home: Home, pipeline: Pipeline | None, blind: Collection[str] = (), *, only_look: bool = False
) -> Iterable[Callable[[], Iterable[Leftover]]]:
    """All finders of leftovers but those on servers in `blind`; each opens what it needs, so that a server away stops one alone."""
    from tasks.context import open_ledger
    from tasks.recovery.records import half_models, left_requests, open_runs, unsettled_models
    from tasks.tracking.client import Tracking
    from tasks.tracking.database import is_lost

    ledger = open_ledger(home)
    has_ledger = "ledger" not in blind and ledger.exists
    tracking = Tracking(home, pause=lambda _: None, only_look=only_look)
    there = home.tracking_file is None or home.tracking_file.is_file() or is_lost(home)  # one that is lost is an error, and said
    has_tracking = "mlflow" not in blind and there
    if "prefect" not in blind:
        yield lambda: flow_leftovers(home)
    if has_tracking:
        yield lambda: open_runs(home, tracking, ledger if has_ledger else None)
        yield lambda: half_models(home, tracking, ledger if has_ledger else None)
    if has_ledger:
        yield lambda: left_requests(home, ledger)
    if has_ledger and has_tracking:
        yield lambda: unsettled_models(tracking, ledger, pipeline)
    yield lambda: find_leftovers(home)
    yield lambda: spent_checkpoints(home)


def flow_leftovers(home: Home) -> Iterator[Leftover]:
    """Strays of the Prefect server that PREFECT_API_URL names; this home's own knows no runs of other machines."""
    from tasks.common.gpu_slots import LIMIT
    from tasks.context import open_ledger
    from tasks.recovery.flow_runs import dead_runs, late_runs, stale_slots
    from tasks.recovery.leftovers import held_slots
    from tasks.recovery.records import is_held
    from tasks.recovery.run_evidence import look_around

    own, ledger = _is_own(home), open_ledger(home)
    with _prefect_client() as client:
        yield from dead_runs(client, lambda: look_around(home, own, lambda name: is_held(home, ledger, name)))
        yield from late_runs(client)
        if own:
            yield from stale_slots(client, LIMIT, lambda: held_slots(home))


def _is_own(home: Home) -> bool:
    import os

    from flows.local.server import server_address

    return server_address(home) == os.environ.get("PREFECT_API_URL")


@contextmanager
def _prefect_client() -> Iterator[SyncPrefectClient]:
    """Prefect's client; its faults are raised as InfraError."""
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectException

    try:
        with get_client(sync_client=True) as client:
            yield client
    except (HTTPError, PrefectException, OSError) as error:
        message = " ".join(str(error).split())[:200] or type(error).__name__
        raise InfraError(
            f"Prefect's server does not answer as it should ({message}): see that it runs; check PREFECT_API_URL"
        ) from error


def _result_row(item: MendingResult) -> tuple[str, str, str, str]:
    return item.leftover.kind, item.leftover.name, item.leftover.fault, item.outcome_text


def _json_outcome(home: Home, mended: list[MendingResult], blind: list[str], dry_run: bool) -> dict[str, object]:
    """The one object of `--json`; `ok` is False where something could not be seen or mended."""
    names = ("kind", "name", "fault", "remedy")
    rows = [{**{name: getattr(item.leftover, name) for name in names}, "done": item.done, "note": item.note} for item in mended]
    ok = not blind and all(item.done is not False for item in mended)
    return {"home": str(home.path), "dry_run": dry_run, "ok": ok, "found": rows, "blind": blind}


def _print_outcome(mended: list[MendingResult], blind: list[str], dry_run: bool) -> None:
    for sentence in blind:
        print_notice(f"not looked at: {sentence}")
    done, left = sum(item.done is True for item in mended), sum(item.done is not True for item in mended)
    if not any(not item.leftover.spent for item in mended) and mended:
        title = "nothing died here; what served can go" if left else "nothing died here; what had served is gone"
        print_closing(title, "green", [COLUMNS, *map(_result_row, mended)], (), ())
        return
    if not mended:
        print_closing("nothing died here" if not blind else "nothing found where it could be looked", "green", (), (), ())
        return
    title = f"{len(mended)} found: `tunekeeper reconcile` puts them right" if dry_run else f"{done} put right, {left} left"
    print_closing(title, "yellow" if left else "green", [COLUMNS, *map(_result_row, mended)], (), ())


def main() -> None:
    """Run by `up` once its servers answer: make the pool and the schedule, then reconcile once."""
    home = find_home()
    settle_environment(home)
    for sentence in (settle_pool(), schedule_reconcile()):
        print_notice(sentence)
    put_right(None, dry_run=False, quiet=False)


def settle_pool() -> str:
    """Make the pool if absent. Its runs keep their output to themselves: through a pipe to the worker, they would die with it."""
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.process import ProcessWorker

    from flows.local.services import POOL

    with _prefect_client() as client:
        try:
            template = client.read_work_pool(POOL).base_job_template
        except ObjectNotFound:
            template = ProcessWorker.get_default_base_job_template()
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=_without_log_stream(template)))
        else:
            client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=_without_log_stream(template)))
    return f"the pool {POOL} is there"


def _without_log_stream(template: dict[str, Any]) -> dict[str, Any]:
    template["variables"]["properties"]["stream_output"]["default"] = False
    return template


def schedule_reconcile() -> str:
    """The deployment that reconciles every quarter of an hour, on this home's pool."""
    from flows.local.services import POOL

    root = Path(__file__).parent.parent
    from prefect import Flow

    here: Any = Flow.from_source(source=str(root), entrypoint="flows/reconcile.py:reconcile")
    here.to_deployment("reconcile", interval=EVERY_SECONDS, work_pool_name=POOL, tags=["tunekeeper"], concurrency_limit=1).apply()
    return f"reconcile is deployed, every {EVERY_SECONDS // 60} minutes"


if __name__ == "__main__":
    main()
