"""Lineage as Prefect's assets: a snapshot, a version from it, the alias from the version."""

from __future__ import annotations

from prefect.assets import Asset, AssetProperties, materialize
from prefect.cache_policies import NO_CACHE


def link_assets(pipeline: str, snapshot: str, version: str, alias: str | None) -> None:
    """Record the lineage in the current flow run; `alias` is None where it names another version."""
    data = _asset(f"{pipeline}/snapshot/{snapshot[:16]}", f"the prepared data of {pipeline}")
    _made(data)
    _made(_model(pipeline, version), data)
    if alias is not None:
        record_alias(pipeline, version, alias)


def record_alias(pipeline: str, version: str, alias: str) -> None:
    """Record that the alias names this version from now on."""
    _made(_asset(f"{pipeline}/{alias}", f"the version of {pipeline} that answers"), _model(pipeline, version))


def _model(pipeline: str, version: str) -> Asset:
    return _asset(f"{pipeline}/version/{version}", f"a registered version of {pipeline}")


def _made(asset: Asset, *origins: Asset) -> None:
    name = f"trace-{asset.key.rpartition('/')[2]}"

    @materialize(asset, asset_deps=list(origins), name="trace", task_run_name=name, cache_policy=NO_CACHE)
    def traced() -> None:
        """The event is all."""

    traced()


def _asset(path: str, description: str) -> Asset:
    return Asset(key=f"tunekeeper://{path}", properties=AssetProperties(name=path, description=description))
