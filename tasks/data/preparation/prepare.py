"""Raw rows to a candidate snapshot: normalise, redact, split; take out conflicts, copies and leaks, each row with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from configs.schema import Data, GivenSplit, HashSplit, TimeSplit, facts_of
from tasks.common.workspace import world_faults
from tasks.data.feedback import FEEDBACK, ORIGINS
from tasks.data.preparation.deduplicate import Signatures
from tasks.data.preparation.load import RawRows
from tasks.data.preparation.row_filters import (
    HELD_OUT_TIME,
    KEPT,
    PAIRLESS,
    QUARANTINED,
    Overlap,
    conflicting_rows,
    filter_rows,
    later_groups,
)
from tasks.data.preparation.row_index import NOT_GIVEN, Marks, common_words, index_rows
from tasks.data.preparation.split import SPLITS, TEST, TRAIN, VALIDATION, by_hash, by_time
from tasks.data.preparation.vocabulary import targets_labels
from tasks.data.redaction.pseudonyms import PSEUDONYM
from tasks.data.redaction.redact import Redactor

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from datasets import Dataset

_LONGEST_NAMES = 300
_NO_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Candidate:
    """The rows that would be sealed, on disk. The arrays are in the source's order; `order` lists the rows by (time, id).

    It lives as long as the `loaded` block its raw rows came from.
    """

    stage: ClassVar[str] = "prepared"  # what its contract is called

    rows: Dataset
    raw: RawRows
    folder: Path
    order: NDArray[np.int64]
    split: NDArray[np.int8]
    fate: NDArray[np.uint8]
    signatures: Signatures
    quarantine: dict[int, str]
    redacted: dict[str, int]
    vocabulary: dict[str, object]
    overlap: Overlap
    test_as_given: bool
    origin: NDArray[np.int8]  # places in feedback.ORIGINS

    def frames(self, chunk_rows: int = 50_000) -> Iterator[pd.DataFrame]:
        """The kept rows as pandas frames with the canonical columns: text, target, group and slices redacted, `split` filled in."""
        return kept_frames(self.rows, self.split, self.fate, chunk_rows)

    def reader(self) -> Callable[[], Iterator[pd.DataFrame]]:
        """`frames` for another process."""
        return partial(kept_frames, self.rows, self.split, self.fate)

    def quarantined(self) -> dict[str, str]:
        """Why each row was set aside, by its id."""
        places = sorted(self.quarantine)
        ids = take_rows(self.rows, np.array(places, dtype=np.int64), ["id"]).column("id").to_pylist()
        return dict(zip(ids, (self.quarantine[i] for i in places), strict=True))


def kept_frames(
    rows: Dataset, split: NDArray[np.int8], fate: NDArray[np.uint8], chunk_rows: int = 50_000
) -> Iterator[pd.DataFrame]:
    """The frames of `Candidate.frames`."""
    arrow = rows.with_format("arrow")
    names = np.array(SPLITS, dtype=object)
    for start in range(0, len(rows), chunk_rows):
        end = min(start + chunk_rows, len(rows))
        frame = arrow[start:end].to_pandas()
        frame["split"] = names[split[start:end]]
        yield frame[fate[start:end] == KEPT].reset_index(drop=True)


def prepare_rows(raw: RawRows, data: Data, redactor: Redactor | None, quarantined: Mapping[str, str] | None = None) -> Candidate:
    """Make the candidate of raw rows; `quarantined` (id -> reason) are those that the raw contract set aside.

    `redactor` is None where redaction is off. Rows without text, target or (where it is needed) time are quarantined, and for
    classification so are equal texts with different labels.
    """
    with world_faults(raw.folder):
        rows, marks = index_rows(raw, redactor)
    times = np.asarray(raw.rows.data.column("time").cast("int64").fill_null(_NO_TIME))
    aside = _unusable_reasons(raw, data, marks, times, quarantined or {})
    fate = np.full(len(rows), KEPT, dtype=np.uint8)
    if marks.pairless.all():
        raise InputError(
            f"data.rejected: none of the {len(rows):,} rows has another answer that was rejected for its own: name the column of "
            "those, or wait until served answers are corrected"
        )
    fate[marks.pairless] = PAIRLESS
    fate[list(aside)] = QUARANTINED
    origin = _origins(raw.rows)
    split = _splits(data, marks, times, fate, origin)
    if isinstance(data.split, TimeSplit):
        later_groups(marks, split, fate)
    as_given = isinstance(data.split, GivenSplit)
    facts = facts_of(raw.problem)
    if facts.has_labels:
        aside |= _quarantine_unknown_labels(rows, fate, origin, sets=facts.has_label_sets)
        aside |= _conflicts(rows, marks, split, fate, as_given, origin)
    order = _canonical_order(rows, marks)
    threshold = data.deduplicate.threshold if data.deduplicate.enabled else None
    overlap = filter_rows(marks, order[np.argsort(origin[order], kind="stable")], split, fate, threshold, as_given)
    redacted = dict(sorted(redactor.counts.items())) if redactor else {}
    known = common_words(marks.words)
    return Candidate(rows, raw, raw.folder, order, split, fate, marks.signatures, aside, redacted, known, overlap, as_given, origin)


def take_rows(rows: Dataset, indices: NDArray[np.int64], columns: list[str] | None = None) -> pa.Table:
    """Rows by index, in that order."""
    table = rows.data.table
    return (table.select(columns) if columns else table).take(indices)


def _unusable_reasons(
    raw: RawRows, data: Data, marks: Marks, times: NDArray[np.int64], quarantined: Mapping[str, str]
) -> dict[int, str]:
    aside = dict(marks.unusable)
    if data.split.by == "time" or data.window.start is not None or data.window.end is not None:
        aside = {int(i): "it has no time" for i in np.flatnonzero(times == _NO_TIME)} | aside
    if quarantined:
        import pyarrow as pa
        import pyarrow.compute as pc

        is_quarantined = pc.is_in(raw.rows.data.column("id"), value_set=pa.array(list(quarantined), type=pa.string()))
        places = np.flatnonzero(is_quarantined.to_numpy())
        ids = take_rows(raw.rows, places, ["id"]).column("id").to_pylist()
        aside = {int(i): quarantined[name] for i, name in zip(places, ids, strict=True)} | aside
    return aside | raw.unusable


def _splits(
    data: Data, marks: Marks, times: NDArray[np.int64], fate: NDArray[np.uint8], origin: NDArray[np.int8]
) -> NDArray[np.int8]:
    """Feedback is for training alone, however the rest is split; audited rows go where rows like them go, but into no given test.

    By time, feedback from the held-out time is not trained on yet: it would show training what test is about.
    """
    feedback = origin == ORIGINS.index(FEEDBACK)
    match data.split:
        case HashSplit():
            split = by_hash(marks.position, data.split.validation, data.split.test)
        case TimeSplit():
            split = np.full(len(times), TRAIN, dtype=np.int8)
            usable = (fate == KEPT) & ~feedback
            split[usable] = by_time(times[usable], data.split.validation, data.split.test)
            held_out = times[usable & (split != TRAIN)]
            if len(held_out):
                fate[feedback & (fate == KEPT) & (times >= held_out.min())] = HELD_OUT_TIME
        case GivenSplit():
            source_split = np.where(marks.given == NOT_GIVEN, TRAIN, marks.given).astype(np.int8)
            carved = by_hash(marks.position, data.split.validation, test=0.0)
            carve = (source_split == TRAIN) & (not (source_split == VALIDATION).any())
            split = np.where(carve, carved, source_split).astype(np.int8)
    return np.where(feedback, TRAIN, split).astype(np.int8)


def _quarantine_unknown_labels(rows: Dataset, fate: NDArray[np.uint8], origin: NDArray[np.int8], *, sets: bool) -> dict[int, str]:
    """Set aside feedback with a label that no other row has: a comment alone makes no class."""
    feedback = np.flatnonzero((fate == KEPT) & (origin == ORIGINS.index(FEEDBACK)))
    if not len(feedback):
        return {}
    others = np.flatnonzero((fate == KEPT) & (origin != ORIGINS.index(FEEDBACK)))
    own = take_rows(rows, others, ["target"]).column("target").unique().to_pylist()
    known = {label for target in own for label in targets_labels(target, sets=sets)}
    targets = take_rows(rows, feedback, ["target"]).column("target").to_pylist()
    unknown = {
        int(row): label
        for row, target in zip(feedback, targets, strict=True)
        for label in targets_labels(target, sets=sets)
        if label not in known
    }
    fate[list(unknown)] = QUARANTINED
    return {row: f"no row of the source is labelled `{label}`" for row, label in unknown.items()}


def _conflicts(
    rows: Dataset, marks: Marks, split: NDArray[np.int8], fate: NDArray[np.uint8], as_given: bool, origin: NDArray[np.int8]
) -> dict[int, str]:
    """Set aside equal texts with different labels, naming the labels.

    A given test set keeps its rows. Where feedback contradicts a held-out row only the feedback goes: users do not choose the rows
    that models are judged on.
    """
    own = conflicting_rows(marks, np.where(origin == ORIGINS.index(FEEDBACK), np.uint8(QUARANTINED), fate))
    contested = np.zeros(len(fate), dtype=bool)
    contested[own] = True
    mixed = conflicting_rows(marks, fate)
    labels = take_rows(rows, mixed, ["target"]).column("target").to_pylist()
    by_text: dict[bytes, set[str]] = {}
    for i, label in zip(mixed, labels, strict=True):
        by_text.setdefault(marks.text[i].tobytes(), set()).add(label)
    aside = {}
    for i in mixed:
        if not (as_given and split[i] == TEST) and (split[i] == TRAIN or contested[i]):
            names = ", ".join(f"`{label}`" for label in sorted(by_text[marks.text[i].tobytes()]))
            aside[int(i)] = f"the same text is labelled {names if len(names) <= _LONGEST_NAMES else 'in several ways'}"
    fate[list(aside)] = QUARANTINED
    return aside


def _origins(rows: Dataset) -> NDArray[np.int8]:
    """Per row its origin's place in ORIGINS."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return np.asarray(pc.index_in(rows.data.column("origin"), value_set=pa.array(ORIGINS)), dtype=np.int8)


def _canonical_order(rows: Dataset, marks: Marks) -> NDArray[np.int64]:
    """Rows by time (none last), then id.

    Pseudonyms differ with the key, and weights must not depend on a key: rows with pseudonyms come last at their time, ordered by
    the content that a network reads.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = rows.data.table.select(["time", "id"])
    hidden = pc.match_substring_regex(keys.column("id"), f"^{PSEUDONYM.pattern}")
    names = ["time", "id"]
    if pc.any(hidden).as_py():
        plain = pc.if_else(hidden, pa.scalar(None, pa.string()), keys.column("id"))
        views = {"text": marks.text[:, 0], "more": marks.text[:, 1], "target": marks.target}
        view_columns = {name: pc.if_else(hidden, pa.array(values), pa.scalar(0, pa.uint64())) for name, values in views.items()}
        keys = pa.table({"time": keys.column("time"), "plain": plain, **view_columns, "id": keys.column("id")})
        names = keys.column_names
    return np.asarray(pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in names]), dtype=np.int64)
