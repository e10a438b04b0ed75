"""Detects whether a source has changed since a run read it: files by hash, tables by their number of rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from configs.schema import Pipeline
from tasks.common.files import write_json
from tasks.common.home import Home
from tasks.data.sources import tables
from tasks.data.sources.fingerprints import fingerprint_files
from tasks.data.sources.source_files import File, data_files
from tasks.identity.keys import json_sha256


def digest_of(pipeline: Pipeline, sources: Mapping[str, str]) -> str:
    """The digest of the files that a run read (hash by name), of those that the pipeline's source names."""
    return json_sha256({file.name: _comparable_fingerprint(file, sources.get(file.name)) for file in _pipeline_files(pipeline)})


def digest_now(pipeline: Pipeline, home: Home) -> str:
    """The same digest of the source as it is now."""
    place = home.path / "index" / f"source-{pipeline.name}.json"
    known, files = _read_known_hashes(place), dict[str, dict[str, object]]()
    for file in _pipeline_files(pipeline):
        if file.format == "table":
            files[file.path] = {"name": file.name, "stamp": None, "hash": _row_count_text(tables.count_rows(file.path))}
            continue
        stamp = _file_stamp(file)
        earlier = known.get(file.path, {})
        same = stamp is not None and earlier.get("stamp") == stamp
        files[file.path] = {
            "name": file.name,
            "stamp": stamp,
            "hash": earlier["hash"] if same else fingerprint_files([file])[file.name],
        }
    write_json(place, files)
    return json_sha256({entry["name"]: entry["hash"] for entry in files.values()})


def _pipeline_files(pipeline: Pipeline) -> tuple[File, ...]:
    rows, held_out = data_files(pipeline.data)
    return (*rows, *held_out)


def _comparable_fingerprint(file: File, fingerprint: str | None) -> str | None:
    """The hash of a file, for tables of the number of rows: what a comparison can know without reading the whole table."""
    return _row_count_text(tables.rows_in(fingerprint)) if file.format == "table" and fingerprint else fingerprint


def _row_count_text(count: int) -> str:
    return f"{count} rows"


def _file_stamp(file: File) -> list[int] | None:
    """A stamp that changes whenever a file is written: inode, size and time; None where there is no file to look at."""
    if not file.is_local or not Path(file.path).is_file():
        return None
    status = Path(file.path).stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _read_known_hashes(place: Path) -> dict[str, dict[str, object]]:
    try:
        entries = json.loads(place.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}
