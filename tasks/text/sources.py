"""Which files a source means, and the hash of their bytes: nothing heavy, since every run asks what changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from configs.errors import InfraError, InputError
from configs.schema import is_table

Format = Literal["csv", "jsonl", "parquet", "hf", "table"]
SUFFIXES: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}
FEEDBACK = "(feedback)"  # how exported feedback is named among a snapshot's sources
_GLOB = frozenset("*?[")


@dataclass(frozen=True)
class File:
    """A file, a table, or a hub data set's split. A file's `name` does not tell where it lies: ids made of it survive a move."""

    name: str
    path: str
    format: Format

    @property
    def is_local(self) -> bool:
        """Whether it is a file of this machine."""
        return self.format not in ("hf", "table")


def resolve(source: str | tuple[str, ...], format: str = "auto") -> tuple[File, ...]:
    """The files of a source (file, folder, glob, `hf://dataset/split`, table, or several) by name; InputError if there is none."""
    parts = (source,) if isinstance(source, str) else source
    if not parts:
        raise InputError("data.source is an empty list: name at least one file, folder, glob, table or hf://dataset/split")
    listed = [_files(part, format) for part in parts]
    names = [file.name for files in listed for file in files]
    if len(set(names)) < len(names):
        listed = [
            [File(f"{part}:{file.name}", file.path, file.format) for file in files]
            for part, files in zip(parts, listed, strict=True)
        ]
    unique = {file.name: file for files in listed for file in files}
    return tuple(unique[name] for name in sorted(unique))


def source_files(
    source: str | tuple[str, ...], test: str | tuple[str, ...] | None = None, format: str = "auto"
) -> tuple[tuple[File, ...], tuple[File, ...]]:
    """The files of the source and of `data.test`; a file that both name is test, and names never clash."""
    held_out = () if test is None else resolve(test, format)
    paths = {os.path.realpath(file.path) for file in held_out}
    rows = tuple(f for f in resolve(source, format) if os.path.realpath(f.path) not in paths)
    if not rows:
        raise InputError(f"data.source {source}: holds nothing but the test rows of data.test: name the training rows")
    taken = {file.name for file in rows}
    return rows, tuple(replace(f, name=f"test:{f.name}") if f.name in taken else f for f in held_out)


def fingerprint(files: Iterable[File]) -> dict[str, str]:
    """By name the sha256 of each file's bytes, of a table's rows, of a hub data set's name and resolved commit; read as streams."""
    return {file.name: _fingerprint(file) for file in files}


def _fingerprint(file: File) -> str:
    match file.format:
        case "hf":
            return _hub_digest(file.path)
        case "table":
            from tasks.text import tables

            return tables.digest(file.path)
        case _:
            return _digest(Path(file.path))


def parse_hub(address: str) -> tuple[str, str, str | None]:
    """Take `hf://owner/name/split@revision` apart into data set, split and revision (None: the newest)."""
    body, _, revision = address.removeprefix("hf://").partition("@")
    name, _, split = body.rpartition("/")
    if not name or not split:
        raise InputError(f"data.source {address}: an hf:// source names a data set and a split, as in hf://owner/name/train")
    return name, split, revision or None


def _files(part: str, format: str) -> list[File]:
    if part.startswith("hf://"):
        parse_hub(part)
        return [File(part, part, "hf")]
    if is_table(part):
        return [File(part, part, "table")]
    path = Path(part).expanduser()
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.is_file() and _is_data(p, format))
        root = path
    elif path.exists():
        found, root = [path], path.parent
    elif _GLOB & set(part):
        root = _fixed_part(path)
        found = sorted(p for p in root.glob(str(path.relative_to(root))) if p.is_file())
    else:
        raise InputError(f"data.source {part}: there is no such file or folder (looked from {Path.cwd()}): correct the path")
    if not found:
        raise InputError(
            f"data.source {part}: holds no {'.csv, .jsonl or .parquet' if format == 'auto' else format} file: correct the path"
        )
    return [File(file.relative_to(root).as_posix(), str(file), _format(file, format)) for file in found]


def _is_data(path: Path, format: str) -> bool:
    if any(part.startswith(".") for part in path.parts[-2:]):
        return False
    known = SUFFIXES.get(path.suffix.lower())
    return known is not None if format == "auto" else known == format


def _fixed_part(path: Path) -> Path:
    """The folder above the first wildcard: names are relative to it."""
    fixed = []
    for part in path.parts:
        if _GLOB & set(part):
            break
        fixed.append(part)
    return Path(*fixed) if fixed else Path()


def _format(path: Path, format: str) -> Format:
    if format != "auto":
        return SUFFIXES[f".{format}"]
    known = SUFFIXES.get(path.suffix.lower())
    if known is None:
        raise InputError(f"{path}: its format cannot be told from `{path.suffix}`: set data.format to csv, jsonl or parquet")
    return known


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
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
