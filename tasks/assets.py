"""Lineage as Prefect's assets: a snapshot, a version from it, the alias from the version."""

from __future__ import annotations

from prefect.assets import Asset, AssetProperties, materialize
from prefect.cache_policies import NO_CACHE


def link_assets(pipeline: str, snapshot: str, version: str, alias: str | None) -> None:
    """Record the lineage in the current flow run; `alias` is None where it names another version."""
    data = _new_asset(f"{pipeline}/snapshot/{snapshot[:16]}", f"the prepared data of {pipeline}")
    _record_materialization(data)
    _record_materialization(_model_asset(pipeline, version), data)
    if alias is not None:
        record_alias(pipeline, version, alias)


def record_alias(pipeline: str, version: str, alias: str) -> None:
    """Record that the alias names this version from now on."""
    _record_materialization(
        _new_asset(f"{pipeline}/{alias}", f"the version of {pipeline} that answers"), _model_asset(pipeline, version)
    )


def _model_asset(pipeline: str, version: str) -> Asset:
    return _new_asset(f"{pipeline}/version/{version}", f"a registered version of {pipeline}")


def _record_materialization(asset: Asset, *origins: Asset) -> None:
    name = f"trace-{asset.key.rpartition('/')[2]}"

    @materialize(asset, asset_deps=list(origins), name="trace", task_run_name=name, cache_policy=NO_CACHE)
    def traced() -> None:
        """The event is all."""

    traced()


def _new_asset(path: str, description: str) -> Asset:
    return Asset(key=f"tunekeeper://{path}", properties=AssetProperties(name=path, description=description))
