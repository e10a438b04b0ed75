"""How many rows a gain needs to be seen, and how small a gain the rows at hand can show."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, sqrt

import numpy as np
from scipy import special

from tasks.judgement.paired import tango_z

MOST_ROWS = 10**9


def power_better(n: float, difference: float, discordance: float, alpha: float) -> float:
    """Power of the exact one-sided McNemar test on n rows, at P(win) - P(loss) = difference and P(win) + P(loss) = discordance.

    Summed over the number of discordant rows, so that the discreteness of the test, which costs power, is in it.
    """
    discordance = min(1.0, max(discordance, difference))
    centre, reach = n * discordance, 9 * sqrt(n * discordance * (1 - discordance)) + 9
    m = np.unique(np.rint(np.linspace(max(0, centre - reach), min(n, centre + reach), 2001)))
    weight = np.exp(special.xlogy(m, discordance) + special.xlog1py(n - m, -discordance) - special.betaln(m + 1, n - m + 1))
    needed = _critical_wins(m, alpha)
    win = (1 + difference / discordance) / 2
    reached = np.where(needed <= m, special.bdtrc(needed - 1, np.maximum(m, needed), win), 0.0)
    return float(np.sum(weight * reached) / np.sum(weight))


def _critical_wins(m: np.ndarray[tuple[int, ...], np.dtype[np.float64]], alpha: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Fewest wins of m discordant rows at which McNemar's exact p is at most alpha; m + 1 where none is."""
    low, high = np.zeros_like(m), m + 1
    for _ in range(int(np.log2(m.max() + 2)) + 2):
        middle = np.floor((low + high) / 2)
        reached = (middle > 0) & (special.bdtrc(np.maximum(middle, 1) - 1, np.maximum(m, 1), 0.5) <= alpha)
        low, high = np.where(reached, low, np.minimum(middle + 1, high)), np.where(reached, middle, high)
    return high


def power_not_worse(n: float, difference: float, discordance: float, margin: float, alpha: float) -> float:
    """Asymptotic power of Tango's test at the margin: the variance under the hypothesis sets the bar, the true one the chance."""
    discordance = min(1.0, max(discordance, abs(difference), 1e-9))
    wins, losses = (discordance + difference) / 2, (discordance - difference) / 2
    shift = difference + margin
    null_deviation = shift / float(tango_z(wins, losses, 1.0, -margin))
    deviation = sqrt(max(discordance - difference**2, 1e-12))
    return float(special.ndtr((sqrt(n) * shift - float(special.ndtri(1 - alpha)) * null_deviation) / deviation))


def power_of_mean(n: float, difference: float, deviation: float, alpha: float) -> float:
    """Power of a one-sided test that a mean difference of real scores with this standard deviation is above zero."""
    return float(special.ndtr(sqrt(n) * difference / max(deviation, 1e-12) - float(special.ndtri(1 - alpha))))


def rows_needed(power_at: Callable[[float], float], power: float) -> int | None:
    """Fewest rows n with power_at(n) >= power, to within 0.1 %; None beyond a thousand million."""
    high = 16.0
    while power_at(high) < power:
        high *= 2
        if high > MOST_ROWS:
            return None
    low = high / 2
    while high - low > max(1.0, high / 1000):
        middle = (low + high) / 2
        low, high = (low, middle) if power_at(middle) >= power else (middle, high)
    return ceil(high)


def min_detectable(power_at: Callable[[float], float], power: float, most: float = 1.0) -> float | None:
    """Smallest difference with power_at(difference) >= power, to 1e-4 of `most`; None where even `most` is not found."""
    low, high = 0.0, most
    if power_at(high) < power:
        return None
    while high - low > 1e-4 * most:
        middle = (low + high) / 2
        low, high = (low, middle) if power_at(middle) >= power else (middle, high)
    return high
