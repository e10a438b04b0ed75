"""Batches of rows of like length, in an order that stays random."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

POOL = 50  # batches that are sorted by length together: more saves more padding and mixes less


class LengthBuckets:
    """Yields lists of row numbers, a new shuffle each epoch, the same for the same seed and epoch.

    The rows are shuffled, cut into pools of `POOL` batches, sorted by length within their pool, cut into batches, and the batches
    shuffled: a batch's rows are alike in length, and which rows they are remains chance. A batch is cut into `micro`-sized pieces
    for gradient accumulation; the one short batch of an epoch comes last, so that the pieces always line up.
    """

    def __init__(
        self, lengths: Sequence[int], batch: int, micro: int, seed: int, epoch: Callable[[], int], *, buckets: bool
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.batch, self.micro, self.seed, self.epoch, self.buckets = batch, micro, seed, epoch, buckets
        self.batch_size, self.drop_last = micro, False  # accelerate reads both

    def __len__(self) -> int:
        whole, rest = divmod(len(self.lengths), self.batch)
        return whole * (self.batch // self.micro) + -(-rest // self.micro)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches(self.epoch()):
            for start in range(0, len(batch), self.micro):
                yield [int(row) for row in batch[start : start + self.micro]]

    def batches(self, epoch: int) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
        """The whole epoch's batches in their order."""
        random = np.random.default_rng((self.seed, epoch))
        order = random.permutation(len(self.lengths))
        whole = len(order) // self.batch * self.batch
        body, rest = order[:whole], order[whole:]
        if self.buckets:
            pools = [body[start : start + POOL * self.batch] for start in range(0, whole, POOL * self.batch)]
            body = np.concatenate([pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools]) if pools else body
        batches = [body[start : start + self.batch] for start in range(0, whole, self.batch)]
        shuffled = [batches[place] for place in random.permutation(len(batches))]
        return [*shuffled, rest] if len(rest) else shuffled
