"""Score a batch with the champion: a file, a folder or a table in, one Parquet file out; killed on the way, run it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from configs.schema import Pipeline, Plain
from tasks.orchestration import flow


@flow(name="score", flow_run_name="score {pipeline.name}")
def score(pipeline: Pipeline, source: Plain, output: Plain, version: str | None = None) -> dict[str, Any]:
    """The rows of `source` with the champion's answers, in `output`; the outcome is that of `tunekeeper score --json`."""
    from tasks.home import find_home, settle_environment
    from tasks.score import score as score_rows
    from tasks.terminal import training_bar

    home = find_home()
    settle_environment(home)
    with training_bar("score") as bar:
        outcome: dict[str, Any] = score_rows(pipeline, home, source, output, version, bar.move)
    return outcome


def run_score(pipeline: Pipeline, config: Path, source: str, output: str, version: str | None, *, quiet: bool) -> dict[str, Any]:
    """The flow in this process, and its last words."""
    from flows.run import here

    with here():
        outcome: dict[str, Any] = score(pipeline, source, output, version)
    if not quiet:
        _last_words(outcome, config)
    return outcome


def _last_words(outcome: dict[str, Any], config: Path) -> None:
    from tasks.terminal import closing

    title = f"{outcome['answered']:,} of {outcome['rows']:,} rows answered by {outcome['pipeline']} version {outcome['version']}"
    if outcome["skipped"]:
        title = f"skipped: the result is there already: {title}"
    rate = outcome["rows_per_second"]
    reasons = (
        [f"{rate:,.0f} rows/s" + (f"; {outcome['kept']:,} rows were scored before" if outcome["kept"] else "")] if rate else []
    )
    closing(title, "green", (), reasons, (f"result: {outcome['output']}", f"next: tunekeeper monitor {config}"))
