"""Decides which rows take part: conflicts are set aside, copies dropped, and rows of train or validation that test has too.

Arrays in, fates out. Rows come in (origin, time, id) order, so of copies the source's earliest stays, in any order of the files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.data.preparation.deduplicate import first_of_each, near_pairs, rows_to_drop
from tasks.data.preparation.row_index import Marks
from tasks.data.preparation.split import TEST, TRAIN, VALIDATION

REASONS = (
    "kept",
    "quarantined",
    "exact duplicate",
    "near duplicate",
    "near or exact duplicate of a test row",
    "near or exact duplicate of a validation row",
    "its group has rows in a later split",
    "feedback from the time that is held out",
    "no other answer was rejected for its own",
)
KEPT, QUARANTINED, EXACT, NEAR, LEAKS_TEST, LEAKS_VALIDATION, LATER_GROUP, HELD_OUT_TIME, PAIRLESS = range(len(REASONS))

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Overlap:
    """What test shares with the rows trained on, before anything was removed for it."""

    test_rows_with_a_neighbour: int
    test_rows_with_a_known_group: int


def conflicting_rows(marks: Marks, fate: NDArray[np.uint8]) -> Indices:
    """Rows still kept whose equal text carries more than one target, those of one text side by side."""
    alive = np.flatnonzero(fate == KEPT)
    a, b = marks.text[alive, 0], marks.text[alive, 1]
    same_text = first_of_each(a, b)
    differs = first_of_each(a, b, marks.target[alive]) != same_text
    mixed = np.isin(same_text, same_text[differs])
    return alive[mixed][np.argsort(same_text[mixed], kind="stable")]


def filter_rows(
    marks: Marks, order: Indices, split: NDArray[np.int8], fate: NDArray[np.uint8], threshold: float | None, test_as_given: bool
) -> Overlap:
    """Write the fate of copies and leaks into `fate`; threshold None keeps copies but still takes out leaks, exact ones only.

    Of copies the first in `order` is kept.
    A given test set is used as given: its copies stay, and train rows like them are counted, not removed.
    """
    alive = order[fate[order] == KEPT]
    where, target = split[alive], marks.target[alive]
    fates = np.full(len(alive), KEPT, dtype=np.uint8)
    fixed = (where == TEST) & test_as_given
    i = j = np.empty(0, dtype=np.int64)
    if threshold is not None:
        _drop_exact_copies(marks, alive, where, fixed, fates)
        rest = np.flatnonzero(fates == KEPT)
        i, j = (rest[ends] for ends in near_pairs(marks.signatures[alive[rest]], threshold))
        inner = (where[i] == where[j]) & (target[i] == target[j]) & ~fixed[j]
        fates[rows_to_drop(i[inner], j[inner], len(alive)) & (fates == KEPT)] = NEAR
    like = _likeness(marks, alive, i, j)
    neighbours = _neighbours_across_splits(like, where, fates, TEST)
    if not test_as_given:
        fates[neighbours.lower] = LEAKS_TEST
    fates[_neighbours_across_splits(like, where, fates, VALIDATION).lower] = LEAKS_VALIDATION
    fate[alive] = fates
    return Overlap(len(neighbours.upper), _count_known_groups(marks, alive, where, fates))


def later_groups(marks: Marks, split: NDArray[np.int8], fate: NDArray[np.uint8]) -> None:
    """Drop the rows of a group from all splits but its latest one, so that a group never straddles."""
    rows = np.flatnonzero((fate == KEPT) & (marks.group != 0))
    _, code = np.unique(marks.group[rows], return_inverse=True)
    latest = np.zeros(code.max(initial=-1) + 1, dtype=np.int8)
    np.maximum.at(latest, code, split[rows])
    fate[rows[split[rows] < latest[code]]] = LATER_GROUP


@dataclass(frozen=True)
class _Neighbours:
    upper: Indices  # rows of the split that has neighbours below
    lower: Indices  # those neighbours


def _drop_exact_copies(
    marks: Marks, alive: Indices, where: NDArray[np.int8], fixed: NDArray[np.bool_], fates: NDArray[np.uint8]
) -> None:
    first = first_of_each(marks.text[alive, 0], marks.text[alive, 1], marks.target[alive], where.astype(np.uint64))
    fates[(first != np.arange(len(alive))) & ~fixed] = EXACT


@dataclass(frozen=True)
class _Likeness:
    """What rows have in common, by their places among those that take part."""

    i: Indices  # pairs i, j are near
    j: Indices
    text: Indices  # [rows]: equal for equal texts
    exchange: NDArray[np.uint64]  # [rows]: equal for equal conversations, answers included
    holders: Indices  # rows that begin with
    held: NDArray[np.uint64]  # these


def _likeness(marks: Marks, alive: Indices, i: Indices, j: Indices) -> _Likeness:
    place = np.full(len(marks.target), -1, dtype=np.int64)
    place[alive] = np.arange(len(alive))
    rows, earlier_keys = marks.exchanges.earlier_exchanges()
    there = place[rows] >= 0
    same_text = first_of_each(marks.text[alive, 0], marks.text[alive, 1])
    return _Likeness(i, j, same_text, marks.exchanges.own[alive], place[rows[there]], earlier_keys[there])


def _neighbours_across_splits(like: _Likeness, where: NDArray[np.int8], fates: NDArray[np.uint8], upper: int) -> _Neighbours:
    """Kept rows of split `upper`, and those of earlier splits that are near, have equal texts, or hold their whole exchange."""
    is_kept = fates == KEPT
    above, below = is_kept & (where == upper), is_kept & (where < upper)
    first, second = np.r_[like.i, like.j], np.r_[like.j, like.i]
    near, holds = above[first] & below[second], below[like.holders]
    alike_above = np.isin(like.text, like.text[below]) | np.isin(like.exchange, like.held[holds])
    equal_below = np.flatnonzero(below & np.isin(like.text, like.text[above]))
    holding = like.holders[holds & np.isin(like.held, like.exchange[above])]
    lower = np.union1d(np.union1d(second[near], equal_below), holding)
    return _Neighbours(np.union1d(first[near], np.flatnonzero(above & alike_above)), lower)


def _count_known_groups(marks: Marks, alive: Indices, where: NDArray[np.int8], fates: NDArray[np.uint8]) -> int:
    group = np.where(fates == KEPT, marks.group[alive], 0)
    known = group[(where == TRAIN) & (group != 0)]
    return int(np.isin(group[where == TEST], known).sum())
