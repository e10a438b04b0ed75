"""What this version of the project will do anew for a champion that an earlier version made, and why."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs.schema import Pipeline
from tasks.health.machine import HealthCheck
from tasks.identity.keys import IDENTITY, changed_code, stage_identity
from tasks.tracking.client import Tracking
from tasks.tracking.registry import Registry

NAME = "upgrade"
CONSEQUENCES = {  # the first stage whose code is another decides what has to be done
    "train": "the next run trains anew",
    "prepare": "the next run prepares the data anew, and trains if a row comes out another",
    "score": "the next run scores and decides anew (one look), without training",
    "decide": "the next run decides anew (one look), without training",
}


def upgrade_check(pipeline: Pipeline, tracking: Tracking, registry: Registry, version: str) -> HealthCheck:
    """What the next run of a pipeline does anew since its champion was made; its data are not read, and may give another reason."""
    try:
        earlier = _recorded_identity(tracking, registry.run_of(pipeline.name, version))
    except ValueError as error:
        fact = f"{IDENTITY} in the run of version {version} is damaged ({error}): which code made it cannot be said"
        return HealthCheck(NAME, "warn", fact, "restore it from a copy; without it nothing else is lost")
    if earlier is None:
        return HealthCheck(NAME, "ok", f"version {version} does not say which code made it: the next run may train anew")
    return check_upgrade(version, earlier, stage_identity(pipeline))


def check_upgrade(version: str, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> HealthCheck:
    """The finding, from what a version's run kept (`stage_identity`) and what it would be now."""
    if earlier["settings"] != now["settings"]:
        return HealthCheck(NAME, "ok", f"the config has changed since version {version}: the next run asks a new question")
    for stage, consequence in CONSEQUENCES.items():
        if definitions := changed_code(earlier["code"][stage], now["code"][stage]):
            reason = f"code is another than when version {version} was made: {', '.join(definitions)}"
            return HealthCheck(
                NAME, "warn", f"{consequence}: {reason}", "nothing to do; keep the earlier version of Tunekeeper to put it off"
            )
    before, after = earlier["libraries"], now["libraries"]
    changes = [f"{name} {after[name]} (was {was})" for name, was in before.items() if after[name] != was]
    if changes:
        pinned = "training.pin is libraries: the next run trains anew"
        later = "they take part at the next change of data"
        return HealthCheck(
            NAME, "ok", f"{', '.join(changes)}: {pinned if now['settings'].get('training', {}).get('pin') else later}"
        )
    return HealthCheck(NAME, "ok", f"version {version} was made by this code")


def _recorded_identity(tracking: Tracking, run_id: str | None) -> dict[str, Any] | None:
    """What a version's run kept of how it was made; None of an adopted version, and of one that an earlier version made."""
    if run_id is None or not tracking.names_of(tracking.artifact_uri(run_id, IDENTITY.partition("/")[0])):
        return None
    with tempfile.TemporaryDirectory() as folder:  # a check leaves nothing in the home
        identity: dict[str, Any] = json.loads(tracking.fetch(tracking.artifact_uri(run_id, IDENTITY), Path(folder)).read_text())
        return identity
