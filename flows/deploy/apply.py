"""The command `deploy`: check the configs, put their schedules and triggers into effect, say what came of it."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from configs.errors import InputError
from configs.load import load_pipeline
from configs.schema import Pipeline
from tasks.common.home import find_home, settle_environment
from tasks.common.terminal import print_closing

COLUMNS = ("deployment", "pool", "when")


def deploy_pipelines(configs: Sequence[Path], overrides: Sequence[str] = ()) -> dict[str, object]:
    """Bring Prefect up to date with these pipelines; all of them are checked before anything is touched.

    Relative paths in the configs lead from the working folder, for the deployed runs as now.
    """
    home = find_home()
    settle_environment(home)  # before Prefect is imported
    pipelines = [load_pipeline(config, overrides) for config in configs]
    if faults := [fault for pair in zip(configs, pipelines, strict=True) for fault in _config_faults(*pair, pipelines)]:
        raise InputError("\n".join(["nothing was deployed:", *(f"  {fault}" for fault in faults)]))
    from flows.local.server import prefect_server

    with prefect_server(home):
        from prefect.client.orchestration import get_client

        from flows.deploy.install import install_pipelines

        with get_client(sync_client=True) as client:
            installed = install_pipelines(client, pipelines, str(Path.cwd()))
    rows = [(job["deployment"], job["pool"], job["when"]) for job in installed.jobs]
    workers = " and ".join(f"prefect worker start --pool {pool} --type process" for pool in sorted({row[1] for row in rows}))
    title = f"deployed: {', '.join(pipeline.name for pipeline in pipelines)}"
    hints = [*(f"removed: {name}" for name in installed.removed), f"next: tunekeeper up; on servers a worker: {workers}"]
    print_closing(title, "green", [COLUMNS, *rows], (), hints)
    return {
        "pipelines": [pipeline.name for pipeline in pipelines],
        "deployments": installed.jobs,
        "automations": installed.automations,
        "removed": installed.removed,
    }


def _config_faults(config: Path, pipeline: Pipeline, pipelines: Sequence[Pipeline]) -> Iterator[str]:
    """What is wrong with one config's name and schedule."""
    if sum(other.name == pipeline.name for other in pipelines) > 1:
        yield f"{config}: another config has the name {pipeline.name} too: deployments would replace each other; rename one"
    schedule = pipeline.schedule
    try:
        ZoneInfo(schedule.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of the zone database is an OSError
        near = difflib.get_close_matches(schedule.timezone, available_timezones(), n=1)
        known = f"did you mean `{near[0]}`?" if near else "write a name such as Europe/Berlin, or UTC"
        yield f"{config}: schedule.timezone = {schedule.timezone!r} is no time zone: {known}"
        return
    for key, cron in (("retrain", schedule.retrain), ("monitor", schedule.monitor)):
        if cron is not None and (fault := _cron_fault(cron, schedule.timezone)):
            yield f"{config}: schedule.{key} = {cron!r} {fault}"


def _cron_fault(cron: str, timezone: str) -> str | None:
    """Why Prefect would not run this cron, None where it would; a date that never comes would stop its scheduler for all."""
    from prefect.server.schemas.schedules import CronSchedule

    if len(cron.split()) != 5:
        return "is no cron of five fields (minute, hour, day, month, weekday), such as `0 3 * * 1`"
    try:
        schedule = CronSchedule(cron=cron, timezone=timezone)
    except ValueError:
        return "is no cron: write five fields, such as `0 3 * * 1` for Mondays at three"
    try:
        return None if asyncio.run(schedule.get_dates(n=1)) else "never comes: no date fits it"
    except ValueError:
        return "never comes: no date fits it"
