"""Score a batch with the champion: a file, a folder or a table in, one Parquet file out; killed on the way, run it again."""

from __future__ import annotations

from typing import Any

from configs.schema import Pipeline, Plain
from tasks.common.orchestration import flow


@flow(name="score", flow_run_name="score {pipeline.name}")
def score(pipeline: Pipeline, source: Plain, output: Plain, version: str | None = None) -> dict[str, Any]:
    """The rows of `source` with the champion's answers, in `output`; the outcome is that of `tunekeeper score --json`."""
    from tasks.common.home import find_home, settle_environment
    from tasks.common.terminal import training_bar
    from tasks.score import score as score_rows

    home = find_home()
    settle_environment(home)
    with training_bar("score") as bar:
        outcome: dict[str, Any] = score_rows(pipeline, home, source, output, version, bar.move)
    return outcome
