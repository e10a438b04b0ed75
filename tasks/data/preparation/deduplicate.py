"""Exact and near duplicates over all rows at once, by MinHash signatures of 128 bytes a row.

A text's shingles are its words and pairs of words (case folded; each ideograph a word). rensa sketches them; of every slot the low
byte is kept: two slots agree by chance with 1/256, which the estimate takes out again. Its standard error at 0.85 is 0.032.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data.text_parts import split_parts

VERSION = 1
SLOTS = 128
_SEED = 20_240_229
_CHANCE = 1 / 256
_NEIGHBOURS = (
    16  # rows of one bucket that each row is compared with, beside the bucket's first: bounds the work on masses of like texts
)
_FOUND_AT_LEAST = 0.995  # of the pairs whose Jaccard is exactly the threshold
UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f"  # kana, ideographs, Thai
_WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")

Signatures = NDArray[np.uint8]  # [rows, SLOTS]


def shingle_words(text: str) -> list[str]:
    """The words of a text, case folded; of scripts without spaces each character."""
    return _WORD.findall(text.casefold())


def compared_words(text: str) -> list[str]:
    """The words that near copies are told by: of two texts the shorter's so often, each time as others, that both weigh alike.

    Else all questions on one long document would be near copies of one another.
    """
    parts = [shingle_words(part) for part in split_parts(text)]
    sizes = [len(part) for part in parts]
    shorter = min(parts, key=len)
    times = max(1, round(max(sizes) / max(1, min(sizes))))
    return [f"{number} {word}" for number in range(1, times) for word in shorter] + [word for part in parts for word in part]


def minhash_signatures(texts: Sequence[str]) -> Signatures:
    """MinHash signatures of texts, one row each; a text without words is its own single shingle."""
    return signatures_of_words([shingle_words(text) or [text] for text in texts])


def signatures_of_words(tokens: Sequence[list[str]]) -> Signatures:
    """As `minhash_signatures`, of texts that are already words (none empty)."""
    from rensa import RMinHash

    shingles = [row + [f"{a} {b}" for a, b in pairwise(row)] for row in tokens]
    digests = RMinHash.digest_matrix_from_token_sets(shingles, SLOTS, _SEED).to_rows()
    return np.array(digests, dtype=np.uint32).reshape(len(shingles), SLOTS).astype(np.uint8)


def blank_signatures(path: Path, rows: int) -> np.memmap[tuple[int, int], np.dtype[np.uint8]]:
    """A mapped file for the signatures of so many rows; its space is taken at once, so a full disk is an OSError, not a crash."""
    table = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(rows, SLOTS))
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return table


def text_keys(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Two 64-bit words per text, equal for equal texts and (but for odds of 1e-27 at 1e6 rows) for no others."""
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts)
    return np.frombuffer(digests, dtype=np.uint64).reshape(len(texts), 2)


def estimated_jaccard(a: Signatures, b: Signatures) -> NDArray[np.float64]:
    """Estimated Jaccard similarity of rows of `a` with the same rows of `b`."""
    agreeing = (a == b).mean(axis=1)
    return np.asarray((agreeing - _CHANCE) / (1 - _CHANCE))


def slots_per_band(threshold: float) -> int:
    """Slots per band: the most that find 99.5 % of the pairs at the threshold, since more slots mean fewer idle comparisons."""
    fitting = [r for r in range(1, 17) if 1 - (1 - threshold**r) ** (SLOTS // r) >= _FOUND_AT_LEAST]
    return max(fitting, default=1)


def near_pairs(table: Signatures, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs i < j of rows with an estimated Jaccard of at least the threshold, by locality-sensitive hashing; sorted by j, i."""
    codes: list[NDArray[np.int64]] = []
    n = len(table)
    width = slots_per_band(threshold)
    for band in range(SLOTS // width):
        bucket = _bucket_keys(table[:, band * width : (band + 1) * width])
        order = np.argsort(bucket, kind="stable")
        codes.append(_bucket_pairs(table, bucket[order], order, threshold))
        if len(codes) > 7:
            codes = [np.unique(np.concatenate(codes))]
    pairs = np.unique(np.concatenate(codes)) if codes else np.empty(0, dtype=np.int64)
    return pairs % max(n, 1), pairs // max(n, 1)


def has_near_copy(signatures_a: Signatures, signatures_b: Signatures, threshold: float) -> NDArray[np.bool_]:
    """Which rows of b have a near or exact duplicate among the rows of a (estimated Jaccard at least `threshold`)."""
    mask = np.zeros(len(signatures_b), dtype=bool)
    if not len(signatures_a) or not len(signatures_b):
        return mask
    width = slots_per_band(threshold)
    for band in range(SLOTS // width):
        part = slice(band * width, (band + 1) * width)
        a, b = _bucket_keys(signatures_a[:, part]), _bucket_keys(signatures_b[:, part])
        order = np.argsort(a, kind="stable")
        ordered = a[order]
        first, last = np.searchsorted(ordered, b, "left"), np.searchsorted(ordered, b, "right")
        open_rows = np.flatnonzero(~mask & (last > first))
        for step in range(_NEIGHBOURS):
            open_rows = open_rows[first[open_rows] + step < last[open_rows]]
            if not len(open_rows):
                break
            like = estimated_jaccard(signatures_a[order[first[open_rows] + step]], signatures_b[open_rows]) >= threshold
            mask[open_rows[like]] = True
            open_rows = open_rows[~like]
    return mask


def first_of_each(*columns: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For every row the index of the first row that equals it in all columns."""
    order = np.lexsort((np.arange(len(columns[0])), *columns))
    new = np.ones(len(order), dtype=bool)
    if len(order):
        new[1:] = np.any([column[order][1:] != column[order][:-1] for column in columns], axis=0)
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[new][np.cumsum(new) - 1]
    return first


def rows_to_drop(i: NDArray[np.int64], j: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    """Rows to drop so that of every near pair (i < j, sorted by j) the later goes if the earlier stays."""
    drop = np.zeros(n, dtype=bool)
    for first, later in zip(i.tolist(), j.tolist(), strict=True):
        if not drop[first]:
            drop[later] = True
    return drop


def _bucket_keys(band: Signatures) -> NDArray[np.uint64]:
    """One 64-bit word per row: a polynomial hash of the band's bytes."""
    key = np.zeros(len(band), dtype=np.uint64)
    for slot in range(band.shape[1]):
        key = (key ^ band[:, slot]) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key


def _bucket_pairs(table: Signatures, bucket: NDArray[np.uint64], order: NDArray[np.int64], threshold: float) -> NDArray[np.int64]:
    """Near pairs within buckets, coded as j * n + i; each row meets its bucket's first row and the rows close before it."""
    n = len(table)
    start = np.maximum.accumulate(np.where(np.r_[True, bucket[1:] != bucket[:-1]], np.arange(n), 0))
    codes = []
    rows = np.flatnonzero(np.arange(n) > start)
    for step in range(_NEIGHBOURS + 1):
        if step == 0:
            later, earlier = rows, start[rows]
        else:
            rows = rows[rows - step > start[rows]]
            later, earlier = rows, rows - step
        if not len(later):
            break
        for at in range(0, len(later), 1 << 18):
            a, b = order[earlier[at : at + (1 << 18)]], order[later[at : at + (1 << 18)]]
            like = estimated_jaccard(table[a], table[b]) >= threshold
            codes.append(b[like] * n + a[like])
    return np.concatenate(codes) if codes else np.empty(0, dtype=np.int64)
