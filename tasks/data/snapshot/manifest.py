"""The manifest of a snapshot: rows by split, label and origin, which were dropped or set aside and why, and what was redacted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from configs.schema import facts_of
from tasks.data import labels, normalise
from tasks.data.feedback import ORIGINS
from tasks.data.label_sets import all_labels, labels_of
from tasks.data.preparation import deduplicate
from tasks.data.preparation import split as splitting
from tasks.data.preparation.prepare import Candidate, take_rows
from tasks.data.preparation.row_filters import KEPT, QUARANTINED, REASONS
from tasks.data.preparation.split import SPLITS
from tasks.data.redaction import placeholders, pseudonyms, redact

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLES = 20


def account_rows(candidate: Candidate, fate: NDArray[np.uint8], reasons: Mapping[int, str]) -> dict[str, object]:
    """Counts and reasons, for people and for the next run to compare with; ids are named, texts never."""
    is_kept = fate == KEPT
    counts = np.bincount(candidate.split[is_kept], minlength=len(SPLITS)).tolist()
    counted = _label_counts(candidate, is_kept) if facts_of(candidate.raw.problem).has_labels else {}
    times = take_rows(candidate.rows, np.flatnonzero(is_kept), ["time"]).column("time")
    return {
        "problem": candidate.raw.problem,
        "made_by": {
            "normalise": normalise.VERSION,
            "labels": labels.VERSION,
            "ids": pseudonyms.VERSION,
            "redact": redact.VERSION,
            "view": placeholders.VIEW,
            "split": splitting.VERSION,
            "signatures": deduplicate.VERSION,
        },
        "rows": {"read": len(fate), "outside_window": candidate.raw.outside_window, "kept": int(is_kept.sum())},
        "splits": dict(zip(SPLITS, counts, strict=True)),
        "origins": _rows_by_origin(candidate, is_kept),
        "labels": sorted(counted),
        "label_counts": counted,
        "time": _time_range(times),
        "dropped": _dropped_rows(candidate, fate),
        "quarantined": _quarantined_rows(candidate, reasons),
        "overlap": {"test_as_given": candidate.test_as_given, **asdict(candidate.overlap)},
        "redacted": candidate.redacted,
        "vocabulary": candidate.vocabulary,
    }


def _label_counts(candidate: Candidate, is_kept: NDArray[np.bool_]) -> dict[str, dict[str, int]]:
    """Label -> split -> rows; of sets of labels a row counts for each."""
    labels = candidate.rows.data.table.column("target").combine_chunks().dictionary_encode()
    codes, names = np.asarray(labels.indices)[is_kept], labels.dictionary.to_pylist()
    table = np.zeros((len(names), len(SPLITS)), dtype=np.int64)
    np.add.at(table, (codes, candidate.split[is_kept]), 1)
    if facts_of(candidate.raw.problem).has_label_sets:
        set_counts = {name: counts for name, counts in zip(names, table, strict=True) if counts.any()}
        names, table = list(all_labels(set_counts)), np.zeros((len(all_labels(set_counts)), len(SPLITS)), dtype=np.int64)
        for target, counts in set_counts.items():
            table[[names.index(label) for label in labels_of(target)]] += counts
    return {name: dict(zip(SPLITS, row, strict=True)) for name, row in sorted(zip(names, table.tolist(), strict=True)) if any(row)}


def _rows_by_origin(candidate: Candidate, is_kept: NDArray[np.bool_]) -> dict[str, dict[str, int]]:
    """Origin -> split -> rows, of the origins that there are."""
    table = np.zeros((len(ORIGINS), len(SPLITS)), dtype=np.int64)
    np.add.at(table, (candidate.origin[is_kept], candidate.split[is_kept]), 1)
    return {name: dict(zip(SPLITS, row, strict=True)) for name, row in zip(ORIGINS, table.tolist(), strict=True) if any(row)}


def _time_range(times: pa.ChunkedArray) -> dict[str, str] | None:
    import pyarrow.compute as pc

    ends = pc.min_max(times).as_py()
    return None if ends["min"] is None else {"first": ends["min"].isoformat(), "last": ends["max"].isoformat()}


def _dropped_rows(candidate: Candidate, fate: NDArray[np.uint8]) -> dict[str, dict[str, object]]:
    """Reason -> how many rows, and the ids of the first few in canonical order; never a text."""
    dropped = {}
    for code in range(QUARANTINED + 1, len(REASONS)):
        rows = candidate.order[fate[candidate.order] == code]
        if len(rows):
            ids = take_rows(candidate.rows, rows[:_SAMPLES], ["id"]).column("id").to_pylist()
            dropped[REASONS[code]] = {"rows": len(rows), "ids": ids}
    return dropped


def _quarantined_rows(candidate: Candidate, reasons: Mapping[int, str]) -> dict[str, object]:
    places = np.array(sorted(reasons), dtype=np.int64)
    ids = take_rows(candidate.rows, places[:_SAMPLES], ["id"]).column("id").to_pylist()
    by_reason = Counter(reasons.values()).most_common(_SAMPLES)
    return {
        "rows": len(reasons),
        "reasons": dict(by_reason),
        "ids": dict(zip(ids, (reasons[i] for i in places[:_SAMPLES].tolist()), strict=True)),
    }
