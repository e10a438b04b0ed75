"""What came from what, as Prefect's assets: a snapshot from its sources, a version from a snapshot, the alias from a version."""

from __future__ import annotations

from prefect.assets import Asset, AssetProperties, materialize
from prefect.cache_policies import NO_CACHE


def snapshot_asset(pipeline: str, snapshot: str) -> Asset:
    """A sealed snapshot."""
    return _asset(f"{pipeline}/snapshot/{snapshot[:16]}", f"the prepared data of {pipeline}")


def version_asset(pipeline: str, version: str) -> Asset:
    """A version in MLflow's registry."""
    return _asset(f"{pipeline}/version/{version}", f"a registered version of {pipeline}")


def alias_asset(pipeline: str, alias: str) -> Asset:
    """What users and the service load."""
    return _asset(f"{pipeline}/{alias}", f"the version of {pipeline} that answers")


def trace(made: Asset, *origins: Asset) -> None:
    """Say that one asset was made from others, in the flow run that is under way."""

    name = f"trace-{made.key.rpartition('/')[2]}"

    @materialize(made, asset_deps=list(origins), name="trace", task_run_name=name, cache_policy=NO_CACHE)
    def traced() -> None:
        """The event is all."""

    traced()


def _asset(path: str, description: str) -> Asset:
    return Asset(key=f"tunekeeper://{path}", properties=AssetProperties(name=path, description=description))
