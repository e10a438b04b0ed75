"""Files and folders that are whole or absent: written aside, hashed, renamed; a folder is read only if every hash still fits."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.common.locks import take_lock, wait_for_lock

MANIFEST = "manifest.json"


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A folder that appears whole under its name, hashed and flushed to disk, or not at all."""
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    aside.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(target.parent, f".{target.name}.*.tmp")
    aside.mkdir()
    handle = os.open(aside, os.O_RDONLY | os.O_CLOEXEC)
    try:
        wait_for_lock(handle, shared=True)
        yield aside
        _write_manifest(aside)
        if is_valid(target) is None and (target / MANIFEST).read_bytes() == (aside / MANIFEST).read_bytes():
            return  # it is there already, and another process may be reading it
        if target.exists():
            shutil.rmtree(target)
        aside.rename(target)
        flush_to_disk(target.parent)
    finally:
        os.close(handle)
        shutil.rmtree(aside, ignore_errors=True)


def is_valid(folder: Path, required: frozenset[str] = frozenset()) -> str | None:
    """None if the folder is whole, else what is wrong with it."""
    try:
        hashes = manifest_of(folder)
    except (OSError, ValueError):
        return f"no readable {MANIFEST}"
    if missing := required - hashes.keys():
        return f"without {', '.join(sorted(missing))}"
    for name, expected in hashes.items():
        file = folder / name
        if not file.is_file():
            return f"{name} is gone"
        if (actual := file_sha256(file)) != expected:
            return f"{name} is damaged: its sha256 is {actual}, it was stored with {expected}"
    return None


def manifest_of(folder: Path) -> dict[str, str]:
    """The sha256 of every file of a folder, as it was stored; OSError or ValueError where there is none that can be read."""
    hashes: dict[str, str] = json.loads((folder / MANIFEST).read_text())
    return hashes


def remove_unfinished(folder: Path, pattern: str) -> None:
    """Remove the folders that killed writers left aside; a living one holds a lock on its folder, which death releases."""
    for aside in folder.glob(pattern) if folder.is_dir() else ():
        with suppress(FileNotFoundError):
            handle = os.open(aside, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if take_lock(handle):
                    shutil.rmtree(aside, ignore_errors=True)
            finally:
                os.close(handle)


def _write_manifest(folder: Path) -> None:
    hashes = {file.relative_to(folder).as_posix(): file_sha256(file) for file in sorted(folder.rglob("*")) if file.is_file()}
    (folder / MANIFEST).write_text(json.dumps(hashes, indent=1))
    for file in folder.rglob("*"):
        flush_to_disk(file)
    flush_to_disk(folder)


@contextmanager
def replaced_file(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A file to write, which takes the place of `path` whole at the end of the block; of a block that fails nothing is left.

    Its folder is made. `durable`: it outlives a loss of power.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        yield aside
        if durable:
            flush_to_disk(aside)
        aside.replace(path)
        if durable:
            flush_to_disk(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def write_new_files(texts: Mapping[Path, str]) -> None:
    """Write texts, whole, to files that are not there yet: all of them, or none; FileExistsError where one is there."""
    new_folders: list[Path] = []
    try:
        for path, text in texts.items():
            _write_new_file(path, text)
            new_folders.append(path)
    except BaseException:
        for path in new_folders:
            path.unlink(missing_ok=True)
        raise


def _write_new_file(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        aside.write_text(text, encoding="utf-8")
        _put_in_place(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _put_in_place(aside: Path, path: Path) -> None:
    """Give a file its name; FileExistsError where there is one of that name, which a rename would replace."""
    try:
        os.link(aside, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        path.open("x").close()  # a disk without hard links, such as exFAT or some shares: the name is taken first
        aside.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON, whole or not at all."""
    with replaced_file(path) as aside:
        aside.write_text(json.dumps(value))


def file_sha256(file: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def flush_to_disk(path: Path) -> None:
    """Let what was written to a file, or the names in a folder, outlive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def folder_bytes(folder: Path) -> int:
    """The size of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
