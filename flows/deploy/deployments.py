"""Make a job known to Prefect: a deployment, an automation; a second call updates them and makes no second one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

if TYPE_CHECKING:
    from prefect.client.schemas.objects import DeploymentSchedule
    from prefect.events import AutomationCore
    from prefect.events.schemas.automations import Automation

SET_FOLDER = "prefect.deployments.steps.set_working_directory"


@dataclass(frozen=True)
class DeploymentSpec:
    """A flow by its module path, and how it is run; relative paths start at `folder`, and slugs tell `schedules` apart."""

    entrypoint: str
    name: str
    pool: str
    description: str = ""
    tags: tuple[str, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    schedules: tuple[DeploymentScheduleCreate, ...] = ()
    folder: str | None = None


def apply_deployment(client: SyncPrefectClient, job: DeploymentSpec) -> UUID:
    """Make the deployment, or bring it up to date; its work pool is made if absent. A schedule that was paused by hand stays so."""
    from prefect.utilities.callables import parameter_schema

    module, _, function = job.entrypoint.rpartition(".")
    flow = getattr(import_module(module), function)
    ensure_pool(client, job.pool)
    paused = {schedule.slug for schedule in _read_schedules(client, f"{flow.name}/{job.name}") if not schedule.active}
    return client.create_deployment(
        flow_id=client.create_flow(flow),
        name=job.name,
        entrypoint=job.entrypoint,
        work_pool_name=job.pool,
        description=job.description,
        tags=list(job.tags),
        parameters=dict(job.parameters),
        parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
        enforce_parameter_schema=True,
        schedules=[schedule.model_copy(update={"active": schedule.slug not in paused}) for schedule in job.schedules],
        pull_steps=[{SET_FOLDER: {"directory": job.folder}}] if job.folder else [],
    )


def remove_deployment(client: SyncPrefectClient, full_name: str) -> bool:
    """Whether there was a deployment `FLOW/NAME` to remove."""
    try:
        client.delete_deployment(client.read_deployment_by_name(full_name).id)
    except ObjectNotFound:
        return False
    return True


def ensure_pool(client: SyncPrefectClient, name: str) -> None:
    """A pool whose workers start processes, unless there is one of that name, of whatever kind.

    Its runs keep their output to themselves: through a pipe to the worker, they would die with it.
    """
    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        from prefect.workers.process import ProcessWorker

        template = ProcessWorker.get_default_base_job_template()
        template["variables"]["properties"]["stream_output"]["default"] = False
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))


def apply_automation(client: SyncPrefectClient, automation: AutomationCore) -> None:
    """Make the automation of this name, or bring it up to date; one that was switched off by hand stays so."""
    existing = client.read_automations_by_name(automation.name)
    if not existing:
        client.create_automation(automation)
        return
    client.update_automation(existing[0].id, automation.model_copy(update={"enabled": existing[0].enabled}))
    delete_automations(client, existing[1:])


def delete_automations(client: SyncPrefectClient, automations: Iterable[Automation]) -> None:
    """Delete automations."""
    for automation in automations:
        client.delete_automation(automation.id)


def _read_schedules(client: SyncPrefectClient, full_name: str) -> list[DeploymentSchedule]:
    try:
        return list(client.read_deployment_by_name(full_name).schedules)
    except ObjectNotFound:
        return []
