"""Which split a row belongs to: a versioned keyed hash that no other row can change, or the order of time, or what was given."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from tasks.data.normalise import key_text

VERSION = 1
SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
_KEY = f"tunekeeper split {VERSION}".encode()


def split_position(text: str, group: str | None) -> float:
    """Where in [0, 1) a row falls: by its group where it has one, else by its minimally normalised raw text."""
    key = f"text {key_text(text)}" if group is None else f"group {group}"
    return (int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8, key=_KEY).digest()) >> 12) / 2**52


def by_hash(where: NDArray[np.float64], validation: float, test: float) -> NDArray[np.int8]:
    """Split codes by position: test is [0, test), validation [1 - validation, 1), so a larger fraction only takes from train."""
    return np.where(where < test, TEST, np.where(where >= 1 - validation, VALIDATION, TRAIN)).astype(np.int8)


def by_time(times: NDArray[np.int64], validation: float, test: float) -> NDArray[np.int8]:
    """Split codes by time (microseconds): the newest rows are test, those before them validation; equal times are never parted."""
    ordered = np.sort(times)
    n = len(ordered)
    codes = np.full(n, TRAIN, dtype=np.int8)
    if n == 0:
        return codes
    first_test = ordered[min(n - 1, round(n * (1 - test)))]
    first_validation = ordered[min(n - 1, round(n * (1 - test - validation)))]
    codes[times >= first_validation] = VALIDATION if validation > 0 else TRAIN
    codes[times >= first_test] = TEST
    return codes
