"""Run a flow from the command line: environment first, then the server, then the flow, then the last words."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

from configs.schema import Pipeline
from tasks.common.home import find_home, settle_environment

WIDTH = 80  # characters of a terminal that the closing table fits; the report has all metrics
COLOURS = {"PROMOTE": "green", "HOLD": "red", "INCONCLUSIVE": "yellow"}


def run_retrain(pipeline: Pipeline, config: Path, *, quiet: bool) -> dict[str, object]:
    """The retrain flow in this process, on the server that is configured, or our own."""
    settle_environment(find_home())  # before a process inherits it
    from tasks.common.processes import helper_started

    with helper_started(), flow_environment(pipeline.name):
        from flows.retrain import retrain

        outcome: dict[str, Any] = retrain(pipeline)
    if not quiet:
        _print_verdict(outcome, config)
    return outcome


def run_adopt(pipeline: Pipeline, config: Path, model: Path, reason: str, person: str | None, *, quiet: bool) -> dict[str, object]:
    """Adopt a model in this process; `model` is its folder, `person` a name that differs from the user's."""
    settle_environment(find_home())  # before a process inherits it
    from tasks.common.processes import helper_started

    with helper_started(), flow_environment(pipeline.name):
        from flows.adopt import adopt
        from flows.cli.promote import person_named

        outcome: dict[str, Any] = adopt(pipeline, str(model), reason, person_named(person))
    if not quiet:
        _print_move(outcome, config, pipeline.release.alias)
    return outcome


def _print_move(outcome: dict[str, Any], config: Path, alias: str) -> None:
    from tasks.common.terminal import print_closing

    title = f"{outcome['pipeline']}@{alias} is version {outcome['to']} (was {outcome['from']}), epoch {outcome['epoch']}"
    hints = [f"report: {outcome['report']}", f"next: tunekeeper history {config}"]
    print_closing(title, "green", (), outcome["reasons"] if outcome["fresh"] else (), hints)


def run_monitor(pipeline: Pipeline, config: Path, *, quiet: bool) -> dict[str, object]:
    """One look of the monitors in this process."""
    with flow_environment(pipeline.name):
        from flows.monitor import monitor

        outcome: dict[str, Any] = monitor(pipeline)
    if not quiet:
        _print_look(outcome, config)
    return outcome


def run_score(pipeline: Pipeline, source: str, output: str, version: str | None, *, quiet: bool) -> dict[str, object]:
    """Score with the flow in this process."""
    with flow_environment():
        from flows.score import score

        outcome: dict[str, Any] = score(pipeline, source, output, version)
    if not quiet:
        _print_scores(outcome)
    return outcome


def _print_scores(outcome: dict[str, Any]) -> None:
    from tasks.common.terminal import print_closing

    title = f"{outcome['answered']:,} of {outcome['rows']:,} rows answered by {outcome['pipeline']} version {outcome['version']}"
    if outcome["skipped"]:
        title = f"skipped: the result is there already: {title}"
    rate = outcome["rows_per_second"]
    reasons = (
        [f"{rate:,.0f} rows/s" + (f"; {outcome['kept']:,} rows were scored before" if outcome["kept"] else "")] if rate else []
    )
    if absent := outcome["rows"] - outcome["answered"]:
        reasons.append(
            f"{absent:,} rows have no `prediction`: their text is empty in a part, longer than data.max_characters, or costs more "
            "to search for personal data than one of its length may"
        )
    print_closing(title, "green", (), reasons, (f"result: {outcome['output']}",))


@contextmanager
def flow_environment(*names: str) -> Iterator[None]:
    """What a flow needs to run in this process: the environment, a server, its tags (those of a deployed run), and no heartbeat.

    The heartbeat costs a second at the end of every run, and this server does not use it.
    """
    home = find_home()
    settle_environment(home)
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from flows.local.server import prefect_server

    with prefect_server(home):
        from prefect import tags
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), tags("tunekeeper", *names):
            yield


def _print_look(outcome: dict[str, Any], config: Path) -> None:
    from tasks.common.terminal import print_closing

    name = f"{outcome['pipeline']} version {outcome['version']}"
    if outcome["skipped"]:
        print_closing(f"no look at {name}: {outcome['reason']}", "yellow", (), (), ())
        return
    table = [("monitor", "change", "least", "p", ""), *(_finding_row(finding) for finding in outcome["findings"])]
    spoke = ", ".join(outcome["monitors"])
    title = f"{name}: {spoke} changed" if outcome["alarm"] else f"{name}: no change worth an alarm in {outcome['rows']:,} answers"
    hints = [f"report: {outcome['report']}", f"next: tunekeeper {'retrain' if outcome['alarm'] else 'history'} {config}"]
    print_closing(title, "red" if outcome["alarm"] else "green", table, (), hints)


def _finding_row(finding: dict[str, Any]) -> tuple[str, ...]:
    if finding["p"] is None:
        return finding["monitor"], "-", f"{finding['minimum']:.3g}", "-", finding["note"]
    alarm = "ALARM" if finding["alarm"] else ""
    return finding["monitor"], f"{finding['effect']:.3g}", f"{finding['minimum']:.3g}", f"{finding['p']:.2g}", alarm


def _print_verdict(outcome: dict[str, Any], config: Path) -> None:
    from tasks.common.terminal import print_closing
    from tasks.report.run.data import from_json
    from tasks.report.run.summary import terminal_table

    title = f"{outcome['verdict']}  {outcome['pipeline']} version {outcome['model']['version']}"
    if outcome["skipped"]:
        title = f"skipped: nothing changed; the earlier verdict stands: {title}"
    numbers = Path(outcome["report"]).with_suffix(".json")
    if not numbers.is_file():  # decided on another machine, or swept away
        hints = [f"next: tunekeeper report {config} fetches the report"]
        print_closing(title, COLOURS[outcome["verdict"]], (), outcome["reasons"][:3], hints)
        return
    report = from_json(numbers.read_bytes())
    hints = [f"report: {outcome['report']}", f"next: {_next_command(report.next_command, config)}"]
    table = _columns_that_fit(terminal_table(report))
    print_closing(title, COLOURS[outcome["verdict"]], table, outcome["reasons"][:3], hints)


def _next_command(recorded: str | None, config: Path) -> str:
    """The command that a report recorded, for this home and this config."""
    return find_home().at_this_home(recorded or "").replace("CONFIG", shlex.quote(str(config)))


def _columns_that_fit(table: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The leading columns of a table that fit WIDTH characters; the first three always."""
    widths = [max(map(len, column)) + 2 for column in zip(*table, strict=True)]
    count = max(3, sum(end <= WIDTH for end in accumulate(widths)))
    return [row[:count] for row in table]
