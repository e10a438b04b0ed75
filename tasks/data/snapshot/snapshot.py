"""A snapshot: the prepared rows, immutable, named by the hash of their content, with the account of where they came from.

HOME/snapshots/<sha256>/ holds, for each split, SPLIT.parquet in (time, id) order and SPLIT.signatures.npy row by row with it;
beside them reference.parquet, quarantine.parquet, dropped.parquet (ids and reasons alone) and manifest.json. The reference is
what traffic is later held against: rows of the test split as they came, before duplicates and quarantined rows were taken out. It
is there whole or not at all: written in a temporary folder, synced, renamed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import InfraError, InputError
from configs.schema import facts_of
from tasks.common.files import flush_to_disk
from tasks.common.workspace import workspace, world_faults
from tasks.data.preparation import deduplicate
from tasks.data.preparation.checks import check_groups, check_labels, check_rows
from tasks.data.preparation.prepare import Candidate, take_rows
from tasks.data.preparation.row_filters import KEPT, QUARANTINED, REASONS
from tasks.data.preparation.split import SPLITS
from tasks.data.snapshot.manifest import account_rows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

VERSION = 2
REFERENCE_ROWS = 5_000
DROPPED = "dropped.parquet"
_ROWS = 8192  # rows written, and hashed, at a time: part of the hash's definition


@dataclass(frozen=True)
class Snapshot:
    """A sealed snapshot: where it is, what it is, and its account of itself."""

    path: Path
    hash: str
    manifest: dict[str, Any]

    def parquet(self, split: str) -> Path:
        """The file of a split's rows."""
        return self.path / f"{split}.parquet"

    def frame(self, split: str) -> pd.DataFrame:
        """A split's rows as a pandas frame, all in memory."""
        import pandas as pd

        return pd.read_parquet(self.parquet(split))

    def signatures(self, split: str) -> deduplicate.Signatures:
        """The MinHash signatures of a split's rows, mapped: for `deduplicate.near`."""
        return np.asarray(np.load(self.path / f"{split}.signatures.npy", mmap_mode="r"))


def write_snapshot(
    candidate: Candidate,
    home: Path,
    sources: Mapping[str, str],
    redactor_key_id: str | None,
    quarantined: Mapping[str, str] | None = None,
) -> Snapshot:
    """Write the candidate's rows, less `quarantined` (id -> reason, from the prepared contract), as a snapshot under `home`.

    `sources` are the source's hashes by file name. Sealing the same rows again, at the same time or later, gives the same snapshot.
    InputError where nothing can be learned or measured: no rows, no test rows, one class, a test label that training never saw.
    """
    fate, reasons = _set_aside(candidate, quarantined or {})
    problem = candidate.raw.problem
    try:
        check_groups(candidate, fate)
        if facts_of(problem).has_labels:
            check_labels(candidate, fate, reasons)
        check_rows(candidate, fate)
    except InputError as error:
        place = write_quarantine(candidate, reasons, home / "quarantine" / f"{_digest_of(sources)[:16]}.parquet")
        raise InputError(f"{error} (rows set aside, and why: {place})") from error
    store = home / "snapshots"
    with world_faults(store), workspace(store, "sealing-") as folder:
        build = folder / "snapshot"
        build.mkdir()
        hashes = {name: _write_split(candidate, fate, code, build) for code, name in enumerate(SPLITS)}
        hashes["reference"] = _write_reference(candidate, build)
        write_quarantine(candidate, reasons, build / "quarantine.parquet")
        _write_dropped(candidate, fate, build / DROPPED)
        manifest = account_rows(candidate, fate, reasons) | {
            "hashes": {f"{split}_rows": value for split, value in hashes.items()},
            "redactor_key_id": redactor_key_id,
            "sources": dict(sorted(sources.items())),
            "files": {file.name: _hash_of(file) for file in sorted(build.iterdir())},
        }
        name = _digest_of({"version": VERSION, "problem": problem, **hashes})
        manifest = {"hash": name, "version": VERSION, **manifest}
        _write(build / "manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1).encode())
        _publish(build, store / name)
    return open_snapshot(home, name)


def open_snapshot(home: Path, hash: str) -> Snapshot:
    """The snapshot of that hash; InfraError where it is not, or not whole."""
    path = home / "snapshots" / hash
    if missing := _missing(path):
        raise InfraError(
            f"snapshot {hash}: {path} lacks {', '.join(missing)}: restore it, or run `tunekeeper retrain` on the same data to "
            "make it again"
        )
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())
    except ValueError as error:
        raise InfraError(
            f"snapshot {hash}: {path / 'manifest.json'} is damaged ({error}): restore it, or run `tunekeeper retrain` on the same "
            "data to make it again"
        ) from error
    return Snapshot(path, hash, manifest)


def is_whole(home: Path, hash: str) -> bool:
    """Whether a snapshot is there, and every file of it as it was sealed: all its bytes are read for that."""
    path = home / "snapshots" / hash
    if _missing(path):
        return False
    try:
        sealed: dict[str, str] = json.loads((path / "manifest.json").read_bytes()).get("files", {})
    except ValueError:
        return False
    return all((path / name).is_file() and _hash_of(path / name) == value for name, value in sealed.items())


def write_quarantine(candidate: Candidate, reasons: Mapping[int, str], path: Path) -> Path:
    """Write the rows set aside, redacted, each with its reason; an old file is replaced whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    places = np.array(sorted(reasons), dtype=np.int64)
    table = take_rows(candidate.rows, places).append_column(
        "reason", pa.array([reasons[i] for i in places.tolist()], type=pa.string())
    )
    with world_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        pq.write_table(table.drop_columns(["split"]), temporary, compression="zstd")
        temporary.replace(path)
    return path


def _write_dropped(candidate: Candidate, fate: NDArray[np.uint8], path: Path) -> None:
    """Write which rows are in no split and in no quarantine, and why: ids and reasons, for `tunekeeper find`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    places = candidate.order[fate[candidate.order] > QUARANTINED]
    reasons = pa.array([REASONS[code] for code in fate[places].tolist()], type=pa.string())
    pq.write_table(take_rows(candidate.rows, places, ["id"]).append_column("reason", reasons), path, compression="zstd")


def _set_aside(candidate: Candidate, quarantined: Mapping[str, str]) -> tuple[NDArray[np.uint8], dict[int, str]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    fate, reasons = candidate.fate.copy(), dict(candidate.quarantine)
    if quarantined:
        named = pc.is_in(candidate.rows.data.column("id"), value_set=pa.array(list(quarantined), type=pa.string()))
        places = np.flatnonzero(named.to_numpy() & (fate == KEPT))
        for i, name in zip(places.tolist(), take_rows(candidate.rows, places, ["id"]).column("id").to_pylist(), strict=True):
            reasons[i] = quarantined[name]
        fate[places] = QUARANTINED
    return fate, reasons


def _write_split(candidate: Candidate, fate: NDArray[np.uint8], code: int, folder: Path) -> str:
    """Write a split's rows and signatures; return the sha256 of their content, which no file format has a part in."""
    import pyarrow.parquet as pq

    name = SPLITS[code]
    rows = candidate.order[(fate[candidate.order] == KEPT) & (candidate.split[candidate.order] == code)]
    digest = hashlib.sha256()
    schema = candidate.rows.data.table.schema.remove_metadata()
    table = deduplicate.blank_signatures(folder / f"{name}.signatures.npy", len(rows))
    with pq.ParquetWriter(folder / f"{name}.parquet", schema, compression="zstd") as writer:
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            batch = _named(take_rows(candidate.rows, part), name)
            table[start : start + len(part)] = candidate.signatures[part]
            writer.write_table(batch)
            _update(digest, batch)
    table.flush()
    for end in (".parquet", ".signatures.npy"):
        flush_to_disk(folder / f"{name}{end}")
    return digest.hexdigest()


def _write_reference(candidate: Candidate, folder: Path) -> str:
    """Write at most REFERENCE_ROWS rows of the test split, drawn by their place in the hash of ids; return their sha256."""
    import pyarrow.parquet as pq

    rows = candidate.order[candidate.split[candidate.order] == SPLITS.index("test")]
    if len(rows) > REFERENCE_ROWS:
        ids = take_rows(candidate.rows, rows, ["id"]).column("id").to_pylist()
        lots = [hashlib.sha256(f"reference {name}".encode()).digest() for name in ids]
        rows = rows[np.sort(np.array(sorted(range(len(rows)), key=lots.__getitem__)[:REFERENCE_ROWS]))]
    table = _named(take_rows(candidate.rows, rows), "test")
    pq.write_table(table, folder / "reference.parquet", compression="zstd")
    flush_to_disk(folder / "reference.parquet")
    digest = hashlib.sha256()
    _update(digest, table)
    return digest.hexdigest()


def _named(batch: pa.Table, split: str) -> pa.Table:
    import pyarrow as pa

    return batch.set_column(batch.column_names.index("split"), "split", pa.array([split] * batch.num_rows, type=pa.string()))


def _update(digest: hashlib._Hash, batch: pa.Table) -> None:
    """Feed a batch to the hash: per column its name, the length of each value (-1 for null) and the bytes of all."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in batch.column_names:
        column = batch.column(name).combine_chunks()
        digest.update(name.encode())
        if pa.types.is_timestamp(column.type):
            digest.update(np.asarray(column.cast("int64").fill_null(np.iinfo(np.int64).min), dtype="<i8").tobytes())
            continue
        digest.update(np.asarray(pc.binary_length(column).fill_null(-1), dtype="<i4").tobytes())
        digest.update("".join(column.fill_null("").to_pylist()).encode())


def _digest_of(value: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _missing(path: Path) -> list[str]:
    needed = ["manifest.json", "reference.parquet", *(f"{name}{end}" for name in SPLITS for end in (".parquet", ".signatures.npy"))]
    return [name for name in needed if not (path / name).is_file()]


def _publish(build: Path, place: Path) -> None:
    """Rename into place. Where the same snapshot already stands it stays; a damaged one goes with our temporary folder."""
    flush_to_disk(build)
    if place.exists() and not is_whole(place.parents[1], place.name):
        place.rename(build.with_name("damaged"))
    try:
        build.rename(place)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    flush_to_disk(place.parent)


def _hash_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    flush_to_disk(path)
