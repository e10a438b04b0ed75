"""The files of rows that a snapshot is made of: splits with their signatures, the reference, the quarantine, the dropped rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.common.files import flush_to_disk, replaced_file
from tasks.common.workspace import world_faults
from tasks.data.preparation import deduplicate
from tasks.data.preparation.prepare import Candidate, take_rows
from tasks.data.preparation.row_filters import KEPT, QUARANTINED, REASONS
from tasks.data.preparation.split import SPLITS

if TYPE_CHECKING:
    import pyarrow as pa

REFERENCE_ROWS = 5_000
DROPPED = "dropped.parquet"
_ROWS = 8192  # rows written, and hashed, at a time: part of the hash's definition


def write_quarantine(candidate: Candidate, reasons: Mapping[int, str], path: Path) -> Path:
    """Write the rows set aside, redacted, each with its reason; an old file is replaced whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    places = np.array(sorted(reasons), dtype=np.int64)
    table = take_rows(candidate.rows, places).append_column(
        "reason", pa.array([reasons[i] for i in places.tolist()], type=pa.string())
    )
    with world_faults(path), replaced_file(path) as aside:
        pq.write_table(table.drop_columns(["split"]), aside, compression="zstd")
    return path


def write_dropped(candidate: Candidate, fate: NDArray[np.uint8], path: Path) -> None:
    """Write which rows are in no split and in no quarantine, and why: ids and reasons, for `tunekeeper find`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    places = candidate.order[fate[candidate.order] > QUARANTINED]
    reasons = pa.array([REASONS[code] for code in fate[places].tolist()], type=pa.string())
    pq.write_table(take_rows(candidate.rows, places, ["id"]).append_column("reason", reasons), path, compression="zstd")


def write_split(candidate: Candidate, fate: NDArray[np.uint8], code: int, folder: Path) -> str:
    """Write a split's rows and signatures; return the sha256 of their content, which does not depend on the file format."""
    import pyarrow.parquet as pq

    name = SPLITS[code]
    rows = candidate.order[(fate[candidate.order] == KEPT) & (candidate.split[candidate.order] == code)]
    digest = hashlib.sha256()
    schema = candidate.rows.data.table.schema.remove_metadata()
    table = deduplicate.blank_signatures(folder / f"{name}.signatures.npy", len(rows))
    with pq.ParquetWriter(folder / f"{name}.parquet", schema, compression="zstd") as writer:
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            batch = _with_split_name(take_rows(candidate.rows, part), name)
            table[start : start + len(part)] = candidate.signatures[part]
            writer.write_table(batch)
            _update_hash(digest, batch)
    table.flush()
    for end in (".parquet", ".signatures.npy"):
        flush_to_disk(folder / f"{name}{end}")
    return digest.hexdigest()


def write_reference(candidate: Candidate, folder: Path) -> str:
    """Write at most REFERENCE_ROWS rows of the test split, drawn by their place in the hash of ids; return their sha256."""
    import pyarrow.parquet as pq

    rows = candidate.order[candidate.split[candidate.order] == SPLITS.index("test")]
    if len(rows) > REFERENCE_ROWS:
        ids = take_rows(candidate.rows, rows, ["id"]).column("id").to_pylist()
        lots = [hashlib.sha256(f"reference {name}".encode()).digest() for name in ids]
        rows = rows[np.sort(np.array(sorted(range(len(rows)), key=lots.__getitem__)[:REFERENCE_ROWS]))]
    table = _with_split_name(take_rows(candidate.rows, rows), "test")
    pq.write_table(table, folder / "reference.parquet", compression="zstd")
    flush_to_disk(folder / "reference.parquet")
    digest = hashlib.sha256()
    _update_hash(digest, table)
    return digest.hexdigest()


def _with_split_name(batch: pa.Table, split: str) -> pa.Table:
    import pyarrow as pa

    return batch.set_column(batch.column_names.index("split"), "split", pa.array([split] * batch.num_rows, type=pa.string()))


def _update_hash(digest: hashlib._Hash, batch: pa.Table) -> None:
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
