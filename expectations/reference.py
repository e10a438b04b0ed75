"""The part of a snapshot that the next one is compared with: the balance of its labels, and its words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from expectations.measures import words_of

MANY_WORDS = 200_000


@dataclass(frozen=True)
class RecordsReference:
    """Plain values for a manifest: each target's share of the rows, and the words of all texts, the most frequent first."""

    label_shares: dict[str, float]
    vocabulary: tuple[str, ...]


def describe_records(frames: Iterable[pd.DataFrame], *, labels: bool, most_words: int = MANY_WORDS) -> RecordsReference:
    """The reference of a snapshot's records (columns text and target), in one pass.

    `labels` is False where targets are free text: their shares would be a list of texts. Of more than
    `most_words` words the rarest are dropped, so memory and manifest stay bounded by the language, not by the rows.
    """
    words: Counter[str] = Counter()
    targets: Counter[str] = Counter()
    for frame in frames:
        for text in frame["text"].dropna():
            words.update(words_of(str(text)))
        if labels:
            targets.update({str(k): int(v) for k, v in frame["target"].value_counts().items()})
        if len(words) > 4 * most_words:
            words = Counter(dict(words.most_common(2 * most_words)))
    total = sum(targets.values())
    ordered = sorted(words.items(), key=lambda pair: (-pair[1], pair[0]))[:most_words]
    return RecordsReference({k: targets[k] / total for k in sorted(targets)}, tuple(word for word, _ in ordered))
