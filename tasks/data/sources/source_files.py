"""Lists the files of a source; imports nothing heavy, since every run asks what changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from configs.errors import InfraError, InputError
from configs.schema import Data, is_table
from tasks.data.sources.formats import READABLE, TABBED, Format, format_of, format_suffix, is_data, remedy_for, unknown_format
from tasks.data.sources.local_files import HIDDEN, check_is_file, list_local_files

FEEDBACK = "(feedback)"  # how exported feedback is named among a snapshot's sources
_FOLDER = "a link to a folder, which is not followed: name that folder in data.source"
_NAMED = 5  # files that a notice names


@dataclass(frozen=True)
class File:
    """A file, a table, or a hub data set's split. A file's `name` does not tell where it lies: ids made of it survive a move.

    `separator` is what separates the fields of a CSV file; None: its header tells.
    """

    name: str
    path: str
    format: Format
    separator: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is a file of this machine."""
        return self.format not in ("hf", "table") and "://" not in self.path


@contextmanager
def faults_naming(name: str, instead_of: str = "data.source") -> Iterator[None]:
    """Let faults name the setting by which a source was given, or the table whose rows a file holds."""
    try:
        yield
    except (InputError, InfraError) as error:
        raise type(error)(str(error).replace(instead_of, name, 1)) from error


def data_files(data: Data) -> tuple[tuple[File, ...], tuple[File, ...]]:
    """The files of the training rows and of `data.test`."""
    return source_files(data.source, data.test, data.format, data.separator)


def resolve_source(source: str | tuple[str, ...], format: str = "auto", separator: str | None = None) -> tuple[File, ...]:
    """The files of a source (file, folder, glob, address, `hf://dataset/split`, table, or several) by name; InputError if none."""
    parts = (source,) if isinstance(source, str) else source
    if not parts:
        raise InputError("data.source is an empty list: name at least one file, folder, glob, address, table or hf://dataset/split")
    listed = _drop_repeated_files([_files_of_part(part, format, separator) for part in parts])
    names = [file.name for files in listed for file in files]
    if len(set(names)) < len(names):
        listed = [[replace(file, name=f"{part}:{file.name}") for file in files] for part, files in zip(parts, listed, strict=True)]
    return tuple(sorted((file for files in listed for file in files), key=lambda file: file.name))


def _drop_repeated_files(listed: list[list[File]]) -> list[list[File]]:
    """The files of all parts, one that is named twice (by another path, by a link) where it comes first."""
    places, unique = set[str](), list[list[File]]()
    for files in listed:
        unique.append([])
        for file in files:
            if (place := _real_path(file)) not in places:
                places.add(place)
                unique[-1].append(file)
    return unique


def source_files(
    source: str | tuple[str, ...], test: str | tuple[str, ...] | None = None, format: str = "auto", separator: str | None = None
) -> tuple[tuple[File, ...], tuple[File, ...]]:
    """The files of the source and of `data.test`; a file that both name is test, and names never clash."""
    with faults_naming("data.test"):
        held_out = () if test is None else resolve_source(test, format, separator)
    paths = {_real_path(file) for file in held_out}
    rows = tuple(f for f in resolve_source(source, format, separator) if _real_path(f) not in paths)
    if not rows:
        raise InputError(f"data.source {source}: holds nothing but the test rows of data.test: name the training rows")
    names = {file.name for file in rows}
    return rows, tuple(replace(f, name=f"test:{f.name}") if f.name in names else f for f in held_out)


def left_out(data: Data) -> tuple[str, ...]:
    """For each folder of the source and of `data.test` a sentence on the files in it that are not read, with the remedy."""
    settings = (("data.source", data.source), ("data.test", data.test or ()))
    parts = [(setting, part) for setting, paths in settings for part in ((paths,) if isinstance(paths, str) else paths)]
    return tuple(sentence for setting, part in parts for sentence in left_out_of(setting, part, data.format))


def left_out_of(setting: str, part: str, format: str) -> tuple[str, ...]:
    """The sentence of `left_out` for one source, which the user named by `setting`; none where every file is read."""
    with faults_naming(setting):
        others = [] if part.startswith("hf://") or is_table(part) else _list_files(part, format)[1]
    if not others:
        return ()
    more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
    return (f"{setting} {part}: {len(others):,} of its files are not read: {'; '.join(others[:_NAMED])}{more}",)


def parse_hub(address: str) -> tuple[str, str, str | None]:
    """Take `hf://owner/name/split@revision` apart into data set, split and revision (None: the newest)."""
    body, _, revision = address.removeprefix("hf://").partition("@")
    name, _, split = body.rpartition("/")
    if not name or not split:
        raise InputError(f"data.source {address}: an hf:// source names a data set and a split, as in hf://owner/name/train")
    return name, split, revision or None


def _files_of_part(part: str, format: str, separator: str | None) -> list[File]:
    if part.startswith("hf://"):
        parse_hub(part)
        return [File(part, part, "hf")]
    if is_table(part):
        return [File(part, part, "table")]
    files = []
    for name, path in _list_files(part, format)[0]:
        known = format_of(name, format)
        if known is None:
            raise unknown_format(path, name)
        tab = "\t" if format_suffix(name) in TABBED else None
        files.append(File(name, path, known, (separator or tab) if known == "csv" else None))
    return files


def _list_files(part: str, format: str) -> tuple[list[tuple[str, str]], list[str]]:
    """(name, path) of the files of a part of a source, and the names beside them that are not read, each with the remedy."""
    if "://" in part:
        from tasks.data.sources import remote

        files, lone = remote.list_files(part)
        return (files, []) if lone else _select_row_files(files, part, format, set())
    files, lone = list_local_files(part)
    folders = {name for name, path in files if Path(path).is_dir()}  # of a folder's content these are links: they are not followed
    rows, others = (files, list[str]()) if lone else _select_row_files(files, part, format, folders)
    for name, path in rows:
        check_is_file(name, path)
    return rows, others


def _select_row_files(
    files: list[tuple[str, str]], part: str, format: str, folders: set[str]
) -> tuple[list[tuple[str, str]], list[str]]:
    """The files of a folder that are read, and the others but for hidden ones, each with the remedy."""
    visible = [(name, path) for name, path in files if not any(piece.startswith(HIDDEN) for piece in Path(name).parts)]
    rows = [(name, path) for name, path in visible if is_data(name, format) and name not in folders]
    others = [
        f"{name} ({_FOLDER if name in folders else remedy_for(name, format)})"
        for name, _ in visible
        if name in folders or not is_data(name, format)
    ]
    if not rows:
        kinds = READABLE if format == "auto" else format
        also = f", only {'; '.join(others[:_NAMED])}" if others else ""
        raise InputError(f"data.source {part}: holds no file of rows ({kinds}){also}: correct the path")
    return rows, others


def _real_path(file: File) -> str:
    return os.path.realpath(file.path) if file.is_local else file.path
