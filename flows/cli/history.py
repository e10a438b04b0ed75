"""Show a model to a person: its history on one page, and the report of its last decision, drawn again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from configs.errors import InfraError, InputError
from configs.schema import Pipeline
from flows.cli.promote import open_records
from tasks.collect.links import history_file, keep_history
from tasks.common.terminal import print_closing, print_notice
from tasks.context import PipelineContext
from tasks.ledger.decisions import last_decision
from tasks.ledger.promotions import Entry, Ledger, SettledChampion, ledger_history, reconcile_alias

COLUMNS = ("epoch", "kind", "move", "when", "verdict", "who", "why")


def show_history(pipeline: Pipeline, config: Path) -> dict[str, object]:
    """Every promotion and rollback, oldest first, and the page of the model's life."""
    context = open_records(pipeline)
    ledger = context.ledger
    settled = reconcile_alias(ledger, context.registry, pipeline.name)
    for notice in settled.notices:
        print_notice(notice)
    entries = ledger_history(ledger, pipeline.name)
    rows = [_entry_row(entry) for entry in entries]
    title = f"{pipeline.name}: champion is version {settled.champion}" if settled.champion else f"{pipeline.name} has no champion"
    decided = last_decision(ledger, pipeline.name) is not None
    following = f"tunekeeper {'report' if decided else 'retrain'} CONFIG"
    print_closing(title, "bold", [COLUMNS, *rows], (), (f"next: {following}".replace("CONFIG", str(config)),))
    page = _write_history_page(context, settled, following)
    if entries or decided:
        _store_history_page(context, page)
    else:  # nothing has happened: MLflow gets no empty experiment
        print_notice(f"page: {page}")
    moves = [{name: value for name, value in asdict(entry).items() if name != "model"} for entry in entries]
    return {
        "pipeline": pipeline.name,
        "champion": settled.champion,
        "notices": list(settled.notices),
        "history": moves,
        "page": str(page),
    }


def _write_history_page(context: PipelineContext, settled: SettledChampion, following: str) -> Path:
    """Draw the model's life: versions, verdicts, promotions, looks, feedback, cost."""
    from tasks.collect.history import collect_history
    from tasks.report.history.data import to_json
    from tasks.report.history.page import render_history

    tracking, name = context.tracking, context.pipeline.name
    history = collect_history(context, settled.champion, settled.notices, following)
    page = history_file(tracking, name)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.with_suffix(".json").write_text(to_json(history))
    page.write_text(render_history(history))
    return page


def _store_history_page(context: PipelineContext, page: Path) -> None:
    """Store the page in MLflow where that is allowed, and say where it is."""
    tracking, name = context.tracking, context.pipeline.name
    try:
        print_notice(f"page: {keep_history(tracking, name, page)}")
    except InfraError as error:  # a user who may only read MLflow still gets the page
        print_notice(f"page: {page} (not in MLflow: {error})")


def redraw_report(pipeline: Pipeline) -> dict[str, object]:
    """Fetch report.json of the last decided run and draw it with this version's page."""
    from tasks.report.run.data import from_json
    from tasks.report.run.page import render_report

    context = open_records(pipeline)
    tracking, run_id = context.tracking, _last_run_id(context.ledger, pipeline)
    folder = tracking.fetch(tracking.artifact_uri(run_id, "report"), context.home.path / "reports" / run_id)
    page, numbers = folder / "report.html", folder / "report.json"
    if not numbers.is_file():
        where = tracking.artifact_uri(run_id, "report")
        raise InfraError(f"{where} in MLflow holds no {numbers.name}, of which the page is drawn: restore it from a copy")
    page.write_text(render_report(from_json(numbers.read_bytes())))
    print_notice(f"report: {page}")
    return {"pipeline": pipeline.name, "run_id": run_id, "report": str(page)}


def _last_run_id(ledger: Ledger, pipeline: Pipeline) -> str:
    decision = last_decision(ledger, pipeline.name)
    if decision is None or decision.run_id is None:
        raise InputError(f"{pipeline.name} was never decided on: `tunekeeper retrain CONFIG` comes first")
    return decision.run_id


def _entry_row(entry: Entry) -> tuple[str, ...]:
    move = f"{entry.from_version or '-'} → {entry.to_version or '-'}"
    return str(entry.epoch), entry.kind, move, entry.at[:16].replace("T", " "), entry.verdict or "", entry.who, entry.reason
