"""Which files a source means, and the hash of their bytes: nothing heavy, since every run asks what changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from configs.errors import InfraError, InputError
from configs.schema import Data, is_table
from tasks.data.sources.formats import READABLE, TABBED, Format, format_of, format_suffix, is_data, remedy_for, unknown_format

FEEDBACK = "(feedback)"  # how exported feedback is named among a snapshot's sources
_GLOB = frozenset("*?[")
_HIDDEN = (".", "~$")  # how the names of hidden files begin, and of those by which Excel marks a book that is open
_FOLDER = "a link to a folder, which is not followed: name that folder in data.source"
_NAMED = 5  # files that a notice names
_SHOWN = 200  # characters of a path that an error shows


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


def data_files(data: Data) -> tuple[tuple[File, ...], tuple[File, ...]]:
    """The files of the training rows and of `data.test`."""
    return source_files(data.source, data.test, data.format, data.separator)


def resolve_source(source: str | tuple[str, ...], format: str = "auto", separator: str | None = None) -> tuple[File, ...]:
    """The files of a source (file, folder, glob, address, `hf://dataset/split`, table, or several) by name; InputError if none."""
    parts = (source,) if isinstance(source, str) else source
    if not parts:
        raise InputError("data.source is an empty list: name at least one file, folder, glob, address, table or hf://dataset/split")
    listed = _each_once([_files(part, format, separator) for part in parts])
    names = [file.name for files in listed for file in files]
    if len(set(names)) < len(names):
        listed = [[replace(file, name=f"{part}:{file.name}") for file in files] for part, files in zip(parts, listed, strict=True)]
    return tuple(sorted((file for files in listed for file in files), key=lambda file: file.name))


def _each_once(listed: list[list[File]]) -> list[list[File]]:
    """The files of all parts, one that is named twice (by another path, by a link) where it comes first."""
    seen, kept = set[str](), list[list[File]]()
    for files in listed:
        kept.append([])
        for file in files:
            if (place := _place(file)) not in seen:
                seen.add(place)
                kept[-1].append(file)
    return kept


def source_files(
    source: str | tuple[str, ...], test: str | tuple[str, ...] | None = None, format: str = "auto", separator: str | None = None
) -> tuple[tuple[File, ...], tuple[File, ...]]:
    """The files of the source and of `data.test`; a file that both name is test, and names never clash."""
    held_out = () if test is None else resolve_source(test, format, separator)
    paths = {_place(file) for file in held_out}
    rows = tuple(f for f in resolve_source(source, format, separator) if _place(f) not in paths)
    if not rows:
        raise InputError(f"data.source {source}: holds nothing but the test rows of data.test: name the training rows")
    taken = {file.name for file in rows}
    return rows, tuple(replace(f, name=f"test:{f.name}") if f.name in taken else f for f in held_out)


def left_out(data: Data) -> tuple[str, ...]:
    """For each folder of the source and of `data.test` a sentence on what lies in it and is not read, with the remedy."""
    named = (("data.source", data.source), ("data.test", data.test or ()))
    parts = [(setting, part) for setting, given in named for part in ((given,) if isinstance(given, str) else given)]
    return tuple(sentence for setting, part in parts for sentence in left_out_of(setting, part, data.format))


def left_out_of(setting: str, part: str, format: str) -> tuple[str, ...]:
    """The sentence of `left_out` for one source, which the user named by `setting`; none where every file is read."""
    others = [] if part.startswith("hf://") or is_table(part) else _listed(part, format)[1]
    if not others:
        return ()
    more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
    return (f"{setting} {part}: {len(others):,} of its files are not read: {'; '.join(others[:_NAMED])}{more}",)


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


def parse_hub(address: str) -> tuple[str, str, str | None]:
    """Take `hf://owner/name/split@revision` apart into data set, split and revision (None: the newest)."""
    body, _, revision = address.removeprefix("hf://").partition("@")
    name, _, split = body.rpartition("/")
    if not name or not split:
        raise InputError(f"data.source {address}: an hf:// source names a data set and a split, as in hf://owner/name/train")
    return name, split, revision or None


def _files(part: str, format: str, separator: str | None) -> list[File]:
    if part.startswith("hf://"):
        parse_hub(part)
        return [File(part, part, "hf")]
    if is_table(part):
        return [File(part, part, "table")]
    files = []
    for name, path in _listed(part, format)[0]:
        known = format_of(name, format)
        if known is None:
            raise unknown_format(path, name)
        tab = "\t" if format_suffix(name) in TABBED else None
        files.append(File(name, path, known, (separator or tab) if known == "csv" else None))
    return files


def _listed(part: str, format: str) -> tuple[list[tuple[str, str]], list[str]]:
    """(name, path) of the files that a part of a source means, and what lies with them and is not read, each with the remedy."""
    if "://" in part:
        from tasks.data.sources import remote

        found, lone = remote.list_files(part)
        return (found, []) if lone else _of_rows(found, part, format, set())
    found, lone = _local(part)
    folders = {name for name, path in found if Path(path).is_dir()}  # of a folder's content these are links: they are not followed
    rows, others = (found, list[str]()) if lone else _of_rows(found, part, format, folders)
    for name, path in rows:
        _check_is_file(name, path)
    return rows, others


def _of_rows(found: list[tuple[str, str]], part: str, format: str, folders: set[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """What is read of a folder's content, and the rest but for hidden files, each with the remedy."""
    seen = [(name, path) for name, path in found if not any(piece.startswith(_HIDDEN) for piece in Path(name).parts)]
    rows = [(name, path) for name, path in seen if is_data(name, format) and name not in folders]
    others = [
        f"{name} ({_FOLDER if name in folders else remedy_for(name, format)})"
        for name, _ in seen
        if name in folders or not is_data(name, format)
    ]
    if not rows:
        kinds = READABLE if format == "auto" else format
        also = f", only {'; '.join(others[:_NAMED])}" if others else ""
        raise InputError(f"data.source {part}: holds no file of rows ({kinds}){also}: correct the path")
    return rows, others


def _check_is_file(name: str, path: str) -> None:
    """Refuse what cannot be read twice, or not at all, and a name that no snapshot can hold."""
    file = Path(path)
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise InputError(f"{path!a}: its name is not UTF-8: rename the file")
    if file.is_file():
        return
    if file.is_symlink() and not file.exists():
        raise InputError(f"{path}: is a link to {file.readlink()}, which is not there: mend the link, or mount what it leads to")
    raise InputError(f"{path}: is no file but a pipe or a device, and a source is read more than once: write the rows to a file")


def _local(part: str) -> tuple[list[tuple[str, str]], bool]:
    """(name, path) of what a path means, folders apart, and whether it names them itself (a file, a pattern) or their folder."""
    path = _path_of(part)
    if path.is_dir():
        root, found, lone = path, _below(path), False
    elif path.exists() or path.is_symlink():
        root, found, lone = path.parent, [path], True
    elif _GLOB & set(part):
        root, lone = _fixed_part(path), True
        found = _matching(root, str(path.relative_to(root)), part)
    else:
        raise InputError(f"data.source {part}: there is no such file or folder (looked from {Path.cwd()}): correct the path")
    if not found:
        raise InputError(f"data.source {part}: holds no file: correct the path")
    return [(file.relative_to(root).as_posix(), str(file)) for file in found], lone


def _path_of(part: str) -> Path:
    """The path that a part of a source is; InputError where there can be none of that name, or none that this user sees."""
    if not part.strip():
        raise InputError("data.source is an empty text: name a file, folder, glob, address, table or hf://dataset/split")
    shown = part if len(part) <= _SHOWN else f"{part[:_SHOWN]}..."
    try:
        path = Path(part).expanduser()
        path.exists()
    except PermissionError as error:
        raise InputError(f"data.source {shown}: its folder may not be looked into by this user: change its permissions") from error
    except RuntimeError as error:
        raise InputError(f"data.source {shown}: the home folder that ~ stands for is not known: write the path out") from error
    except OSError as error:
        raise InputError(f"data.source {shown}: is no path of a file ({error.strerror}): correct it") from error
    return path


def _below(folder: Path) -> list[Path]:
    """What lies in a folder and in those below: all but folders, and the links to folders."""

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: its files cannot be listed ({error.strerror}): change its permissions") from error

    found = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        found += [Path(place, name) for name in [*names, *(each for each in folders if Path(place, each).is_symlink())]]
    return sorted(found)


def _matching(root: Path, pattern: str, part: str) -> list[Path]:
    try:
        return sorted(p for p in root.glob(pattern) if not p.is_dir() and not p.name.startswith(_HIDDEN[1]))
    except ValueError as error:
        raise InputError(f"data.source {part}: is no pattern ({error}): correct it, as in data/**/*.csv") from error


def _place(file: File) -> str:
    return os.path.realpath(file.path) if file.is_local else file.path


def _fixed_part(path: Path) -> Path:
    """The folder above the first wildcard: names are relative to it."""
    fixed = []
    for part in path.parts:
        if _GLOB & set(part):
            break
        fixed.append(part)
    return Path(*fixed) if fixed else Path()


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
