"""Where a browser finds the pages of runs, looks and models: in MLflow where a server shows them, else as files of this home."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tasks.identity.keys import json_sha256
from tasks.ledger.decisions import Decision
from tasks.ledger.monitor_runs import Look
from tasks.tracking.client import Tracking

REPORT, HISTORY = "report/report.html", "history/history.html"


def report_page(tracking: Tracking, decision: Decision | None) -> str:
    """The report of a decision; "" where there is none."""
    if decision is None or decision.run_id is None:
        return ""
    return tracking.page_of(decision.model, decision.run_id, REPORT, tracking.home.locate_page(decision.payload["report"]))


def report_of_version(tracking: Tracking, decisions: Iterable[Decision], version: str) -> str:
    """The report of the last decision on a version."""
    mine = [decision for decision in decisions if decision.payload["model"]["version"] == version]
    return report_page(tracking, mine[-1] if mine else None)


def look_page(tracking: Tracking, look: Look) -> str:
    """The page of a look; its file where MLflow keeps but the last one, as it once did."""
    file, run_id = look.payload.get("report") or "", look.payload.get("run_id")
    place = tracking.home.locate_page(file)
    return tracking.page_of(look.model, run_id, look_artifact(look.name), place) if run_id else str(place) if file else ""


def look_artifact(name: str) -> str:
    return f"watch/{name}/watch.html"


def keep_history(tracking: Tracking, model: str, page: Path) -> str:
    """Put the page of a model's life, with its numbers, into the one run that has it; return the page's address."""
    run_id = tracking.open_run(model, _history_key(model), f"history {model}", {"pipeline": model}, "tunekeeper history")
    tracking.log_folder(run_id, page.parent, "history")
    tracking.close_run(run_id)
    return str(page) if tracking.home.tracking_pages is None else tracking.page_of(model, run_id, HISTORY, page)


def history_page(tracking: Tracking, model: str) -> str:
    """The page of a model's life as it was last drawn; "" where it never was."""
    page = history_file(tracking, model)
    if tracking.home.tracking_pages is None:
        return page.as_uri() if page.is_file() else ""
    run_id = tracking.find_run(model, _history_key(model))
    return tracking.page_of(model, run_id, HISTORY, page) if run_id else ""


def history_file(tracking: Tracking, model: str) -> Path:
    return tracking.home.path / "history" / model / "history.html"


def _history_key(model: str) -> str:
    return json_sha256(f"history {model}")
