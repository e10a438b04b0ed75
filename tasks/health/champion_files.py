"""What can be wrong with the champion's files: looked at where they are stored, every one by its hash, and nothing written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from configs.credentials import without_credentials
from configs.errors import InfraError, InputError
from tasks.common.bases import read_base
from tasks.common.files import MANIFEST, manifest_of
from tasks.common.home import Home
from tasks.health.machine import HealthCheck
from tasks.learning.network import SPEC, read_spec
from tasks.serving.packaged_model import local_base, read_preparation
from tasks.tracking.client import Tracking
from tasks.tracking.connection import restore_command
from tasks.tracking.moved_home import earlier_places, local_path
from tasks.tracking.stored_model import BACK, cached_folder, fault_of, kept_folder, place_of

NAME = "champion files"


def home_paths(home: Home) -> Iterator[HealthCheck]:
    """Whether MLflow's paths lead to where this home was before; the first command that works in it sets them right."""
    for place in earlier_places(home):
        fact = f"MLflow's database still names {place}, where this home was before it was moved or copied"
        yield HealthCheck("paths", "warn", fact, "tunekeeper reconcile, or any command that trains or answers, sets them right")


def experiment_of(tracking: Tracking, model: str) -> Iterator[HealthCheck]:
    """Whether the experiment of the model's runs was deleted: nothing can be recorded in it until it is restored."""
    if (number := tracking.deleted_experiment(model)) is not None:
        remedy = restore_command(without_credentials(tracking.home.tracking_uri), "experiment", number)
        yield HealthCheck("experiment", "fail", f"MLflow's experiment {number}, of {model}, was deleted", remedy)


def champion_files(tracking: Tracking, home: Home, model: str, version: str) -> Iterator[HealthCheck]:
    """The stored artifact of a version and its base. By their hashes on this machine's disk; by their names in another store."""
    place = place_of(tracking, home, model, version)
    if place is None:
        yield from _check_remote_store(tracking, model, version)
        return
    fault = fault_of(place)
    if fault is not None:
        yield HealthCheck(NAME, "fail", f"{model} version {version}, {place}: {fault}", _copy_remedy(home, model, version, place))
    elif not (place / MANIFEST).is_file():
        yield HealthCheck(NAME, "ok", f"{place}: the model's files by their hashes; MLflow's own beside them were stored without")
    else:
        yield HealthCheck(NAME, "ok", f"{place}: every file by its hash")
    if (kept_folder(place) / SPEC).is_file() and fault is None:
        yield from _check_stored_base(tracking, home, kept_folder(place))


def _copy_remedy(home: Home, model: str, version: str, place: Path) -> str:
    """Where a whole copy is, if this machine has one."""
    copy = cached_folder(home, model, version)
    if fault_of(copy) is None:
        return f"copy what is missing or damaged from {copy}, which is whole, to {place}; the service here answers from it"
    return f"restore it from a copy, {BACK}"


def _check_stored_base(tracking: Tracking, home: Home, folder: Path) -> Iterator[HealthCheck]:
    """The base is stored once for all versions: without it no other machine can load one."""
    spec, uri = read_spec(folder), read_preparation(folder).base_uri
    location = local_path(tracking.location_of_artifact(uri))
    if location is None:
        return
    place = home.locate(location)
    try:
        digest = read_base(place, spec.base_name, None, spec.target_tokenizer).digest
    except (InputError, OSError) as error:
        fault = str(error)
    else:
        if digest == spec.base_digest:
            yield HealthCheck(NAME, "ok", f"{place}: the base, by its hash")
            return
        fault = f"is damaged: the digest of its files is {digest}, the model was trained on {spec.base_digest}"
    whole = local_base(spec, home.path)
    restore = "restore it from a copy. Keep what is there: it may be the only one"
    remedy = f"copy the files of {whole}, which is whole, to {place}" if whole else restore
    yield HealthCheck(NAME, "fail", f"the base in {place}: {fault}", remedy)


def _check_remote_store(tracking: Tracking, model: str, version: str) -> Iterator[HealthCheck]:
    """In a store that is no folder here the list of files is compared; a service checks their hashes as it loads them."""
    where = tracking.location_of_version(model, version)
    try:
        names = tracking.names_of(where)
        manifest = MANIFEST if MANIFEST in names else f"artifacts/kept/{MANIFEST}"
        with tempfile.TemporaryDirectory() as aside:
            hashes = manifest_of(tracking.fetch(f"{where}/{manifest}", Path(aside)).parent)
    except (InfraError, OSError, ValueError) as error:
        yield HealthCheck(NAME, "fail", f"{model} version {version}, {where}: {error}", f"restore it from a copy, {BACK}")
        return
    folder = manifest.removesuffix(MANIFEST)
    missing = sorted(f"{folder}{name}" for name in hashes if f"{folder}{name}" not in names)
    if missing:
        yield HealthCheck(
            NAME, "fail", f"{model} version {version}, {where}: {missing[0]} is gone", f"restore it from a copy, {BACK}"
        )
    else:
        yield HealthCheck(NAME, "ok", f"{where}: all {len(hashes)} files are there; a service checks their hashes as it loads them")
