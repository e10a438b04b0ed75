"""The registry as the ledger needs it, and whether it is the one that the ledger's rows are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from configs.errors import InfraError
from tasks.ledger.replay import Entry


class AliasRegistry(Protocol):
    """What the ledger needs of MLflow's registry: one alias, which versions there are, and whether it is the right one.

    `run_of` is the run that made a version, None where that is not known; `place` names the registry to people.
    """

    def champion(self, model: str) -> str | None: ...
    def set_champion(self, model: str, version: str) -> None: ...
    def versions(self, model: str) -> set[str]: ...
    def knows(self, model: str) -> bool: ...
    def run_of(self, model: str, version: str) -> str | None: ...

    @property
    def place(self) -> str: ...


def check_registry(entries: Sequence[Entry], registry: AliasRegistry, model: str) -> None:
    """Refuse a registry that cannot be the one these rows are about, before anything it says is recorded.

    Raises InfraError where it knows no such model, though rows name versions of it, or where a version's run is another.
    """
    runs = {row.to_version: row.run_id for row in entries if row.to_version is not None}
    if not runs:
        return
    if not registry.knows(model):
        versions = f"version {', '.join(sorted(runs))} of {model}"
        fault = f"the ledger names {versions}, and MLflow at {registry.place} has no model of that name"
        remedy = "If its database was lost, restore it from a copy; to begin anew on purpose, give the pipeline another `name`"
        raise InfraError(f"{fault}: is this the right MLflow? Check MLFLOW_TRACKING_URI. {remedy}. Nothing was recorded")
    there = registry.versions(model)
    for version, run_id in runs.items():
        other = registry.run_of(model, version) if run_id and version in there else None
        if other is not None and other != run_id:
            raise InfraError(
                f"version {version} of {model} was made by run {run_id} as the ledger says, but in MLflow at {registry.place} by "
                f"{other}: is this the right MLflow? Check MLFLOW_TRACKING_URI and TUNEKEEPER_LEDGER_URL. If the model was "
                "made anew under its name on purpose, give the pipeline another `name`. Nothing was recorded"
            )
