"""Refuses a candidate snapshot that nothing can be learned from or measured on."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from configs.errors import ContractError, InputError
from configs.schema import facts_of
from tasks.data.feedback import ORIGINS, SOURCE
from tasks.data.preparation.odd_rows import LOOKED_AT, cut_spans
from tasks.data.preparation.prepare import Candidate, take_rows
from tasks.data.preparation.row_filters import KEPT, PAIRLESS, QUARANTINED
from tasks.data.preparation.split import TEST, TRAIN
from tasks.data.preparation.thumb_rows import check_thumbs

FEW_SPANS, MISCOUNTED = 20, 0.9
SHOWN_REASONS = 3


def check_candidate(candidate: Candidate, fate: NDArray[np.uint8], reasons: dict[int, str], max_quarantined: float = 1.0) -> None:
    """All of these checks; rows whose label cannot be learned are set aside, in `fate` and `reasons`."""
    facts = facts_of(candidate.raw.problem)
    check_set_aside(candidate, max_quarantined)
    check_groups(candidate, fate)
    if facts.has_classes:
        check_labels(candidate, fate, reasons)
    if facts.has_spans:
        check_spans(candidate, fate)
    if "thumb" in candidate.rows.column_names:
        check_thumbs(candidate, fate, reasons)
    check_rows(candidate, fate)


def check_set_aside(candidate: Candidate, limit: float) -> None:
    """Hold the share of the source's rows that were set aside, whatever the reason, against the contract's limit.

    Rows of feedback do not count: what users write stops no run.
    """
    own = candidate.origin == ORIGINS.index(SOURCE)
    reasons = Counter(reason for place, reason in candidate.quarantine.items() if own[place])
    aside, rows = reasons.total(), int(own.sum())
    if aside <= limit * rows:
        return
    listed = "; ".join(f"{count:,}: {reason}" for reason, count in reasons.most_common(SHOWN_REASONS))
    raise ContractError(
        f"{aside:,} of {rows:,} rows ({aside / rows:.2%}) are set aside, and the contract allows {limit:.2%}: correct the data, or "
        f"raise contract.max_quarantined. Why: {listed}{'; ...' if len(reasons) > SHOWN_REASONS else ''}"
    )


def check_groups(candidate: Candidate, fate: NDArray[np.uint8]) -> None:
    """Refuse rows that are all of one group: a group stays in one split, so nothing would be left to split."""
    import pyarrow.compute as pc

    if candidate.test_as_given:
        return
    groups = take_rows(candidate.rows, np.flatnonzero(fate == KEPT), ["group"]).column("group")
    if len(groups) and groups.null_count == 0 and len(pc.unique(groups)) == 1:
        remedy = "name a column that tells customers or threads apart, or drop data.group"
        if facts_of(candidate.raw.problem).ranks:
            remedy = "give rows of other queries too (where data.group names no column, the rows of a query are one)"
        raise InputError(
            f"data.group: all {len(groups):,} rows are of one group, and rows of a group stay in one split, so that nothing is "
            f"left to train on or to test on: {remedy}"
        )


def check_labels(candidate: Candidate, fate: NDArray[np.uint8], reasons: dict[int, str]) -> None:
    """Set aside rows whose label no training row has, as it cannot be learned; in a given test set they are an error."""
    labels = candidate.rows.data.table.column("target").combine_chunks().dictionary_encode()
    codes, names = np.asarray(labels.indices), labels.dictionary.to_pylist()
    is_kept = fate == KEPT
    learned = np.unique(codes[is_kept & (candidate.split == TRAIN)])
    if len(learned) == 0:
        return  # `check_rows` reports it
    unseen = is_kept & (candidate.split != TRAIN) & ~np.isin(codes, learned)
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


def check_spans(candidate: Candidate, fate: NDArray[np.uint8]) -> None:
    """Refuse spans nearly all of which cut words: their places are counted in another way, and none could be learned."""
    rows = take_rows(candidate.rows, np.flatnonzero(fate == KEPT)[:LOOKED_AT], ["text", "target"])
    cut, spans = cut_spans(rows.column("text").to_pylist(), rows.column("target").to_pylist())
    if spans >= FEW_SPANS and cut >= MISCOUNTED * spans:
        raise InputError(
            f"data.spans: {cut:,} of {spans:,} spans begin or end in the midst of a word: their places are counted otherwise than "
            "here; count characters (code points, not bytes) from 0, and give as the end the place behind the last character"
        )


def check_rows(candidate: Candidate, fate: NDArray[np.uint8]) -> None:
    """Refuse a candidate without training rows or without test rows."""
    counts = np.bincount(candidate.split[fate == KEPT], minlength=3)
    total = len(fate)
    together = _unsplittable_remark(candidate, fate)
    pairless = int((fate == PAIRLESS).sum())
    alone = f" ({pairless:,} of them, because no other answer was rejected for theirs: see data.rejected)" if pairless else ""
    if counts.sum() == 0:
        raise InputError(
            f"data.source: all {total:,} rows were quarantined or dropped: see the reasons, then mend the data or the contract"
        )
    removed = total - counts.sum()
    remainder = f"are left of {total:,}{f', {removed:,} of which are copies or set aside' if removed else ''}{alone}{together}"
    if counts[TRAIN] == 0:
        raise InputError(f"data.split: no training rows {remainder}: add rows, or make the other fractions smaller")
    if counts[TEST] == 0:
        raise InputError(f"data.split: no test rows {remainder}: add rows, or set a larger data.split.test")


def _unsplittable_remark(candidate: Candidate, fate: NDArray[np.uint8]) -> str:
    """A remark on rows that no split parts, as they may all fall into one: few groups, or rows of one time."""
    import pyarrow.compute as pc

    rows = take_rows(candidate.rows, np.flatnonzero(fate == KEPT), ["group", "time"])
    n = len(pc.unique(rows.column("group").drop_null()))
    if n:
        return f" (in {n:,} groups, none of which is split)"
    one_time = len(pc.unique(rows.column("time"))) == 1 and rows.column("time").null_count == 0
    return " (all of one time, and a split by time parts no equal times)" if one_time else ""
