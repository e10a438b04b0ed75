"""The files of a registered version: where they lie, whether they are whole, and a whole copy of them on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from configs.errors import InfraError
from tasks.common.files import MANIFEST, is_valid
from tasks.common.home import Home
from tasks.common.workspace import workspace
from tasks.tracking.client import Tracking
from tasks.tracking.moved_home import local_path

BACK = "or go back with `tunekeeper rollback CONFIG`. Keep what is there: it may be the only copy"


def champion_folder(tracking: Tracking, home: Home, model: str, version: str) -> Path:
    """A version's artifact folder on this machine, fetched once, and again where a kill left half of it.

    What is here stays until what was fetched is whole. Raises InfraError naming the damaged file.
    """
    target = cached_folder(home, model, version)
    if fault_of(target) is None:
        return kept_folder(target)
    place = place_of(tracking, home, model, version)
    if place is not None and not place.is_dir():
        raise InfraError(f"{model} version {version}: its files in {place} are gone: restore that folder from a copy, {BACK}")
    with workspace(home.path / "work", "version-") as aside:
        download = aside / "files"
        tracking.fetch(f"models:/{model}/{version}", download)
        if (fault := fault_of(download)) is not None:
            where = place or tracking.location_of_version(model, version)
            raise InfraError(f"{model} version {version}, in {where}: {fault}: restore it from a copy, {BACK}")
        if fault_of(target) is not None:  # another process may have been quicker
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            download.rename(target)
    return kept_folder(target)


def cached_folder(home: Home, model: str, version: str) -> Path:
    """Where a version that was fetched lies."""
    return home.path / "versions" / model / version


def place_of(tracking: Tracking, home: Home, model: str, version: str) -> Path | None:
    """The folder in which the store keeps a version, where the store is this machine's own disk."""
    place = local_path(tracking.location_of_version(model, version))
    return None if place is None else home.locate(place)


def fault_of(folder: Path) -> str | None:
    """None where the artifact of a version is whole, else what is wrong with it: the file, and its hashes where they differ.

    One that was stored with hashes of all its files is held against them, an older one against those of the model alone.
    """
    if not folder.is_dir():
        return "it is gone"
    if (folder / MANIFEST).is_file():
        return is_valid(folder)
    if not (folder / "MLmodel").is_file():
        return "MLmodel is gone"
    if not (kept_folder(folder) / MANIFEST).is_file():
        return f"it holds no {MANIFEST} of a model that Tunekeeper stored: was it registered by other means?"
    return is_valid(kept_folder(folder))


def kept_folder(folder: Path) -> Path:
    """The part of a version's artifact that its network is built from."""
    return folder / "artifacts" / "kept"
