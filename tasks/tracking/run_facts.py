"""What MLflow shows of a run in fields of its own: who started it, from what code, on which data, on how busy a machine."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from configs.credentials import without_credentials
from configs.schema import is_table

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

DIGEST_LETTERS = 36  # of a data set, as many as MLflow keeps
MACHINE = "tunekeeper"


@dataclass(frozen=True)
class SplitFacts:
    """One split of a snapshot: its rows by number and hash, its columns by name and type. No row itself."""

    name: str
    context: str
    digest: str
    source: str
    rows: int
    columns: Mapping[str, str]


def origin_tags(command: str, folder: Path) -> dict[str, str]:
    """MLflow's tags of who runs `command`, and of the commit that `folder` is at where it lies in a git repository."""
    from mlflow.utils import mlflow_tags as names
    from mlflow.utils.git_utils import get_git_branch, get_git_commit, get_git_repo_url

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as containers have
        user = MACHINE
    tags = {names.MLFLOW_USER: user, names.MLFLOW_SOURCE_NAME: command, names.MLFLOW_SOURCE_TYPE: "LOCAL"}
    if (commit := get_git_commit(str(folder))) is None:
        return tags
    known = {
        names.MLFLOW_GIT_COMMIT: commit,
        names.MLFLOW_GIT_BRANCH: get_git_branch(str(folder)),
        names.MLFLOW_GIT_REPO_URL: get_git_repo_url(str(folder)),
    }
    return tags | {name: without_credentials(value) for name, value in known.items() if value is not None}


def dataset_inputs(splits: Sequence[SplitFacts]) -> list[DatasetInput]:
    """The splits as MLflow's data sets, each with its context."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    return [
        DatasetInput(
            Dataset(
                split.name,
                split.digest[:DIGEST_LETTERS],
                *_source_of(split.source),
                json.dumps({"mlflow_colspec": [_column_schema(name, kind) for name, kind in split.columns.items()]}),
                json.dumps({"num_rows": split.rows}),
            ),
            [InputTag(MLFLOW_DATASET_CONTEXT, split.context)],
        )
        for split in splits
    ]


def system_sampler() -> Callable[[], dict[str, float]]:
    """What MLflow's own monitors read of this machine (CPU, memory, disk, network, and GPUs where there are any), by its names."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    monitors = [CPUMonitor(), DiskMonitor(), NetworkMonitor(), *_gpu_monitors()]

    def sample() -> dict[str, float]:
        readings: dict[str, float] = {}
        for monitor in monitors:
            monitor.collect_metrics()
            readings |= {f"system/{name}": float(value) for name, value in monitor.aggregate_metrics().items()}
            monitor.clear_metrics()
        return readings

    sample()  # the processor's load is measured from one call to the next
    return sample


def _gpu_monitors() -> list[GPUMonitor]:
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

    try:
        return [GPUMonitor()]
    except (ImportError, RuntimeError):  # no pynvml here, or no GPU
        return []


def _source_of(source: str) -> tuple[str, str]:
    """The kind of a source by MLflow's name, and its address as MLflow's JSON."""
    address = without_credentials(source)
    scheme, separator, rest = address.partition("://")
    if is_table(source):
        return "sql", json.dumps({"uri": address})
    if scheme == "hf":
        return "hugging_face", json.dumps({"path": rest})
    if separator and scheme in ("http", "https"):
        return "http", json.dumps({"url": address})
    return ("s3" if separator and scheme.startswith("s3") else "local"), json.dumps({"uri": address})


def _column_schema(name: str, kind: str) -> dict[str, object]:
    known = {"int64": "long", "double": "double", "bool": "boolean"}
    return {"type": known.get(kind, "datetime" if kind.startswith("timestamp") else "string"), "name": name, "required": False}
