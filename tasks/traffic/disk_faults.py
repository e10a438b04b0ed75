"""What hinders the traffic log on its disk, with the way out; and listing folders so that no fault reads as nothing."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from configs.errors import InfraError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
IN_THE_WAY = frozenset({errno.ENOTDIR, errno.EEXIST})


def in_words(error: OSError) -> str:
    """The system's word for it in parentheses, and what mends it."""
    return f"({error.strerror or error}): {_remedy_of(error)}"


@contextmanager
def fault_named(path: Path) -> Iterator[None]:
    """InfraError for what cannot be read, with the remedy; what is not there stays FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InfraError(f"{path} cannot be read {in_words(error)}") from error


def list_folder(folder: Path, pattern: str) -> list[Path]:
    """What lies in a folder by names of that pattern, in their order; nothing where there is no folder."""
    try:
        with fault_named(folder):
            return sorted(path for path in folder.iterdir() if fnmatchcase(path.name, pattern))
    except FileNotFoundError:
        return []


def _remedy_of(error: OSError) -> str:
    if error.errno in FULL:
        return "free the disk"
    if error.errno in FORBIDDEN:
        return "let this user read and write there; see too that nothing there is mounted or marked read-only"
    if error.errno in IN_THE_WAY:
        return "move away the file that stands where its folder should be"
    return "see that the disk works, and that no limit of this process is reached"
