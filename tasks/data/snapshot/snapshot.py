"""A snapshot: the prepared rows, immutable, named by the hash of their content, with a manifest of where they came from.

HOME/snapshots/<sha256>/ holds, for each split, SPLIT.parquet in (time, id) order and SPLIT.signatures.npy row by row with it;
beside them reference.parquet, quarantine.parquet, dropped.parquet (ids and reasons alone) and manifest.json. Traffic is
later compared with the reference: rows of the test split as they came, before duplicates and quarantined rows were taken out. A
snapshot is there whole or not at all: written in a temporary folder, synced, renamed.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import InfraError, InputError
from tasks.common.files import file_sha256, flush_to_disk
from tasks.common.workspace import workspace, world_faults
from tasks.data.preparation import deduplicate
from tasks.data.preparation.checks import check_candidate
from tasks.data.preparation.prepare import Candidate, take_rows
from tasks.data.preparation.row_filters import KEPT, QUARANTINED
from tasks.data.preparation.split import SPLITS
from tasks.data.snapshot.manifest import account_rows
from tasks.data.snapshot.row_files import DROPPED, write_dropped, write_quarantine, write_reference, write_split

if TYPE_CHECKING:
    import pandas as pd

VERSION = 2


@dataclass(frozen=True)
class Snapshot:
    """A sealed snapshot: its folder, its hash and its manifest."""

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
    max_quarantined: float = 1.0,
) -> Snapshot:
    """Write the candidate's rows, less `quarantined` (id -> reason, from the prepared contract), as a snapshot under `home`.

    `sources` are the source's hashes by file name. Sealing the same rows again, at the same time or later, gives the same snapshot.
    ContractError where more than the share `max_quarantined` of the source's rows was set aside.
    InputError where nothing can be learned or measured: no rows, no test rows, one class, a test label that training never saw.
    """
    fate, reasons = _apply_quarantine(candidate, quarantined or {})
    problem = candidate.raw.problem
    try:
        check_candidate(candidate, fate, reasons, max_quarantined)
    except InputError as error:
        place = write_quarantine(candidate, reasons, home / "quarantine" / f"{_digest_of(sources)[:16]}.parquet")
        raise type(error)(f"{error} (rows set aside, and why: {place})") from error
    store = home / "snapshots"
    with world_faults(store), workspace(store, "sealing-") as folder:
        build = folder / "snapshot"
        build.mkdir()
        hashes = {name: write_split(candidate, fate, code, build) for code, name in enumerate(SPLITS)}
        hashes["reference"] = write_reference(candidate, build)
        write_quarantine(candidate, reasons, build / "quarantine.parquet")
        write_dropped(candidate, fate, build / DROPPED)
        manifest = account_rows(candidate, fate, reasons) | {
            "hashes": {f"{split}_rows": value for split, value in hashes.items()},
            "redactor_key_id": redactor_key_id,
            "sources": dict(sorted(sources.items())),
            "files": {file.name: file_sha256(file) for file in sorted(build.iterdir())},
        }
        name = _digest_of({"version": VERSION, "problem": problem, **hashes})
        manifest = {"hash": name, "version": VERSION, **manifest}
        _write(build / "manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1).encode())
        _publish(build, store / name)
    return open_snapshot(home, name)


def open_snapshot(home: Path, hash: str) -> Snapshot:
    """The snapshot of that hash; InfraError where it is absent or damaged."""
    path = home / "snapshots" / hash
    if missing := _missing_files(path):
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
    """Whether a snapshot is there with every file as it was sealed; reads all its bytes."""
    path = home / "snapshots" / hash
    if _missing_files(path):
        return False
    try:
        sealed: dict[str, str] = json.loads((path / "manifest.json").read_bytes()).get("files", {})
    except ValueError:
        return False
    return all((path / name).is_file() and file_sha256(path / name) == value for name, value in sealed.items())


def _apply_quarantine(candidate: Candidate, quarantined: Mapping[str, str]) -> tuple[NDArray[np.uint8], dict[int, str]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    fate, reasons = candidate.fate.copy(), dict(candidate.quarantine)
    if quarantined:
        is_quarantined = pc.is_in(candidate.rows.data.column("id"), value_set=pa.array(list(quarantined), type=pa.string()))
        places = np.flatnonzero(is_quarantined.to_numpy() & (fate == KEPT))
        for i, name in zip(places.tolist(), take_rows(candidate.rows, places, ["id"]).column("id").to_pylist(), strict=True):
            reasons[i] = quarantined[name]
        fate[places] = QUARANTINED
    return fate, reasons


def _digest_of(value: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _missing_files(path: Path) -> list[str]:
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


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    flush_to_disk(path)
