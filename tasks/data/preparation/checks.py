"""What a snapshot must be able to do, or it is not sealed: be learned from, and be measured on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from tasks.data.preparation.prepare import Candidate, take_rows
from tasks.data.preparation.row_filters import KEPT, PAIRLESS, QUARANTINED
from tasks.data.preparation.split import TEST, TRAIN


def check_groups(candidate: Candidate, fate: NDArray[np.uint8]) -> None:
    """Rows of a group stay in one split: where all rows are one group, there is nothing to split."""
    import pyarrow.compute as pc

    if candidate.test_as_given:
        return
    kept = take_rows(candidate.rows, np.flatnonzero(fate == KEPT), ["group"]).column("group")
    if len(kept) and kept.null_count == 0 and len(pc.unique(kept)) == 1:
        raise InputError(
            f"data.group: all {len(kept):,} rows are of one group, and rows of a group stay in one split, so that nothing is left "
            "to train on or to test on: name a column that tells customers or threads apart, or drop data.group"
        )


def check_labels(candidate: Candidate, fate: NDArray[np.uint8], reasons: dict[int, str]) -> None:
    """A label only seen outside training cannot be learned: rows of it are set aside, but in a given test set they are an error."""
    labels = candidate.rows.data.table.column("target").combine_chunks().dictionary_encode()
    codes, names = np.asarray(labels.indices), labels.dictionary.to_pylist()
    kept = fate == KEPT
    learned = np.unique(codes[kept & (candidate.split == TRAIN)])
    if len(learned) == 0:
        return  # `check_rows` says what is missing
    unseen = kept & (candidate.split != TRAIN) & ~np.isin(codes, learned)
    missing = sorted(names[c] for c in np.unique(codes[unseen & (candidate.split == TEST)]))
    if missing and candidate.test_as_given:
        listed = ", ".join(f"`{name}`" for name in missing[:20])
        raise InputError(
            f"data.test: {len(missing)} label(s) that no training row has: {listed}: add such rows, or drop them from test"
        )
    for i in np.flatnonzero(unseen):
        reasons[int(i)] = f"no training row is labelled `{names[codes[i]]}`: too rare to learn and to judge"
    fate[unseen] = QUARANTINED
    if len(learned) == 1:
        raise InputError(
            f"data.label: the training rows have one class only (`{names[learned[0]]}`): a classifier needs two; name another "
            "column, or add rows of other classes"
        )


def check_rows(candidate: Candidate, fate: NDArray[np.uint8]) -> None:
    """Rows must be left, to train on and to test on."""
    counts = np.bincount(candidate.split[fate == KEPT], minlength=3)
    total = len(fate)
    together = _kept_together(candidate, fate)
    pairless = int((fate == PAIRLESS).sum())
    alone = f" ({pairless:,} of them, because no other answer was rejected for theirs: see data.rejected)" if pairless else ""
    if counts.sum() == 0:
        raise InputError(
            f"data.source: all {total:,} rows were quarantined or dropped: see the reasons, then mend the data or the contract"
        )
    gone = total - counts.sum()
    left = f"are left of {total:,}{f', {gone:,} of which are copies or set aside' if gone else ''}{alone}{together}"
    if counts[TRAIN] == 0:
        raise InputError(f"data.split: no training rows {left}: add rows, or make the other fractions smaller")
    if counts[TEST] == 0:
        raise InputError(f"data.split: no test rows {left}: add rows, or set a larger data.split.test")


def _kept_together(candidate: Candidate, fate: NDArray[np.uint8]) -> str:
    """What no split parts: few groups, or rows of one time, may all fall into one split."""
    import pyarrow.compute as pc

    kept = take_rows(candidate.rows, np.flatnonzero(fate == KEPT), ["group", "time"])
    n = len(pc.unique(kept.column("group").drop_null()))
    if n:
        return f" (in {n:,} groups, none of which is split)"
    one_time = len(pc.unique(kept.column("time"))) == 1 and kept.column("time").null_count == 0
    return " (all of one time, and a split by time parts no equal times)" if one_time else ""
