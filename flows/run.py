"""Run a flow from the command line: environment first, then the server, then the flow, then the last words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from configs.schema import Pipeline
from tasks.home import find_home, settle_environment

COLUMNS = 5  # what fits a terminal of 80 columns; the report has all
COLOURS = {"PROMOTE": "green", "HOLD": "red", "INCONCLUSIVE": "yellow"}


def run_retrain(pipeline: Pipeline, config: Path, *, quiet: bool) -> dict[str, Any]:
    """The retrain flow in this process, on the server that is configured, or our own."""
    home = find_home()
    settle_environment(home)
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from flows.server import prefect_server

    with prefect_server(home):
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        from flows.retrain import retrain

        # the heartbeat costs a second at the end of every run, for a server that watches nobody
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            outcome: dict[str, Any] = retrain(pipeline)
    if not quiet:
        _last_words(outcome, config)
    return outcome


def _last_words(outcome: dict[str, Any], config: Path) -> None:
    from tasks.report.data import from_json
    from tasks.report.summary import terminal_table
    from tasks.terminal import closing

    report = from_json(Path(outcome["report"]).with_suffix(".json").read_bytes())
    title = f"{outcome['verdict']}  {outcome['pipeline']} version {outcome['model']['version']}"
    if outcome["skipped"]:
        title = f"skipped: nothing changed; the earlier verdict stands: {title}"
    hints = [f"report: {outcome['report']}", f"next: {report.next_command}".replace("CONFIG", str(config))]
    table = [row[:COLUMNS] for row in terminal_table(report)]
    closing(title, COLOURS[outcome["verdict"]], table, outcome["reasons"][:3], hints)
