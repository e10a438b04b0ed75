"""How many rows a gain needs to be seen, and how small a gain the rows at hand can show."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, sqrt

import numpy as np
from scipy import special

from tasks.stats.arrays import Floats
from tasks.stats.sign_flip import binomial_tail
from tasks.stats.tango import tango_z

MOST_ROWS = 10**9
GRID = 65  # numbers of discordant rows that power is worked out at


def power_better(n: float, difference: float, discordance: float, alpha: float) -> float:
    """Power of the exact one-sided McNemar test on n rows, at P(win) - P(loss) = difference and P(win) + P(loss) = discordance.

    Summed over the number of discordant rows (over a grid of them where they are many), so that what the discreteness of the test
    costs is counted.
    """
    if n < 1:
        return 0.0
    n, discordance = floor(n), min(1 - 1e-12, max(discordance, difference, 1e-12))
    centre, reach = n * discordance, 6 * sqrt(n * discordance * (1 - discordance)) + 6
    m = np.unique(np.rint(np.linspace(max(0, centre - reach), min(n, centre + reach), GRID)))
    log_weight = special.xlogy(m, discordance) + special.xlog1py(n - m, -discordance) - special.betaln(m + 1, n - m + 1)
    weight = np.exp(log_weight - log_weight.max())
    needed = _critical_wins(m, alpha)
    win = min(1.0, (1 + difference / discordance) / 2)
    reached = np.where(needed <= m, binomial_tail(needed, m, win), 0.0)
    return float(np.sum(weight * reached) / np.sum(weight))


def _critical_wins(m: Floats, alpha: float) -> Floats:
    """Fewest wins of m discordant rows at which McNemar's exact p is at most alpha, m + 1 where none is: near the normal guess."""
    guess = np.rint(m / 2 + float(special.ndtri(1 - alpha)) * np.sqrt(m) / 2)
    low, high = np.clip(guess - 8, 1, m + 1), np.clip(guess + 8, 1, m + 1)
    for _ in range(5):
        middle = np.floor((low + high) / 2)
        reached = (middle <= m) & (binomial_tail(middle, m, 0.5) <= alpha)
        low, high = np.where(reached, low, np.minimum(middle + 1, high)), np.where(reached, middle, high)
    return np.asarray(high, dtype=np.float64)


def power_not_worse(n: float, difference: float, discordance: float, margin: float, alpha: float) -> float:
    """Power of Tango's test at the margin, by the normal approximation.

    The variance under the hypothesis sets the bar, with Student's t of n - 1 degrees of freedom; the true one sets the chance.
    """
    discordance = min(1.0, max(discordance, abs(difference), 1e-9))
    wins, losses = (discordance + difference) / 2, (discordance - difference) / 2
    shift = difference + margin
    null_deviation = shift / float(tango_z(wins, losses, 1.0, -margin))
    deviation = sqrt(max(discordance - difference**2, 1e-12))
    bar = float(special.stdtrit(max(n - 1, 1.0), 1 - alpha))
    return float(special.ndtr((sqrt(n) * shift - bar * null_deviation) / deviation))


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
    """Smallest difference with power_at(difference) >= power, to a 1000th of itself; None where even `most` is not found."""
    low, high = 0.0, most
    if power_at(high) < power:
        return None
    while high - low > max(1e-3 * high, 1e-6 * most):
        middle = (low + high) / 2
        low, high = (low, middle) if power_at(middle) >= power else (middle, high)
    return high
