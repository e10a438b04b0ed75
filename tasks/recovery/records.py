"""Leftovers of dead processes in MLflow and the ledger: runs left open, models half stored, promotions left halfway."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import sqlalchemy as sa

from configs.errors import InfraError
from configs.schema import Pipeline
from tasks.common.home import Home
from tasks.ledger.pipeline_lock import StillHeldError, hold_pipeline
from tasks.ledger.promotions import Ledger, ledger_history, reconcile_alias
from tasks.ledger.replay import Entry, replay_entries
from tasks.ledger.retrain_history import fail_dead_requests
from tasks.ledger.schema import leases, promotions, requests
from tasks.recovery.leftovers import OLD_SECONDS, Leftover, is_free
from tasks.tracking.client import BASES, Tracking
from tasks.tracking.connection import PREFIX
from tasks.tracking.registry import Registry

OTHERS = "set TUNEKEEPER_LEDGER_URL to see other machines' holds"


def is_held(home: Home, ledger: Ledger | None, name: str) -> bool:
    """Whether a living run holds the pipeline: on this machine by its file lock, elsewhere by a lease that has not expired."""
    if not is_free(home.path / "locks" / f"{name}.lock"):
        return True
    if ledger is None or not ledger.shared:
        return False
    live = sa.select(leases.c.name).where((leases.c.name == name) & (leases.c.expires >= ledger.clock))
    return ledger.read(lambda connection: connection.execute(live).first()) is not None


def open_runs(home: Home, tracking: Tracking, ledger: Ledger | None) -> Iterator[Leftover]:
    """MLflow runs left RUNNING by a run that has died, for no run holds its pipeline."""
    names = _experiments(tracking)
    runs = tracking.attempt("listing runs", lambda: tracking.client.search_runs(list(names), "attributes.status = 'RUNNING'"))
    for run in runs:
        name, run_id = names[run.info.experiment_id], run.info.run_id
        ours = PREFIX + ("base" if name == BASES else "train_key") in run.data.tags
        if ours and name == BASES and run.info.start_time / 1000 < time.time() - OLD_SECONDS:
            act = partial(_discard_run, tracking, run_id)
            yield Leftover(
                "MLflow run",
                f"{name}/{run_id[:8]}",
                "half a base, and its writer is gone",
                "FAILED and deleted; stored anew when needed",
                act,
            )
        elif ours and name != BASES and not is_held(home, ledger, name):
            fault, close = (
                f"RUNNING, but nobody holds {name}",
                partial(_close_run, home, tracking, ledger, name, run_id),
            )
            if _may_have_unseen_machines(home, ledger):
                yield Leftover("MLflow run", f"{name}/{run_id[:8]}", f"{fault} on this machine", OTHERS)
            else:
                yield Leftover("MLflow run", f"{name}/{run_id[:8]}", fault, "KILLED; the next retrain goes on in it", close)


def half_models(home: Home, tracking: Tracking, ledger: Ledger | None) -> Iterator[Leftover]:
    """Models that a kill or a fault left half stored in our runs, though no run holds their pipeline.

    A retrain that goes on in such a run stores a model anew, or finds the whole one by the run's tag: neither needs the half one.
    """
    names = _experiments(tracking)
    for model in tracking.attempt("listing models", partial(_logged_models, tracking, list(names))):
        name, run_id = names[model.experiment_id], model.source_run_id
        if _is_ready(model) or is_held(home, ledger, name) or not _is_ours(tracking, run_id):
            continue
        label, fault = f"{name}/{model.model_id}", f"half stored in run {run_id[:8]}, and nobody holds {name}"
        if _may_have_unseen_machines(home, ledger):
            yield Leftover("model", label, f"{fault} on this machine", OTHERS)
        else:
            act = partial(_delete_half_model, home, tracking, ledger, name, model.model_id)
            yield Leftover("model", label, fault, "deleted; `mlflow gc` frees its space", act)


def _delete_half_model(home: Home, tracking: Tracking, ledger: Ledger | None, name: str, model_id: str) -> None:
    with suppress(StillHeldError), hold_pipeline(home.path, name, lambda _: None, 0, ledger):
        if not _is_ready(tracking.attempt("reading a model", lambda: tracking.client.get_logged_model(model_id))):
            tracking.attempt("deleting a model", lambda: tracking.client.delete_logged_model(model_id))


def _is_ours(tracking: Tracking, run_id: str | None) -> bool:
    return run_id is not None and tracking.has_run(run_id) and "train_key" in tracking.tags(run_id)


def _is_ready(model: Any) -> bool:
    return str(model.status) == "READY"


def _logged_models(tracking: Tracking, experiments: list[str]) -> list[Any]:
    models = page = tracking.client.search_logged_models(experiments)
    while page.token:
        page = tracking.client.search_logged_models(experiments, page_token=page.token)
        models = [*models, *page]
    return list(models)


def _experiments(tracking: Tracking) -> dict[str, str]:
    experiments = tracking.attempt("listing experiments", lambda: tracking.client.search_experiments())
    return {experiment.experiment_id: experiment.name for experiment in experiments}


def _may_have_unseen_machines(home: Home, ledger: Ledger | None) -> bool:
    """Whether other machines may work on the same server unseen."""
    return home.tracking_uri.startswith("http") and not (ledger and ledger.shared)


def _close_run(home: Home, tracking: Tracking, ledger: Ledger | None, name: str, run_id: str) -> None:
    """Close the run while holding its pipeline, so that no living run is in it."""
    with suppress(StillHeldError), hold_pipeline(home.path, name, lambda _: None, 0, ledger):
        run = tracking.attempt("reading a run", lambda: tracking.client.get_run(run_id))
        if run.info.status == "RUNNING":
            tracking.close_run(run_id, "KILLED")


def _discard_run(tracking: Tracking, run_id: str) -> None:
    tracking.close_run(run_id, "FAILED")
    tracking.attempt("deleting a run", lambda: tracking.client.delete_run(run_id))


def left_requests(home: Home, ledger: Ledger) -> Iterator[Leftover]:
    """Requests for a retraining that say running, though no run holds their pipeline."""
    running = sa.select(requests.c.model).where(requests.c.state == "running").distinct()
    for model in ledger.read(lambda connection: connection.scalars(running).all()):
        if not is_held(home, ledger, model):
            yield Leftover(
                "request", model, f"running, but nobody holds {model}", "failed", partial(_fail_requests, home, ledger, model)
            )


def _fail_requests(home: Home, ledger: Ledger, model: str) -> None:
    with suppress(StillHeldError), hold_pipeline(home.path, model, lambda _: None, 0, ledger):
        fail_dead_requests(ledger, model)


def unsettled_models(tracking: Tracking, ledger: Ledger, pipeline: Pipeline | None) -> Iterator[Leftover]:
    """Models whose ledger and alias disagree, or whose last move was interrupted.

    The ledger does not know an alias's name: it is the config's, or the only one that the model has. By a wrong one a champion
    would seem to be gone.
    """
    models = sa.select(promotions.c.model).distinct()
    for model in ledger.read(lambda connection: connection.scalars(models).all()):
        entries, aliases = ledger_history(ledger, model), _aliases(tracking, model)
        fault = _alias_fault(entries, set(aliases.values()))
        if fault is None:
            continue
        alias = (
            pipeline.release.alias if pipeline and pipeline.name == model else next(iter(aliases)) if len(aliases) == 1 else None
        )
        if alias is None:
            yield Leftover(
                "ledger", model, fault, f"name its config: tunekeeper reconcile CONFIG (aliases: {', '.join(aliases) or 'none'})"
            )
        else:
            registry = Registry(tracking, alias)
            yield Leftover(
                "ledger",
                model,
                fault,
                f"ledger and alias {alias} brought together",
                partial(reconcile_alias, ledger, registry, model),
            )


def _alias_fault(entries: tuple[Entry, ...], versions: set[str]) -> str | None:
    last, champion = entries[-1], replay_entries(entries).champion
    if last.state == "intended":
        return f"the move {last.from_version or '-'} → {last.to_version or '-'} was interrupted"
    if (champion is None and versions) or (champion is not None and champion not in versions):
        return f"the ledger says champion {champion or 'none'}, the aliases point at {', '.join(sorted(versions)) or 'nothing'}"
    return None


def _aliases(tracking: Tracking, model: str) -> dict[str, str]:
    def read() -> Any:
        return tracking.client.get_registered_model(model).aliases

    try:
        return {name: str(version) for name, version in tracking.attempt(f"reading {model}", read).items()}
    except InfraError as error:
        if getattr(error.__cause__, "error_code", None) == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
