"""Runs that a schedule has planned carry their pipeline's name before they start: Prefect gives them words drawn at random."""

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

    What starts is named by its flow then.
    """
    deployments = _names_of_deployments(client, tag)
    planned = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[PLANNED, tag]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
    )
    named = seen = 0
    while page := client.read_flow_runs(flow_run_filter=planned, limit=PAGE, offset=seen):
        seen += len(page)
        for run in page:
            if run.deployment_id in deployments and run.expected_start_time is not None:
                name = f"{deployments[run.deployment_id]} {run.expected_start_time:%Y-%m-%d %H:%M} UTC"
                if run.name != name:
                    client.update_flow_run(run.id, name=name)
                    named += 1
    return named


def _names_of_deployments(client: SyncPrefectClient, tag: str) -> dict[UUID, str]:
    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[tag]))
    names: dict[UUID, str] = {}
    seen = 0
    while page := client.read_deployments(deployment_filter=tagged, limit=PAGE, offset=seen):
        seen += len(page)
        names |= {each.id: each.name for each in page}
    return names
