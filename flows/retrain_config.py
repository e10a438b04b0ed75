"""The retraining of a config file, for deployments by `prefect.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from configs.schema import Plain
from tasks.common.orchestration import flow


@flow(name="retrain-config", flow_run_name="retrain {config}")
def retrain_config(config: Plain, overrides: list[Plain] | None = None) -> dict[str, Any]:
    """Read the YAML as it is now, then retrain, for deployments by `prefect.yaml`; it ends in the state of that run."""
    from configs.load import load_pipeline
    from flows.retrain import retrain

    state: Any = retrain(load_pipeline(Path(config), overrides or []), why="schedule", return_state=True)
    return state  # type: ignore[no-any-return]  # a state is what Prefect shows, its data what a caller gets
