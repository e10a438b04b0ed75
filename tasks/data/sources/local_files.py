"""Lists the files of a source's path on this machine: a file, a folder with all below it, or a pattern."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from configs.errors import InputError

_GLOB = frozenset("*?[")
HIDDEN = (".", "~$")  # how the names of hidden files begin, and of those by which Excel marks a book that is open
_SHOWN = 200  # characters of a path that an error shows


def check_is_file(name: str, path: str) -> None:
    """Refuse a file that cannot be read, or not twice, and a name that no snapshot can hold."""
    file = Path(path)
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise InputError(f"{path!a}: its name is not UTF-8: rename the file")
    if file.is_file():
        return
    if file.is_symlink() and not file.exists():
        raise InputError(f"{path}: is a link to {file.readlink()}, which is not there: mend the link, or mount what it leads to")
    raise InputError(f"{path}: is no file but a pipe or a device, and a source is read more than once: write the rows to a file")


def list_local_files(part: str) -> tuple[list[tuple[str, str]], bool]:
    """(name, path) of the files of a path, and whether it names them itself (a file, a pattern) or their folder."""
    path = _path_of_part(part)
    if path.is_dir():
        root, files, lone = path, _list_below(path), False
    elif path.exists() or path.is_symlink():
        root, files, lone = path.parent, [path], True
    elif _GLOB & set(part):
        root, lone = _fixed_part(path), True
        files = _glob_files(root, str(path.relative_to(root)), part)
    else:
        raise InputError(f"data.source {part}: there is no such file or folder (looked from {Path.cwd()}): correct the path")
    if not files:
        raise InputError(f"data.source {part}: holds no file: correct the path")
    return [(file.relative_to(root).as_posix(), str(file)) for file in files], lone


def _path_of_part(part: str) -> Path:
    """A part of a source as a path; InputError where no path can have that name, or this user may not look there."""
    if not part.strip():
        raise InputError("data.source is an empty text: name a file, folder, glob, address, table or hf://dataset/split")
    label = part if len(part) <= _SHOWN else f"{part[:_SHOWN]}..."
    try:
        path = Path(part).expanduser()
        path.exists()
    except PermissionError as error:
        raise InputError(f"data.source {label}: its folder may not be looked into by this user: change its permissions") from error
    except RuntimeError as error:
        raise InputError(f"data.source {label}: the home folder that ~ stands for is not known: write the path out") from error
    except OSError as error:
        raise InputError(f"data.source {label}: is no path of a file ({error.strerror}): correct it") from error
    return path


def _list_below(folder: Path) -> list[Path]:
    """The files in a folder and those below it, and links to folders."""

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: its files cannot be listed ({error.strerror}): change its permissions") from error

    paths = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        paths += [
            Path(place, name)
            for name in [*names, *(folder_name for folder_name in folders if Path(place, folder_name).is_symlink())]
        ]
    return sorted(paths)


def _glob_files(root: Path, pattern: str, part: str) -> list[Path]:
    try:
        return sorted(p for p in root.glob(pattern) if not p.is_dir() and not p.name.startswith(HIDDEN[1]))
    except ValueError as error:
        raise InputError(f"data.source {part}: is no pattern ({error}): correct it, as in data/**/*.csv") from error


def _fixed_part(path: Path) -> Path:
    """The folder above the first wildcard: names are relative to it."""
    fixed = []
    for part in path.parts:
        if _GLOB & set(part):
            break
        fixed.append(part)
    return Path(*fixed) if fixed else Path()


def fits_pattern(place: Path, part: str) -> bool:
    """Whether a pattern would find a file at that place, which has no links in it, were there one."""
    path = Path(part).expanduser()
    root = _fixed_part(path)
    above = root.resolve()
    return place.is_relative_to(above) and _match_parts(place.relative_to(above).parts, path.relative_to(root).parts)


def _match_parts(names: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether the parts of a path are those of a pattern; `**` stands for any number of them."""
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(_match_parts(names[start:], patterns[1:]) for start in range(len(names) + 1))
    return bool(names) and fnmatchcase(names[0], patterns[0]) and _match_parts(names[1:], patterns[1:])
