"""Where the result of a scoring goes: to no place that is read as rows, and in the place of no file but an earlier result."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from configs.errors import InputError
from configs.schema import Data
from tasks.data.sources.local_files import fits_pattern, list_local_files
from tasks.serving.batch.part_files import result_mark


def place_of(path: str, source: str, data: Data | None = None) -> Path:
    """Where a result of the rows of `source` goes; InputError where it cannot, would be read as rows of these or of `data` the next
    time, or where another file lies."""
    try:
        place = Path(path).expanduser().resolve()
        is_folder = place.is_dir()
    except (OSError, RuntimeError) as error:  # a name that is too long, the home of a user who is unknown
        raise InputError(f"--output {path[:200]}: is no place for a file ({str(error)[:100]}): name another one") from None
    if place.suffix != ".parquet" or is_folder:
        raise InputError(f"--output {path}: name a file that ends in .parquet")
    sources = [("--input", source)]
    for setting, parts in (("data.source", data.source), ("data.test", data.test or ())) if data else ():
        sources += [(setting, part) for part in ((parts,) if isinstance(parts, str) else parts)]
    for setting, part in sources:
        if _is_source_file(place, part):
            raise InputError(f"--output {path}: lies in {setting} {part} and would be read as its rows: name another place")
    _check_writable(place, path)
    return place


def _is_source_file(place: Path, part: str) -> bool:
    """Whether a file at that place is one of a source: named by it, in its folder, found by its pattern, or where a link leads."""
    if "://" in part and not part.startswith("file://"):
        return False
    with suppress(InputError, OSError, RuntimeError):  # what is wrong with a source is told where it is read
        rows = Path(part.removeprefix("file://")).expanduser()
        if rows.is_dir() and place.is_relative_to(rows.resolve()):
            return True
        if not rows.exists() and fits_pattern(place, str(rows)):
            return True
        return any(os.path.realpath(file) == str(place) for _, file in list_local_files(str(rows))[0])
    return False


def _check_writable(place: Path, path: str) -> None:
    """Refuse a place below a file, and one where something lies that is neither an earlier result nor empty."""
    folder = next(above for above in place.parents if above.exists())
    if not folder.is_dir():
        raise InputError(f"--output {path}: its folder is a file, {folder}: name another place")
    if not place.exists():
        return
    if not place.is_file():
        raise InputError(f"--output {path}: is a pipe or a device: name a file that ends in .parquet")
    try:
        is_ours = place.stat().st_size == 0 or result_mark(place) is not None
    except OSError as error:
        raise InputError(f"--output {path}: cannot be read ({error.strerror}): name another file, or move it away") from None
    if not is_ours:
        raise InputError(f"--output {path}: is there already and holds no result of a scoring: name another file, or move it away")
