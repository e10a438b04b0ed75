"""What changed most between the reference and a window of traffic, as plain values: words, texts, classes, languages, lengths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.drift.frequency_shift import Changes, changed_shares, changed_words, word_counts
from tasks.drift.novelty import NEIGHBOUR, novel_texts
from tasks.monitor import TrafficWindow
from tasks.reference import TrafficReference
from tasks.report.monitor import data as page

if TYPE_CHECKING:
    import pandas as pd

LENGTHS = (5, 10, 20, 40, 80)  # words: the edges of the page's bins
TYPICAL = 3


def changed_words_of(reference: TrafficReference, seen: TrafficWindow) -> page.Words:
    found: Changes = changed_words(word_counts(reference.rows["text"]), word_counts(seen.rows["text"]))
    more, less = (tuple(page.ChangeRow(**asdict(one)) for one in side) for side in (found.more, found.less))
    return page.Words(
        more=more, less=less, tested=found.tested, rate=found.rate, least=found.least, texts_reference=found.texts_reference,
        texts_window=found.texts_window, rows_window=len(seen.rows),
    )  # fmt: skip


def novel_texts_of(reference: TrafficReference, seen: TrafficWindow) -> page.NovelTextRows | None:
    if len(reference.rows["text"].drop_duplicates()) <= NEIGHBOUR or not len(seen.rows):
        return None
    found = novel_texts(reference.points, seen.points)
    old = reference.rows["text"].tolist()

    def example(row: int, **more: Any) -> page.Example:
        line = seen.rows.iloc[row]
        score = None if line["score"] != line["score"] else float(line["score"])
        return page.Example(
            text=line["text"], id=line["id"], time=line["time"].isoformat(), prediction=line["prediction"], score=score, **more
        )

    return page.NovelTextRows(
        share=found.share,
        low=found.low,
        high=found.high,
        expected=found.expected,
        strangers=tuple(
            example(one.row, distance=one.distance, copies=one.copies, nearest=old[one.nearest]) for one in found.strangers
        ),
        growths=tuple(
            page.GrowthRow(
                examples=tuple(example(row) for row in one.typical[:TYPICAL]), n=one.n, window=one.window, reference=one.reference,
                nearest=old[one.nearest],
            )
            for one in found.growths
        ),
        n_window=found.n_window,
    )  # fmt: skip


def changed_shares_of(old: pd.DataFrame, new: pd.DataFrame, column: str) -> tuple[page.ChangeRow, ...]:
    return _changes(*(_distinct(frame)[column] for frame in (old, new)))


def changed_lengths_of(old: pd.DataFrame, new: pd.DataFrame) -> tuple[page.ChangeRow, ...]:
    names = [f"up to {edge - 1} words" for edge in LENGTHS] + [f"{LENGTHS[-1]} words or more"]
    names[1:-1] = [f"{low} to {high - 1} words" for low, high in pairwise(LENGTHS)]
    binned = [[names[int(place)] for place in np.digitize(_distinct(frame)["length"], LENGTHS)] for frame in (old, new)]
    found = {one.name: one for one in _changes(*binned)}
    return tuple(found[name] for name in names if name in found)


def _changes(old: Iterable[str], new: Iterable[str]) -> tuple[page.ChangeRow, ...]:
    return tuple(page.ChangeRow(**asdict(one)) for one in changed_shares(Counter(old), Counter(new)))


def _distinct(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.drop_duplicates("text")
