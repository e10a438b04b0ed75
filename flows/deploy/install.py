"""Bring Prefect up to date with pipelines: deployments and automations made or changed, and those removed that none wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule

from configs.schema import Pipeline
from flows.deploy import specs
from flows.deploy.deployments import DeploymentSpec, apply_automation, apply_deployment, delete_automations, remove_deployment


@dataclass(frozen=True)
class DeployOutcome:
    """Plain values, as `tunekeeper deploy --json` prints them."""

    jobs: list[dict[str, str]]
    automations: list[str]
    removed: list[str]


def install_pipelines(client: SyncPrefectClient, pipelines: Sequence[Pipeline], folder: str) -> DeployOutcome:
    """Make or update all deployments and automations of these pipelines, and remove those that they no longer want."""
    jobs, automations, removed = [], [], []
    common = specs.shared_jobs(pipelines, folder)
    ids = {_full_name(job): apply_deployment(client, job) for job in common}
    for pipeline in pipelines:
        own = specs.jobs_of(pipeline, folder)
        ids |= {_full_name(job): apply_deployment(client, job) for job in own}
        names = {_full_name(job) for job in own}
        removed += [name for name in specs.optional_deployments(pipeline) if name not in names and remove_deployment(client, name)]
        for automation in specs.automations_of(pipeline, ids):
            apply_automation(client, automation)
            automations.append(automation.name)
        if not specs.retraining_events(pipeline):
            obsolete = client.read_automations_by_name(specs.retraining_name(pipeline))
            delete_automations(client, obsolete)
            removed += [automation.name for automation in obsolete]
        jobs += own
    rows = [{"deployment": _full_name(job), "pool": job.pool, "when": _schedule_text(job)} for job in (*jobs, *common)]
    return DeployOutcome(rows, automations, removed)


def _full_name(job: DeploymentSpec) -> str:
    """As Prefect calls it: FLOW/DEPLOYMENT; a flow has the name of its function."""
    return f"{job.entrypoint.rpartition('.')[2].replace('_', '-')}/{job.name}"


def _schedule_text(job: DeploymentSpec) -> str:
    """In words for the terminal."""
    for entry in job.schedules:
        if isinstance(entry.schedule, CronSchedule):
            return f"{entry.schedule.cron} ({entry.schedule.timezone})"
        if isinstance(entry.schedule, IntervalSchedule):
            return f"every {entry.schedule.interval}"
    return "when asked for"
