"""The hash of a source's content: of a file's bytes, a table's rows, a hub data set's commit.

It imports nothing heavy, since every run compares these hashes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from configs.errors import InfraError, InputError
from tasks.common.files import file_sha256
from tasks.data.sources.source_files import File, parse_hub


def fingerprint_files(files: Iterable[File], columns: tuple[str, ...] | None = None) -> dict[str, str]:
    """By name the sha256 of each file's bytes, of a table's rows (of those columns alone, where they are named), of a hub data
    set's name and resolved commit, of what a store says of an object; read as streams."""
    return {file.name: _fingerprint(file, columns) for file in files}


def _fingerprint(file: File, columns: tuple[str, ...] | None) -> str:
    match file.format:
        case "hf":
            return _hub_digest(file.path)
        case "table":
            from tasks.data.sources import tables

            return tables.table_digest(file.path, columns)
        case _ if not file.is_local:
            from tasks.data.sources import remote

            return remote.remote_digest(file.path)
        case _:
            return _digest(Path(file.path))


def _digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except PermissionError as error:
        raise InputError(f"{path}: may not be read by this user: change its permissions") from error
    except OSError as error:
        raise InfraError(f"{path}: cannot be read ({error.strerror}): check the disk or the mount, then run again") from error


def _hub_digest(address: str) -> str:
    name, split, revision = parse_hub(address)
    if Path(name).is_dir():
        content = [f"{p.relative_to(name)}={_digest(p)}" for p in sorted(Path(name).rglob("*")) if p.is_file()]
    else:
        content = [_hub_commit(name, revision)]
    return hashlib.sha256("\n".join([name, split, *content]).encode()).hexdigest()


def _hub_commit(name: str, revision: str | None) -> str:
    """The commit a hub data set stands at: asked of the hub, else the one in the local cache."""
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or "~/.cache/huggingface") / "hub").expanduser()
    ref = cache / f"datasets--{name.replace('/', '--')}" / "refs" / (revision or "main")
    if os.environ.get("HF_HUB_OFFLINE", "").lower() not in ("1", "true", "yes", "on"):
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        try:
            commit: str | None = HfApi().dataset_info(name, revision=revision, timeout=10).sha
        except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
            if not ref.is_file():
                raise InputError(
                    f"hf://{name}: the hub did not answer for it ({type(error).__name__}): check name and network"
                ) from error
            commit = None
        if commit:
            return commit
    if not ref.is_file():
        raise InputError(
            f"hf://{name}: is not in the local cache and HF_HUB_OFFLINE is set: download it first, or allow the network"
        )
    return ref.read_text().strip()
