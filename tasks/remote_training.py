"""A training on another machine: its inputs and its result are artifacts of its one MLflow run, each checked by its hash.

The machine needs nothing but the addresses of MLflow and Prefect. It gets the training and validation rows (test rows never leave),
the base under its digest and, where training starts from the champion, that version; it gives back the folder a local training
leaves. Rows are redacted as in the snapshot, and no key of the installation goes with them.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InfraError
from configs.schema import Pipeline
from tasks import train
from tasks.common.files import file_sha256
from tasks.common.home import Home
from tasks.common.terminal import print_notice
from tasks.context import TrainingRun
from tasks.identity.keys import TRAIN_LIBRARIES, changed_code, code_of, json_sha256, library_versions
from tasks.ledger.pipeline_lock import file_lock
from tasks.release import base_folder, champion_folder
from tasks.snapshots import open_snapshot
from tasks.tracking.client import Tracking

if TYPE_CHECKING:
    import pandas as pd

    from tasks.learning.fit import TrainingResult

SPLITS = ("train", "validation")
INPUTS, TRAINED = "inputs", "trained"  # folders of the run's artifacts
RETURNED, BEAT = "elsewhere.trained", "elsewhere.beat"  # tags of the run
BEAT_SECONDS = 10.0


@dataclass(frozen=True)
class RemoteJob:
    """The job of a remote machine; plain values, since they travel as a flow's parameters."""

    pipeline: dict[str, object]
    run_id: str
    key: str
    rows: dict[str, str]  # file -> sha256
    spec: dict[str, object]  # of the network
    base: str  # artifact URI; its digest is in the spec
    start: dict[str, str] | None  # version and sha256 of its weights
    code: dict[str, str]
    libraries: dict[str, str]


def write_order(pipeline: Pipeline, home: Home, tracking: Tracking, run: TrainingRun, start: str | None) -> RemoteJob:
    """Put the rows into the run, once, the base into its store, and return the job that names them."""
    from tasks.learning.network import TRAINABLE

    sealed, run_id = open_snapshot(home, run.snapshot), run.run_id
    rows = {sealed.parquet(split).name: file_sha256(sealed.parquet(split)) for split in SPLITS}
    if tracking.tags(run_id).get("elsewhere.inputs") != json_sha256(rows):
        for split in SPLITS:
            tracking.log_artifact(run_id, sealed.parquet(split), INPUTS)
        tracking.tag(run_id, {"elsewhere.inputs": json_sha256(rows)})
    spec = train.training_material(pipeline, home, run.base, run.snapshot).spec
    begins = None
    if start is not None:
        begins = {"version": start, "weights": file_sha256(champion_folder(tracking, home, pipeline.name, start) / TRAINABLE)}
    return RemoteJob(
        pipeline.model_dump(mode="json"), run_id, run.key, rows, asdict(spec), tracking.store_base(run.base), begins,
        code_of("train", pipeline),
        library_versions(TRAIN_LIBRARIES),
    )  # fmt: skip


def train_order(job: RemoteJob, home: Home, tracking: Tracking) -> str:
    """Train a job on this machine, or resume it after a kill; put the result into the run, and return its digest.

    Raises InfraError where this machine has other code or libraries, or an input arrived damaged: then nothing is trained.
    """
    from tasks.learning.network import spec_from
    from tasks.learning.objectives.run import TrainingMaterial

    _check_same_code(job)
    pipeline = Pipeline.model_validate(job.pipeline)
    description = f"the training {job.key[:8]} of {pipeline.name}"
    with file_lock(home.path / "locks" / f"train-{job.key}.lock", description, print_notice), _heartbeat(tracking, job.run_id):
        folder = home.path / "elsewhere" / job.key
        rows, held_out = (_fetch_rows(job, tracking, folder, split) for split in SPLITS)
        spec = spec_from(job.spec)
        material = TrainingMaterial(spec, base_folder(tracking, home, spec, job.base), rows, held_out)
        start = _fetch_start_weights(job, pipeline, home, tracking)
        trained = train.fit_in_slot(pipeline, home, material, train.metric_log(tracking, home, job.key, job.run_id), start)
        tracking.log_folder(job.run_id, trained.folder, TRAINED)
        returned = _manifest(trained.folder)
        tracking.tag(job.run_id, {RETURNED: returned})
        shutil.rmtree(folder, ignore_errors=True)
    return returned


def collect_result(home: Home, tracking: Tracking, key: str, run_id: str) -> TrainingResult | None:
    """The training that another machine put into the run, on this one; None where there is none. Every file is checked."""
    from tasks.common.files import is_valid
    from tasks.common.workspace import workspace
    from tasks.learning.fit import finished_fit

    if (done := finished_fit(home.run(key))) is not None:
        return done
    returned = tracking.tags(run_id).get(RETURNED)
    if returned is None:
        return None
    with workspace(home.path / "work", "trained-") as aside:
        fetched = tracking.fetch(tracking.artifact_uri(run_id, TRAINED), aside)
        fault = is_valid(fetched) or ("its manifest is another" if _manifest(fetched) != returned else None)
        if fault:
            raise InfraError(
                f"what came back from training elsewhere is not what was sent ({fault}; run {run_id}, artifact {TRAINED}): "
                f"check the artifact store, put there what lies in runs/{key}/{TRAINED} of the worker's home, then run again"
            )
        home.run(key).mkdir(parents=True, exist_ok=True)
        shutil.rmtree(home.run(key) / TRAINED, ignore_errors=True)  # a damaged one; a whole one was returned above
        fetched.rename(home.run(key) / TRAINED)
    return finished_fit(home.run(key))


def touch_run(tracking: Tracking, run_id: str) -> str:
    """The heartbeat: a value that changes as long as the remote machine lives."""
    return tracking.tags(run_id).get(BEAT, "")


def _check_same_code(job: RemoteJob) -> None:
    """Refuse other code or libraries, which may train another model under the same key. Builds (+cpu, +cu126) may differ."""
    here = library_versions(TRAIN_LIBRARIES)
    differences = [
        f"{name} {here[name]} (not {version})"
        for name, version in job.libraries.items()
        if here[name].partition("+")[0] != version.partition("+")[0]
    ]
    if changed := changed_code(job.code, code_of("train", Pipeline.model_validate(job.pipeline))):
        differences.insert(0, f"other code in {', '.join(changed)}")
    if differences:
        raise InfraError(
            f"this machine would train another model under the same key: {', '.join(differences)}: install the same Tunekeeper "
            "with its lock here, then run `tunekeeper retrain` again"
        )


def _fetch_rows(job: RemoteJob, tracking: Tracking, folder: Path, split: str) -> pd.DataFrame:
    import pandas as pd

    name = f"{split}.parquet"
    file = folder / INPUTS / name
    if not file.is_file() or file_sha256(file) != job.rows[name]:
        file = tracking.fetch(tracking.artifact_uri(job.run_id, f"{INPUTS}/{name}"), folder / INPUTS)
    if (digest := file_sha256(file)) != job.rows[name]:
        raise InfraError(f"{name} arrived with sha256 {digest}, not {job.rows[name]}: check the artifact store, then run again")
    return pd.read_parquet(file)


def _fetch_start_weights(job: RemoteJob, pipeline: Pipeline, home: Home, tracking: Tracking) -> Path | None:
    from tasks.learning.network import TRAINABLE

    if job.start is None:
        return None
    folder = champion_folder(tracking, home, pipeline.name, job.start["version"])
    if (digest := file_sha256(folder / TRAINABLE)) != job.start["weights"]:
        raise InfraError(f"{pipeline.name} version {job.start['version']} arrived with weights {digest}: check the artifact store")
    return folder


@contextmanager
def _heartbeat(tracking: Tracking, run_id: str) -> Iterator[None]:
    """Update the heartbeat every few seconds; the waiting machine trusts a change, not a clock."""
    over = threading.Event()

    def go_on() -> None:
        number = 0
        while not over.wait(BEAT_SECONDS if number else 0):
            number += 1
            with suppress(InfraError):  # away for a moment: the next beat will do
                tracking.tag(run_id, {BEAT: f"{threading.get_native_id()}.{number}"})

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _manifest(folder: Path) -> str:
    from tasks.common.files import MANIFEST

    return file_sha256(folder / MANIFEST)
