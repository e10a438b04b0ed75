"""Name the runs that a schedule has planned after their pipeline: until they start, Prefect gives them random words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

PLANNED = "auto-scheduled"  # the tag that Prefect's scheduler gives
PAGE = 200


def name_planned(client: SyncPrefectClient, tag: str) -> int:
    """Name every planned run of deployments with this tag after its deployment and its time; returns how many had another name.

    Once a run starts, its flow names it.
    """
    deployments = _names_of_deployments(client, tag)
    planned = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[PLANNED, tag]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
    )
    renamed = offset = 0
    while page := client.read_flow_runs(flow_run_filter=planned, limit=PAGE, offset=offset):
        offset += len(page)
        for run in page:
            if run.deployment_id in deployments and run.expected_start_time is not None:
                name = f"{deployments[run.deployment_id]} {run.expected_start_time:%Y-%m-%d %H:%M} UTC"
                if run.name != name:
                    client.update_flow_run(run.id, name=name)
                    renamed += 1
    return renamed


def _names_of_deployments(client: SyncPrefectClient, tag: str) -> dict[UUID, str]:
    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[tag]))
    names: dict[UUID, str] = {}
    offset = 0
    while page := client.read_deployments(deployment_filter=tagged, limit=PAGE, offset=offset):
        offset += len(page)
        names |= {deployment.id: deployment.name for deployment in page}
    return names
