"""Near duplicates by MinHash."""

import random
from itertools import pairwise

import numpy as np
import pytest

from tasks.data.preparation.deduplicate import (
    SLOTS,
    estimated_jaccard,
    first_of_each,
    has_near_copy,
    minhash_signatures,
    near_pairs,
    rows_to_drop,
    shingle_words,
    slots_per_band,
    text_keys,
)


def shingles(text):
    row = shingle_words(text)
    return set(row) | {f"{a} {b}" for a, b in pairwise(row)}


def exact(a, b):
    return len(shingles(a) & shingles(b)) / len(shingles(a) | shingles(b))


def texts(n, seed=0, length=40):
    rng = random.Random(seed)
    return [" ".join(f"w{rng.randrange(5000)}" for _ in range(length)) for _ in range(n)]


def changed(text, times, seed):
    rng, row = random.Random(seed), text.split()
    for _ in range(times):
        row[rng.randrange(len(row))] = f"x{rng.randrange(10**6)}"
    return " ".join(row)


def test_words_are_folded_and_ideographs_stand_alone():
    assert shingle_words("Straße 12, don't_go") == ["strasse", "12", "don", "t", "go"]
    assert shingle_words("银行卡 lost") == ["银", "行", "卡", "lost"]


def test_the_estimate_is_the_jaccard_similarity_within_its_error():
    originals = texts(400)
    others = [changed(t, i % 12, i) for i, t in enumerate(originals)]
    truth = np.array([exact(a, b) for a, b in zip(originals, others, strict=True)])
    error = estimated_jaccard(minhash_signatures(originals), minhash_signatures(others)) - truth
    # 128 slots: standard error at most sqrt(0.25 / 128) = 0.044; the mean of 400 has 0.0022; five of each are allowed
    assert np.abs(error).max() < 5 * 0.044 and abs(error.mean()) < 5 * 0.0022


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.85, 0.95])
def test_the_bands_find_nearly_all_pairs_at_the_threshold(threshold):
    width = slots_per_band(threshold)
    assert 1 - (1 - threshold**width) ** (SLOTS // width) >= 0.995


def test_near_pairs_are_what_comparing_all_pairs_finds():
    rows = texts(60) + [changed(t, 1, i) for i, t in enumerate(texts(60))] + texts(5)
    table = minhash_signatures(rows)
    like = np.array([estimated_jaccard(np.repeat(table[i : i + 1], len(rows), 0), table) for i in range(len(rows))])
    expected = {(i, j) for i in range(len(rows)) for j in range(i + 1, len(rows)) if like[i, j] >= 0.85}
    i, j = near_pairs(table, 0.85)
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == expected and len(expected) > 50
    assert (np.diff(j) >= 0).all()


def test_near_says_which_rows_have_a_neighbour():
    train = minhash_signatures(texts(50))
    test = minhash_signatures([changed(texts(50)[3], 1, 1), texts(50)[7], texts(1, seed=9)[0]])
    assert has_near_copy(train, test, 0.85).tolist() == [True, True, False]
    assert has_near_copy(train[:0], test, 0.85).tolist() == [False] * 3 and len(has_near_copy(train, test[:0], 0.85)) == 0


def test_a_mass_of_like_texts_costs_bounded_work_and_leaves_one():
    rows = [f"{texts(1)[0]} w{i}" for i in range(3000)]
    table = minhash_signatures(rows)
    i, j = near_pairs(table, 0.8)
    gone = rows_to_drop(i, j, len(rows))
    assert not gone[0] and (~gone).sum() <= 5 and len(i) < 3000 * 17 * SLOTS // slots_per_band(0.8)


def test_of_a_chain_the_first_stays_and_what_is_near_a_dropped_row_only_stays_too():
    assert rows_to_drop(np.array([0, 1]), np.array([1, 2]), 4).tolist() == [False, True, False, False]


def test_the_first_of_equal_rows_is_found():
    a = np.array([3, 1, 3, 3, 1], dtype=np.uint64)
    assert first_of_each(a).tolist() == [0, 1, 0, 0, 1]
    assert first_of_each(a, np.array([0, 0, 1, 0, 0], dtype=np.uint64)).tolist() == [0, 1, 2, 0, 1]
    assert (text_keys(["x", "y", "x"])[0] == text_keys(["x"])[0]).all()


def test_a_text_without_words_has_a_signature_of_its_own():
    assert estimated_jaccard(minhash_signatures(["?!", "..."]), minhash_signatures(["?!", "?!"])).round(1).tolist() == [1.0, 0.0]
