"""What a deployment runs: the retrain flow of a config file, read when it is due."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow


@flow(name="retrain-config", flow_run_name="{config}")
def retrain_config(config: str, overrides: list[str] | None = None) -> dict[str, Any]:
    """Read the YAML as it is now, then keep its model."""
    from configs.load import load
    from flows.retrain import retrain

    outcome: dict[str, Any] = retrain(load(Path(config), overrides or []))
    return outcome
