"""The one spelling of a set of labels: canonical JSON, the labels spelled canonically, each once and in order.

What counts and compares the labels of targets takes spans with labels (spans.py) as well: theirs are the set of their labels.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tasks.data.labels import canonical_label
from tasks.data.spans import rename_labels as rename_spans
from tasks.data.written import read_written

if TYPE_CHECKING:
    import pandas as pd

_APPLIES, _DOES_NOT = frozenset({"1", "true"}), frozenset({"0", "false"})


def write_label_set(labels: Iterable[str]) -> str:
    """A set as it is kept: `["a","b"]`; `[]` where none applies."""
    return json.dumps(sorted(set(labels)), ensure_ascii=False, separators=(",", ":"))


@lru_cache(100_000)
def labels_of(target: str) -> tuple[str, ...]:
    """The labels of a set that `write_label_set` wrote, or those of spans, each once and in order."""
    items = json.loads(target)
    return tuple(sorted({label for *_, label in items}) if _are_spans(items) else items)


def rename_labels(target: str, names: Mapping[str, str]) -> str:
    """The same set, or the same spans, with other labels."""
    if _are_spans(json.loads(target)):
        return rename_spans(target, names)
    return write_label_set(names[label] for label in labels_of(target))


def _are_spans(items: Sequence[object]) -> bool:
    return bool(items) and isinstance(items[0], list)


def all_labels(targets: Iterable[str]) -> tuple[str, ...]:
    """The labels that occur in sets, in order."""
    return tuple(sorted({label for target in set(targets) for label in labels_of(target)}))


def label_flags(targets: Collection[str] | pd.Series, labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(n, labels): which of the labels each set holds."""
    place = {label: number for number, label in enumerate(labels)}
    flags = np.zeros((len(targets), len(labels)), dtype=bool)
    for row, target in enumerate(targets):
        flags[row, [place[label] for label in labels_of(target) if label in place]] = True
    return flags


def rows_by_label(targets: Sequence[str]) -> dict[str, npt.NDArray[np.bool_]]:
    """Label -> (n,) True for the sets that hold it, of every label that occurs."""
    labels = all_labels(targets)
    return dict(zip(labels, label_flags(targets, labels).T, strict=True))


def set_scores(predictions: Sequence[str | None], targets: Sequence[str | None]) -> list[float]:
    """F1 of each set against its target, 1 where both are empty; NaN where either is missing, as of a row that is set aside.

    A span is right where start, end and label are.
    """
    return [
        _set_f1(_items_of(answer), _items_of(target)) if answer and target else float("nan")
        for answer, target in zip(predictions, targets, strict=True)
    ]


def _items_of(target: str) -> set[object]:
    return {tuple(item) if isinstance(item, list) else item for item in json.loads(target)}


def _set_f1(answer: set[object], target: set[object]) -> float:
    return 2 * len(answer & target) / (len(answer) + len(target)) if answer or target else 1.0


def read_label_set(cell: object, separator: str) -> str:
    """The set in a cell: a list, one written as JSON or as Python writes it, or labels with separators; an empty cell is none.

    Raises ValueError for anything else, as words that follow the column's name.
    """
    no_list = f"is no list of labels: write them with {separator!r} between, or as a list"
    if isinstance(cell, str) and (cell.strip()[:1], cell.strip()[-1:]) in (("[", "]"), ("{", "}")):
        try:
            cell = read_written(cell)
        except ValueError:
            raise ValueError(no_list) from None
    parts = [] if cell is None or cell != cell else cell.split(separator) if isinstance(cell, str) else cell
    if isinstance(parts, bool | int | float):
        parts = [str(parts)]
    if not isinstance(parts, list | tuple | set) or any(isinstance(part, list | dict | bytes) for part in parts):
        raise ValueError(no_list)
    if any(isinstance(part, bool) for part in parts) or _repeats_numbers(parts):
        raise ValueError(
            "lists truth values, or a number more than once, as where each label has a 1 or a 0: write the names of those that "
            "apply, or a column of 1 and 0 for each label, and name these columns under data.labels"
        )
    return write_label_set(label for part in parts if (label := canonical_label(part)) is not None)


def _repeats_numbers(parts: Collection[object]) -> bool:
    return len(set(map(str, parts))) < len(parts) and all(isinstance(part, int | float) for part in parts)


def read_indicators(labels: Sequence[str], cells: Sequence[object]) -> str:
    """The set of the labels whose cell says 1 or true; 0, false and an empty cell say that it does not apply.

    Raises ValueError, naming the label, for another cell.
    """
    chosen = []
    for label, cell in zip(labels, cells, strict=True):
        value = canonical_label(cell)
        if value is not None and value not in _APPLIES | _DOES_NOT:
            raise ValueError(label)
        chosen += [label] if value in _APPLIES else []
    return write_label_set(chosen)
