"""Batches by length: every row once, chance kept, padding saved."""

from itertools import chain

import numpy as np
import pytest

from tasks.learning.batching import LengthBuckets


def lengths(n, seed=0):
    return np.random.default_rng(seed).integers(3, 60, n)


def made(n=250, batch=8, micro=8, seed=0, epoch=0, buckets=True, seen=None):
    return LengthBuckets(lengths(n) if seen is None else seen, batch, micro, seed, lambda: epoch, buckets=buckets)


def padding(batches, seen):
    return sum(max(seen[row] for row in batch) * len(batch) for batch in batches) / sum(seen) - 1


@pytest.mark.parametrize("buckets", [True, False])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 250, 1024])
@pytest.mark.parametrize(("batch", "micro"), [(8, 8), (8, 2), (32, 8)])
def test_every_row_comes_once_an_epoch_in_as_many_pieces_as_announced(buckets, n, batch, micro):
    batches = made(n, batch, micro, buckets=buckets)
    pieces = list(batches)
    assert sorted(row for piece in pieces for row in piece) == list(range(n))
    assert len(pieces) == len(batches) and max(map(len, pieces)) <= micro


@pytest.mark.parametrize("n", [96, 100, 127])
def test_pieces_of_a_batch_follow_one_another_so_that_accumulation_steps_over_whole_batches(n):
    whole, pieces = list(made(n, 32, 32)), list(made(n, 32, 8))
    joined = [list(chain(*pieces[start : start + 4])) for start in range(0, len(pieces), 4)]
    assert joined == whole
    assert all(len(batch) == 32 for batch in whole[:-1])  # the short one is last


def test_the_same_seed_and_epoch_give_the_same_order_and_any_other_does_not():
    assert list(made(seed=1, epoch=2)) == list(made(seed=1, epoch=2))
    assert list(made(seed=1, epoch=2)) != list(made(seed=1, epoch=3))
    assert list(made(seed=1, epoch=2)) != list(made(seed=2, epoch=2))


def test_rows_of_like_length_share_a_batch_and_little_is_padded():
    seen = lengths(4000)
    sorted_, random = (padding(list(made(seen=seen, batch=32, micro=32, buckets=on)), seen) for on in (True, False))
    assert sorted_ < 0.05 < 0.5 < random


def test_which_rows_meet_and_when_stays_chance():
    """Two given rows of equal length share a batch of 8 in 1 of 31 epochs or so, never always; long rows come at no fixed place."""
    seen = np.array([10] * 250)
    together = sum(any({0, 1} <= set(piece) for piece in made(seen=seen, epoch=epoch)) for epoch in range(400))
    expected = 400 * 7 / 249  # 11.2, standard deviation 3.3: five of them either side
    assert 0 < together < expected + 5 * 3.3
    mixed = lengths(256)
    longest = int(mixed.argmax())
    places = [next(n for n, piece in enumerate(made(seen=mixed, epoch=epoch)) if longest in piece) for epoch in range(200)]
    assert abs(np.mean(places) - 15.5) < 5 * 9.2 / 200**0.5  # uniform over 32 batches: deviation 9.2
