"""The arrays that all tests here take: numbers, and rows numbered by their group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def effective_size(sizes: Floats) -> float:
    """How many groups of equal size tell as much as groups of these sizes, (sum m)^2 / sum m^2, where a group's rows are all alike.

    Kish (1965), 'Survey Sampling'. One customer of 300 rows beside 120 single rows counts as 2: it alone decides most of the mean.
    """
    return float(sizes.sum() ** 2 / np.sum(sizes**2)) if len(sizes) else 0.0


def group_codes(groups: Sequence[object] | NDArray[np.generic] | None, n: int) -> Codes:
    """Number the groups; a row whose group is null is a group of its own, as is every row when there are no groups at all."""
    if groups is None:
        return np.arange(n)
    values: NDArray[Any] = groups if isinstance(groups, np.ndarray) else np.asarray(groups, dtype=object)  # nan is no text
    if values.dtype.kind in "iub":
        return np.unique(values, return_inverse=True)[1].astype(np.int64)
    null = np.array([value is None or value != value for value in values.tolist()], dtype=bool)
    codes = np.empty(n, dtype=np.int64)
    known = np.unique(values[~null].astype(str), return_inverse=True)[1]
    codes[~null] = known
    codes[null] = (known.max() + 1 if known.size else 0) + np.arange(null.sum())
    return codes
