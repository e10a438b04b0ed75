"""The snapshots of a pipeline on this machine, and their contents."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.schema import Pipeline
from tasks.common.files import write_json
from tasks.common.home import Home

if TYPE_CHECKING:
    from tasks.data.snapshot.snapshot import Snapshot


@dataclass(frozen=True)
class PreparedSnapshot:
    """A snapshot and the results of its contract; `outcomes` are expectations as plain values."""

    snapshot: str
    rows: dict[str, str]
    outcomes: tuple[dict[str, Any], ...]
    docs: str


def open_snapshot(home: Home, hash: str) -> Snapshot:
    """A sealed snapshot by its hash."""
    from tasks.data.snapshot.snapshot import open_snapshot as read

    return read(home.path, hash)


def known_snapshot(home: Home, key: str) -> PreparedSnapshot | None:
    """The snapshot that inputs with this key led to before, if it is still there, and whole."""
    from tasks.data.snapshot.snapshot import is_whole

    try:
        values = json.loads(_index_file(home, key).read_text())
    except (FileNotFoundError, ValueError):
        return None
    if not is_whole(home.path, values["snapshot"]):
        return None
    return PreparedSnapshot(**{**values, "outcomes": tuple(values["outcomes"]), "docs": str(home.locate_page(values["docs"]))})


def note_prepared(home: Home, key: str, prepared: PreparedSnapshot) -> None:
    """Remember which snapshot inputs with this key lead to."""
    write_json(_index_file(home, key), asdict(prepared))


def latest_snapshot(pipeline: Pipeline, home: Home) -> tuple[str, str] | None:
    """The snapshot that this pipeline led to last on this machine, and since when it is that (ISO 8601, UTC)."""
    place = _latest_file(pipeline, home)
    try:
        values = json.loads(place.read_text())
    except (FileNotFoundError, ValueError):
        return None
    modified = datetime.fromtimestamp(place.stat().st_mtime, UTC).isoformat(timespec="milliseconds")
    return values["snapshot"], values.get("at", modified)


def note_latest(pipeline: Pipeline, home: Home, snapshot: str, redactor: str | None = None) -> None:
    """Remember a snapshot as the one that the next is compared with, and the id of the key that its rows were redacted with."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    write_json(_latest_file(pipeline, home), {"snapshot": snapshot, "at": at, "redactor_key_id": redactor})


def rows_per_label(manifest: Mapping[str, Any]) -> dict[str, int]:
    """Label, spelled canonically whatever the manifest's version -> rows of all splits."""
    from tasks.data.labels import canonical_label

    counts = Counter[str]()
    for label, splits in manifest.get("label_counts", {}).items():
        counts[canonical_label(label) or ""] += sum(splits.values())
    return dict(counts)


def _index_file(home: Home, key: str) -> Path:
    return home.path / "index" / f"{key}.json"


def _latest_file(pipeline: Pipeline, home: Home) -> Path:
    return home.path / "index" / f"latest-{pipeline.name}.json"
