"""Conversations that go on from one another, as where a log keeps all that was said at each answer.

A row's answer may then be an earlier answer of a longer row, from which all answers are learned.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tasks.data.normalise import key_text
from tasks.data.text_parts import plain_part
from tasks.data.turns import ASSISTANT, Turn, is_conversation, turns_of

MOST_BRANCHES = 3  # ways to go on: what more conversations begin with is a greeting, and none of them gives another's answer away


@dataclass
class Exchanges:
    """Hashes of what was said up to an answer; equal for equal conversations."""

    own: NDArray[np.uint64]  # [rows]: with the row's own answer; 0 for other texts
    earlier: array[int] = field(default_factory=lambda: array("Q"))  # row, hash up to an earlier answer, and up to what follows

    @classmethod
    def of_rows(cls, n: int) -> Exchanges:
        return cls(np.zeros(n, dtype=np.uint64))

    def add_row(self, row: int, text: str, target: str) -> None:
        """Keep the hashes of a row; `text` and `target` as a network reads them."""
        if not is_conversation(text):
            return
        turns = [*turns_of(key_text(text)), Turn(ASSISTANT, key_text(plain_part(target)))]
        hashes = list(_hashes(turns))
        self.own[row] = hashes[-1]
        for place, turn in enumerate(turns[:-1]):
            if turn.role == ASSISTANT:
                self.earlier.extend((row, hashes[place], hashes[place + 1]))

    def earlier_exchanges(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """(rows, hashes): the exchanges that rows begin with, but for greetings."""
        table = np.array(self.earlier, dtype=np.uint64).reshape(-1, 3)
        rows, steps = table[:, 0].astype(np.int64), table[:, 1:]
        ways, counts = np.unique(np.unique(steps, axis=0)[:, 0], return_counts=True)
        few = np.isin(steps[:, 0], ways[counts <= MOST_BRANCHES])
        return rows[few], steps[few, 0]


def _hashes(turns: Iterable[Turn]) -> Iterator[int]:
    """For each turn a hash of all up to it; never 0."""
    digest = hashlib.blake2b(digest_size=8)
    for role, content in turns:
        digest.update(f"{role}\0{content}\0".encode())
        yield int.from_bytes(digest.digest()) | 1
