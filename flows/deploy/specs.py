"""Turn a pipeline's YAML into Prefect's deployments, and into automations that start runs on events and notices on failures.

The automation lets one event through in SETTLE_SECONDS and drops the others of that time. Nothing is lost: a triggered run reads
its data only after that time (tasks/ledger/retrain_requests.py), so it serves them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.events import AutomationCore
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import EventTrigger, Posture

from configs.schema import Pipeline
from flows import train_remote
from flows.deploy.deployments import DeploymentSpec
from tasks.ledger.retrain_requests import SETTLE_SECONDS

if TYPE_CHECKING:
    from uuid import UUID

TAG = "tunekeeper"
TOLD_OF = {f"prefect.flow-run.{state}" for state in ("Failed", "Crashed", "TimedOut", "Waiting")}
ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)  # of intervals: deploying again does not put the next run off


def jobs_of(pipeline: Pipeline, folder: str) -> list[DeploymentSpec]:
    """The deployments of one pipeline; its YAML is their parameter, so that the Prefect UI shows it as a form."""
    name, schedule = pipeline.name, pipeline.schedule

    def job(
        entrypoint: str, kind: str, description: str, *schedules: DeploymentScheduleCreate, **parameters: object
    ) -> DeploymentSpec:
        tags = (TAG, name, *schedule.tags)
        return DeploymentSpec(entrypoint, f"{kind}-{name}", schedule.work_pool, description, tags, parameters, schedules, folder)

    values, zone, minutes = pipeline.model_dump(mode="json"), schedule.timezone, schedule.on_new_data_minutes
    specs = [
        job(
            "flows.retrain.retrain", "retrain", f"Keeps the model {name}; does nothing where nothing changed.",
            *_cron_schedule(schedule.retrain, zone, why="schedule"), pipeline=values,
        ),
        job(
            "flows.monitor.monitor", "monitor", f"Looks at the traffic of {name}; an alarm starts a retraining.",
            *_cron_schedule(schedule.monitor, zone), pipeline=values,
        ),
        job("flows.approve.approve", "approve", f"Asks a person whether a challenger of {name} is promoted.", pipeline=name),
    ]  # fmt: skip
    if minutes is not None:
        description = f"Looks whether the source of {name} holds anything new, which starts a retraining."
        specs.append(
            job("flows.new_data.watch", "new-data", description, _interval_schedule(timedelta(minutes=minutes)), pipeline=values)
        )
    return specs


def shared_jobs(pipelines: Sequence[Pipeline], folder: str) -> list[DeploymentSpec]:
    """The deployments that an installation has once, and those of the pools that train."""
    from flows.reconcile import EVERY_SECONDS

    pool = pipelines[0].schedule.work_pool
    mend = "Finds and puts right what died: runs, half-written files, an unfinished promotion."
    pools = sorted({pipeline.training.work_pool for pipeline in pipelines if pipeline.training.work_pool})
    return [
        DeploymentSpec(
            "flows.reconcile.reconcile",
            "reconcile",
            pool,
            mend,
            (TAG,),
            {},
            (_interval_schedule(timedelta(seconds=EVERY_SECONDS)),),
            folder,
        ),
        DeploymentSpec("flows.notify.notice", "notice", pool, "Says that a run failed.", (TAG,), folder=folder),
        *(train_remote.pool_job(pool) for pool in pools),
    ]


def automations_of(pipeline: Pipeline, ids: dict[str, UUID]) -> Iterator[AutomationCore]:
    """The automations of a pipeline: its events start its retraining; a run of it that fails or waits starts a notice."""
    name = pipeline.name
    if events := retraining_events(pipeline):
        yield AutomationCore(
            name=retraining_name(pipeline),
            description=f"An alarm of a monitor, or new data, starts retrain-{name}.",
            trigger=EventTrigger(
                expect=events,
                match={"prefect.resource.id": f"tunekeeper.pipeline.{name}"},
                posture=Posture.Reactive,
                threshold=1,
                within=timedelta(seconds=SETTLE_SECONDS),
            ),
            actions=[
                RunDeployment(
                    source="selected",
                    deployment_id=ids[f"retrain/retrain-{name}"],
                    parameters={
                        "why": _jinja_parameter("{{ event.event.split('.')[-1] }}"),
                        "asked": _jinja_parameter("{{ event.occurred.isoformat() }}"),
                        "look": _jinja_parameter("{{ event.payload.name }}"),
                    },
                )
            ],
        )
    yield AutomationCore(
        name=f"tunekeeper {name}: failure",
        description=f"A run of {name} that fails, crashes, or waits for data or contract to be mended, is told of.",
        trigger=EventTrigger(
            expect=TOLD_OF,
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related=[{"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{tag}"} for tag in (TAG, name)],
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[
            RunDeployment(
                source="selected",
                deployment_id=ids["notice/notice"],
                parameters={"pipeline": name, "run": _jinja_parameter("{{ event.resource.id }}")},
            )
        ],
    )


def retraining_events(pipeline: Pipeline) -> set[str]:
    """The events that start a retraining of this pipeline."""
    drift = {"tunekeeper.drift", "tunekeeper.decay"} if pipeline.schedule.on_drift else set()
    return drift | ({"tunekeeper.new-data"} if pipeline.schedule.on_new_data_minutes is not None else set())


def optional_deployments(pipeline: Pipeline) -> list[str]:
    """Deployments that the YAML may no longer want; an approval's form stays open under any YAML."""
    return [f"watch/new-data-{pipeline.name}"]


def retraining_name(pipeline: Pipeline) -> str:
    return f"tunekeeper {pipeline.name}: retrain"


def _jinja_parameter(text: str) -> dict[str, str]:
    return {"__prefect_kind": "jinja", "template": text}


def _cron_schedule(cron: str | None, timezone: str, **parameters: object) -> list[DeploymentScheduleCreate]:
    if cron is None:
        return []
    return [DeploymentScheduleCreate(schedule=CronSchedule(cron=cron, timezone=timezone), parameters=parameters, slug="cron")]


def _interval_schedule(interval: timedelta) -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate(schedule=IntervalSchedule(interval=interval, anchor_date=ANCHOR), slug="interval")
