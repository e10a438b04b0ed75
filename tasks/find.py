"""The face of `find`: where the row of an id is, in the source, in the snapshots and among the scores of this home."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from configs.errors import InfraError, InputError
from configs.schema import Pipeline
from tasks.common.home import Home
from tasks.evaluate import FRAME
from tasks.identity.keys import scores_key
from tasks.snapshots import latest_snapshot
from tasks.tracking.client import Tracking
from tasks.tracking.registry import Registry

if TYPE_CHECKING:
    from tasks.data.redaction.redact import Redactor

HIDDEN = ("id", "time", "group", "target")  # columns of a row's scores that the snapshot shows already


def find_row(pipeline: Pipeline, home: Home, value: str) -> dict[str, Any]:
    """Places of a row by its id (or by the pseudonym that it is kept as); InputError where there is none, without the id."""
    from tasks.data.preparation.load import redactor_of
    from tasks.data.redaction.key import key_id
    from tasks.data.snapshot.row_places import find_in_snapshot, kept_ids, manifest_of

    redactor = redactor_of(pipeline.data, home.path)
    ids = kept_ids(value, pipeline.data, redactor)
    newest = latest_snapshot(pipeline, home)
    places, unread, others, read = [], list[str](), 0, 0
    for folder in sorted(home.snapshots.glob("*")):
        manifest = manifest_of(folder)
        if manifest is None:
            continue
        try:
            here = find_in_snapshot(folder, ids)
        except InfraError as error:
            unread.append(str(error))
            continue
        read += 1
        places += [{**asdict(place), "latest": newest is not None and newest[0] == folder.name} for place in here]
        own = key_id(redactor.key) if redactor else None
        others += not here and manifest.get("redactor_key_id") not in (None, own)
    source, trouble = _source(pipeline, ids, redactor)
    scores = _scores(pipeline, home, ids, {place["snapshot"] for place in places}, unread)
    if not (places or source or scores):
        more = f"; {others} of them were made under another redaction key" if others else ""
        more += "".join(f"; not looked at: {fault}" for fault in unread)
        source_fault = f"; the source cannot be read: {trouble}" if trouble else ""
        where = f"in the source as it is now, nor in the {read} snapshots of {home.path}"
        raise InputError(f"--id: no row of this id is {where}{more}{source_fault}: see that it is spelled as in the source")
    return {
        "pipeline": pipeline.name, "ids": sorted({place["id"] for place in places}), "source": source, "source_error": trouble,
        "snapshots": places, "scores": scores, "snapshots_of_other_keys": others, "unread": unread,
    }  # fmt: skip


def _source(pipeline: Pipeline, ids: Collection[str], redactor: Redactor | None) -> tuple[list[str], str | None]:
    """The places in the source as it is now, and why it cannot be read, if it cannot."""
    from tasks.data.preparation.canonical import source_places

    try:
        return source_places(pipeline.data, pipeline.problem, ids, redactor), None
    except (InputError, InfraError) as error:
        return [], str(error)


def _scores(
    pipeline: Pipeline, home: Home, ids: Collection[str], snapshots: Collection[str], unread: list[str]
) -> list[dict[str, object]]:
    """The answers of models that were tested on the row; `version` is null where other code scored it.

    A sentence on each file that cannot be read is added to `unread`.
    """
    from tasks.data.snapshot.row_places import rows_of

    scored = []
    for file in sorted((home.path / "scores").glob(f"*/{FRAME}")):
        try:
            scored += [(file.parent, row) for row in rows_of(file, ids, None)]
        except InfraError as error:
            unread.append(str(error))
    versions = _versions(pipeline, home, snapshots) if scored else {}
    return [{"scores": folder.name, "version": versions.get(folder.name), **_visible_cells(row)} for folder, row in scored]


def _visible_cells(row: dict[str, object]) -> dict[str, object]:
    """A model's answer to a row, and its scores."""
    return {name: cell for name, cell in row.items() if cell is not None and name not in HIDDEN and not name.startswith("slice_")}


def _versions(pipeline: Pipeline, home: Home, snapshots: Collection[str]) -> dict[str, str]:
    """Key of scores -> the registered version that they belong to."""
    from tasks.data.snapshot.row_places import manifest_of

    hashes = [manifest["hashes"]["test_rows"] for name in snapshots if (manifest := manifest_of(home.snapshots / name)) is not None]
    versions: dict[str, str] = {}
    with suppress(InfraError):  # without the registry the scores are shown all the same
        tracking = Tracking(home, may_begin=False)
        for version in Registry(tracking, pipeline.release.alias).versions(pipeline.name):
            trained = tracking.version_tags(pipeline.name, version).get("train_key", f"{pipeline.name} {version}")
            versions |= {scores_key(trained, rows, pipeline): version for rows in hashes}
    return versions
