"""Finds a row by its id, never by its text: its split of each snapshot, or why it is in none."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.errors import InfraError
from configs.schema import Data
from tasks.data.preparation.split import SPLITS
from tasks.data.redaction.pseudonyms import PSEUDONYM, file_name, pseudonym_of
from tasks.data.redaction.redact import Redactor
from tasks.data.snapshot.row_files import DROPPED


@dataclass(frozen=True)
class Place:
    """A row in a snapshot: `where` is a split, "quarantined" or "dropped", `reason` why it is in no split."""

    snapshot: str
    id: str
    where: str
    reason: str | None
    in_reference: bool


def kept_ids(value: str, data: Data, redactor: Redactor | None) -> tuple[str, ...]:
    """The forms of a kept id: a pseudonym under this key, or as it is (older snapshots, redaction off, a pseudonym itself)."""
    plain = value.encode("utf-8", "backslashreplace").decode()  # bytes of a command that are no UTF-8, as such ids are kept
    if redactor is None or PSEUDONYM.fullmatch(plain):
        return (plain,)
    name, mark, number = plain.rpartition("#")
    if data.id is None and mark:
        return (plain, f"{file_name(name, redactor)}#{number}")
    return (plain, pseudonym_of(value, redactor.key))


def find_in_snapshot(folder: Path, ids: Collection[str]) -> list[Place]:
    """The rows of these ids in one snapshot, however old it is; dropped rows are found in snapshots that list them."""
    places = []
    reference = {row["id"] for row in rows_of(folder / "reference.parquet", ids)}
    for split in SPLITS:
        places += [(row["id"], split, None) for row in rows_of(folder / f"{split}.parquet", ids)]
    for name, where in (("quarantine.parquet", "quarantined"), (DROPPED, "dropped")):
        places += [(row["id"], where, row["reason"]) for row in rows_of(folder / name, ids, ("id", "reason"))]
    return [Place(folder.name, name, where, reason, name in reference) for name, where, reason in places]


def rows_of(path: Path, ids: Collection[str], columns: tuple[str, ...] | None = ("id",)) -> list[dict[str, Any]]:
    """The rows of a Parquet file with one of these ids; none where there is no such file. InfraError where it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return []
    try:
        table = pq.read_table(path, columns=list(columns) if columns else None, filters=[("id", "in", list(ids))])
    except (pa.ArrowInvalid, OSError) as error:
        raise InfraError(f"{path} cannot be read ({str(error).splitlines()[0]}): restore it from a copy") from error
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """The manifest of a snapshot; None for a folder that is no snapshot."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return manifest
