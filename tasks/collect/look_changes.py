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


def changed_words_of(reference: TrafficReference, window: TrafficWindow) -> page.WordChanges:
    changes: Changes = changed_words(word_counts(reference.rows["text"]), word_counts(window.rows["text"]))
    more, less = (tuple(page.ChangeRow(**asdict(change)) for change in side) for side in (changes.more, changes.less))
    return page.WordChanges(
        more=more, less=less, tested=changes.tested, rate=changes.rate, least=changes.least,
        texts_reference=changes.texts_reference, texts_window=changes.texts_window, rows_window=len(window.rows),
    )  # fmt: skip


def novel_texts_of(reference: TrafficReference, window: TrafficWindow) -> page.NovelTextRows | None:
    if len(reference.rows["text"].drop_duplicates()) <= NEIGHBOUR or not len(window.rows):
        return None
    novelty = novel_texts(reference.points, window.points)
    old = reference.rows["text"].tolist()

    def example(row: int, **more: Any) -> page.Example:
        line = window.rows.iloc[row]
        score = None if line["score"] != line["score"] else float(line["score"])
        return page.Example(
            text=line["text"], id=line["id"], time=line["time"].isoformat(), prediction=line["shown"], score=score, **more
        )

    return page.NovelTextRows(
        share=novelty.share,
        low=novelty.low,
        high=novelty.high,
        expected=novelty.expected,
        strangers=tuple(
            example(stranger.row, distance=stranger.distance, copies=stranger.copies, nearest=old[stranger.nearest])
            for stranger in novelty.strangers
        ),
        growths=tuple(
            page.GrowthRow(
                examples=tuple(example(row) for row in growth.typical[:TYPICAL]),
                n=growth.n, window=growth.window, reference=growth.reference, nearest=old[growth.nearest],
            )
            for growth in novelty.growths
        ),
        n_window=novelty.n_window,
    )  # fmt: skip


def changed_shares_of(old: pd.DataFrame, new: pd.DataFrame, column: str) -> tuple[page.ChangeRow, ...]:
    return _change_rows(*(_distinct_texts(frame)[column] for frame in (old, new)))


def changed_lengths_of(old: pd.DataFrame, new: pd.DataFrame) -> tuple[page.ChangeRow, ...]:
    names = [f"up to {edge - 1} words" for edge in LENGTHS] + [f"{LENGTHS[-1]} words or more"]
    names[1:-1] = [f"{low} to {high - 1} words" for low, high in pairwise(LENGTHS)]
    binned = [[names[int(place)] for place in np.digitize(_distinct_texts(frame)["length"], LENGTHS)] for frame in (old, new)]
    changes = {change.name: change for change in _change_rows(*binned)}
    return tuple(changes[name] for name in names if name in changes)


def _change_rows(old: Iterable[str], new: Iterable[str]) -> tuple[page.ChangeRow, ...]:
    return tuple(page.ChangeRow(**asdict(change)) for change in changed_shares(Counter(old), Counter(new)))


def _distinct_texts(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.drop_duplicates("text")
