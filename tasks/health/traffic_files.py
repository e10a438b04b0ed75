"""What can be wrong with the traffic log's files on this machine, as far as a bounded look at each pipeline's newest tells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from configs.errors import InfraError
from tasks.health.machine import HealthCheck
from tasks.traffic.disk_faults import list_folder
from tasks.traffic.journal import list_journals
from tasks.traffic.settle import DAMAGED
from tasks.traffic.store import check_newest

NEWEST = 100  # files of answers, and of feedback, whose ends are read


def traffic_faults(folder: Path) -> Iterator[HealthCheck]:
    """The faults of the folder that holds a folder a pipeline; none where there is none yet."""
    try:
        pipelines = list_folder(folder, "[!.]*")
    except InfraError as error:
        yield HealthCheck("traffic", "fail", str(error))
        return
    for place in (folder, *pipelines):
        if place.is_dir() and not os.access(place, os.W_OK | os.X_OK):
            yield HealthCheck("traffic", "fail", f"{place} cannot be written", f"make {place} writable for the service")
    for pipeline in pipelines:
        yield from _check_folder(pipeline)


def _check_folder(pipeline: Path) -> Iterator[HealthCheck]:
    try:
        list_journals(pipeline)
        check_newest(pipeline, NEWEST)
        aside = list_folder(pipeline, f"*{DAMAGED}")
    except InfraError as error:
        yield HealthCheck("traffic", "fail", str(error))
        return
    if aside:
        fact = f"{len(aside)} journals with lines that cannot be read lie in {pipeline}, the first of them {aside[0].name}"
        yield HealthCheck("traffic", "warn", fact, "see whether the disk is sound; looked into, they can be moved out of this home")
