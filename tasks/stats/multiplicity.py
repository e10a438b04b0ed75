"""How alpha is spent over a year's looks and over several hypotheses, so that frequent tests do not win by luck."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESERVE = 0.1  # share of alpha kept for looks beyond the declared number


def first_release_alpha(alpha: float, looks_per_year: int, look: int) -> float:
    """What a decision without a champion may spend at that look: `alpha` at the first, `alpha / look**2` after, a share at least.

    A first release replaces no model, so a wrong one costs less than one that is missing; but a pipeline that tries every week must
    not release noise in the end. However often it is tried in a year, at most 1.65 alpha (1 + 1/4 + 1/9 + ...) is spent beside
    the year's shares.
    """
    return max(alpha / look**2, alpha_at_look(alpha, looks_per_year, look))


def alpha_at_look(alpha: float, looks_per_year: int, look: int) -> float:
    """What decision number `look` (from 1) of a year may spend: summed over however many looks, never more than `alpha`.

    The declared looks get an equal share each of nine tenths of alpha (Bonferroni); looks beyond them share the last tenth, each
    L / (L + 9) of the one before, so ever more frequent looks gain nothing.

    `look` counts a pipeline's decisions of the last 52 weeks, under whatever champion (decisions.py). The i-th decision within
    any 52 weeks then has a look of at least i, and no look may spend more than an earlier one: so in any 52 weeks the shares spent
    add up to at most alpha, which bounds the *expected number* of wrong promotions by alpha, whatever the dependence between looks
    and however often the champion changes. Counted anew for each champion, 208 looks a year with a new champion each quarter would
    spend 0.18 for an alpha of 0.05.

    Why equal, and not more to the early looks, as the spending functions of clinical trials have it (Lan and DeMets 1983)? So that
    a shift in autumn is found as surely as one in spring.
    The price is power: at 52 looks of alpha 0.05 a gain needs 2.5 times the rows that a single look at 0.05 would need; at 12
    looks, twice; at 4, 1.6 times.
    """
    share = (1 - RESERVE) * alpha / looks_per_year
    overtime = max(0, look - looks_per_year)
    tail = RESERVE * looks_per_year / (1 - RESERVE)
    return float(share * (tail / (1 + tail)) ** overtime) if overtime else share


def holm(p_values: Sequence[float], alpha: float) -> tuple[list[float], list[bool]]:
    """Holm's (1979) level for each p-value, and whether it is rejected; the chance of any false rejection is at most `alpha`."""
    order = np.argsort(p_values, kind="stable")
    levels, rejected, going = [0.0] * len(order), [False] * len(order), True
    for rank, index in enumerate(order):
        levels[index] = alpha / (len(order) - rank)
        going = going and p_values[index] <= levels[index]
        rejected[index] = going
    return levels, rejected
