"""Ugly truths for the gate: a few groups that hold most rows, and skewed real scores; false alarms and power, before and now."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
from scipy import special, stats

from tasks.stats.bounds import betting_p
from tasks.stats.paired import better_p, gain_bound_p, not_worse_p
from tasks.stats.pairs import Pairs, pair_scores
from tasks.stats.sign_flip import sign_flip, sign_flip_exact
from tasks.stats.tango import tango_z

LOOK = 0.9 * 0.05 / 52
LIMIT = 5.0
SIZES = (100, 300, 1000, 3000, 10_000)
Floats = np.ndarray
Row = tuple[object, ...]
Drawn = tuple[Floats, Floats, Floats]

GROUPED: Row = ("truth", "rows", "effective", "rule", "trials", "before", "now", "limit", "holds")
GROUPED_POWER: Row = ("groups", "rows", "effective", "rule", "true difference", "found before", "found now")
SKEWED: Row = ("differences of mean 0", "rows", "trials", "sign flips alone", "with the bound", "limit", "holds")
EXACT: Row = ("rows", "worst share of losses", "false alarms there, counted exactly", "allowed", "holds")
SKEWED_POWER: Row = ("deviation", "rows", "true gain", "trials", "sign flips alone", "with the bound")


# --- groups ----------------------------------------------------------------------------------------------------------


def rows_of(wins: Floats, losses: Floats, sizes: Floats) -> Drawn:
    """Right/wrong scores and group codes with so many wins and losses in each group."""
    codes = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    won, lost = place < wins[codes], (place >= wins[codes]) & (place < (wins + losses)[codes])
    return (~lost).astype(float), (~won).astype(float), codes


def drawn(rng: np.random.Generator, sizes: Floats, gain: Floats, moved: float) -> Drawn:
    """Each group has its own true difference; a share `moved` of rows differs, or as much as the difference needs."""
    differing = rng.binomial(sizes, np.maximum(moved, np.abs(gain)))
    wins = rng.binomial(differing, (1 + gain / np.maximum(moved, np.abs(gain))) / 2)
    return rows_of(wins, differing - wins, sizes)


def varying(sizes: Floats, spread: float) -> Callable[[np.random.Generator, float], Drawn]:
    """Groups whose true differences are normal about the mean."""
    return lambda rng, mean: drawn(rng, sizes, np.clip(rng.normal(mean, spread, len(sizes)), -0.9, 0.9), 0.2)


def by_size(sizes: Floats, slope: float) -> Callable[[np.random.Generator, float], Drawn]:
    """Small groups gain and large ones lose, in the logarithm of the size."""
    gain = -np.log(sizes)
    gain = slope * (gain - np.sum(gain * sizes) / sizes.sum())
    return lambda rng, mean: drawn(rng, sizes, gain + mean, 0.15)


def lost_whole(sizes: Floats, share: float, part: float) -> Callable[[np.random.Generator, float], Drawn]:
    """Large groups lose `part` of their rows with probability `share`; single rows gain what makes up for it."""
    large = sizes > 1
    gain = share * part * sizes[large].sum() / (~large).sum()

    def draw(rng: np.random.Generator, mean: float) -> Drawn:
        losing = large & (rng.random(len(sizes)) < share)
        shifted = gain + mean * sizes.sum() / (~large).sum()
        return drawn(rng, sizes, np.where(losing, -part, np.where(large, 0.0, shifted)), 1e-9)

    return draw


def skewed_threes(rng: np.random.Generator, mean: float) -> Drawn:
    """200 groups of 3: 6 % win a row, 2 % lose all three, and a share more of them for a mean below 0."""
    uniform = rng.random(200)
    lost, won = uniform < 0.02 - mean, uniform > 0.94
    return rows_of(1 * won, 3 * lost, np.full(200, 3))


def truths() -> dict[str, Callable[[np.random.Generator, float], Drawn]]:
    zipf = np.minimum(np.random.default_rng(6).zipf(2.2, size=1000), 30)
    tens, thirties = np.array([1] * 400 + [10] * 40), np.array([1] * 1000 + [30] * 10)
    return {
        "one customer of 300 rows, 120 single rows": varying(np.array([300] + [1] * 120), 0.1),
        "5 customers of 100 rows, 95 single rows": varying(np.array([100] * 5 + [1] * 95), 0.1),
        "1,000 groups of Zipf sizes to 30": varying(zipf, 0.2),
        "the same, large groups lose and small ones gain": by_size(zipf, 0.05),
        "200 groups of 3: 6 % win a row, 2 % lose all": skewed_threes,
        "400 single rows gain, 10 % of 40 groups of 10 lose half": lost_whole(tens, 0.1, 0.5),
        "400 single rows gain, 10 % of 40 groups of 10 lose all": lost_whole(tens, 0.1, 1.0),
        "1,000 single rows gain, 30 % of 10 groups of 30 lose all": lost_whole(thirties, 0.3, 1.0),
    }


def p_before(pairs: Pairs, rule: str, margin: float) -> float:
    """What was in use: sign flips alone; Tango's statistic under the normal distribution."""
    if rule == "better":
        return sign_flip_exact(pairs.sums)
    wins, losses, n = (value / pairs.design for value in (pairs.wins, pairs.losses, pairs.n))
    return float(special.ndtr(-tango_z(wins, losses, n, -margin)))


def p_now(pairs: Pairs, rule: str, margin: float) -> float:
    return better_p(pairs, LOOK) if rule == "better" else not_worse_p(pairs, margin, LOOK)


def grouped_false_alarms(seed: int, trials: int, most_allowed: Callable[[float, int], int]) -> list[Row]:
    rng, rows, margin = np.random.default_rng(seed), [], 0.01
    for name, draw in truths().items():
        for rule, mean in (("better", 0.0), ("not_worse", -margin)):
            before = now = 0
            for _ in range(trials):
                pairs = pair_scores(*draw(rng, mean))
                earlier = p_before(pairs, rule, margin) <= LOOK
                before += earlier
                now += earlier and p_now(pairs, rule, margin) <= LOOK  # the test of now is the earlier one and more
            most = most_allowed(LOOK, trials)
            good = "yes" if now <= most else "**no**"
            shares = (f"{before / trials:.3%}", f"{now / trials:.3%}", f"{most / trials:.3%}", good)
            rows.append((name, pairs.n, f"{pairs.n_effective:.0f}", rule, f"{trials:,}", *shares))
    return rows


def grouped_power(seed: int, trials: int) -> list[Row]:
    rng, rows = np.random.default_rng(seed), []
    few = np.minimum(np.random.default_rng(3).zipf(3.2, size=494), 6)
    cases = (
        ("200 of 3", np.full(200, 3), "better", (0.05, 0.07, 0.1)),
        ("494, most of one row, none above 6", few, "better", (0.05, 0.07, 0.1, 0.13)),
        ("300 of 1, 100 of 3, 20 of 10", np.array([1] * 300 + [3] * 100 + [10] * 20), "better", (0.05, 0.1, 0.15)),
        ("2,000 of 1 to 5", np.random.default_rng(4).integers(1, 6, 2000), "not_worse", (0.0, 0.01)),
    )
    for name, sizes, rule, gains in cases:
        for gain in gains:
            found = np.zeros(2)
            for _ in range(trials):
                outcome = rng.choice([1, -1, 0], p=[(0.15 + gain) / 2, (0.15 - gain) / 2, 0.85], size=len(sizes))
                repeated = rng.binomial(sizes, 0.5)  # rows that have their group's outcome
                differing = rng.binomial(sizes - repeated, 0.15)
                won = rng.binomial(differing, (0.15 + gain) / 0.3)
                wins, losses = won + repeated * (outcome > 0), differing - won + repeated * (outcome < 0)
                pairs = pair_scores(*rows_of(wins, losses, sizes))
                found += [p_before(pairs, rule, 0.02) <= LOOK, p_now(pairs, rule, 0.02) <= LOOK]
            shares = (f"{share:.2f}" for share in found / trials)
            rows.append(
                (name, pairs.n, f"{pairs.n_effective:.0f}", rule if rule == "better" else f"{rule}, margin 0.02", gain, *shares)
            )
    return rows


# --- real scores -----------------------------------------------------------------------------------------------------


def rare_losses(rng: np.random.Generator, n: int) -> Floats:
    return np.where(rng.random(n) < 0.02, -4.9, 0.1)


SHAPES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "2 % lose 4.9, the rest gain 0.1": rare_losses,
    "2 % gain 4.9, the rest lose 0.1": lambda rng, n: -rare_losses(rng, n),
    "skewed left (0.3 less an exponential)": lambda rng, n: 0.3 - rng.exponential(0.3, n),
    "skewed right (an exponential less 0.3)": lambda rng, n: rng.exponential(0.3, n) - 0.3,
    "Student's t, 2 degrees of freedom, clipped": lambda rng, n: np.clip(0.5 * rng.standard_t(2, n), -LIMIT, LIMIT),
    "normal, deviation 0.3": lambda rng, n: rng.normal(0, 0.3, n),
}


def in_groups(rng: np.random.Generator, n: int) -> Pairs:
    """Groups of 1 to 5 rows, all of which lose together."""
    sizes = rng.integers(1, 6, size=n // 3)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    return pair_scores(rare_losses(rng, len(sizes))[codes], np.zeros(len(codes)), codes, LIMIT)


def skewed_false_alarms(seed: int, trials: int, most_allowed: Callable[[float, int], int]) -> list[Row]:
    """Trials in proportion to 100 / n, but 300 at least; sign flips alone by their normal limit where they are many."""
    rng, rows = np.random.default_rng(seed), []
    for name, draw in {**SHAPES, "2 % of groups of 1 to 5 lose 4.9 a row": in_groups}.items():
        for n in SIZES:
            repeats, flipped, both = max(300, trials * 100 // n), 0, 0
            for _ in range(repeats):
                values = draw(rng, n)
                pairs = values if isinstance(values, Pairs) else pair_scores(values, np.zeros(n), limit=LIMIT)
                flips = _flips_reject(pairs.sums)
                flipped += flips
                both += flips and gain_bound_p(pairs, 0.0) <= LOOK
            most = most_allowed(LOOK, repeats)
            shares = (f"{flipped / repeats:.3%}", f"{both / repeats:.3%}", f"{most / repeats:.3%}")
            rows.append((name, n, f"{repeats:,}", *shares, "yes" if both <= most else "**no**"))
    return rows


def _flips_reject(sums: Floats) -> bool:
    """Whether sign flips alone reject: sampled where their normal limit is near the bar and the rows are few, else by that limit."""
    z, bar = sums.sum() / sqrt(max(float(np.sum(sums**2)), 1e-12)), float(special.ndtri(1 - LOOK))
    return sign_flip(sums, LOOK) <= LOOK if abs(z - bar) < 0.5 and len(sums) <= 1000 else bool(z > bar)


def exact_false_alarms() -> list[Row]:
    """For two-valued differences of mean 0 the number of losses is binomial: what the bound lets pass is counted, not simulated."""
    rows = []
    for n in SIZES:
        levels = {(share, loss): _exact(n, share, loss) for share in np.geomspace(0.1 / n, 0.5, 25) for loss in (1.0, 4.9, LIMIT)}
        (share, loss), worst = max(levels.items(), key=lambda item: item[1])
        rows.append((n, f"{share:.3g} lose {loss:g}", f"{worst:.4%}", f"{LOOK:.4%}", "yes" if worst <= LOOK else "**no**"))
    return rows


def _exact(n: int, share: float, loss: float) -> float:
    gain = share * loss / (1 - share)
    rejected, accepted = -1, n
    while accepted - rejected > 1:
        middle = (rejected + accepted) // 2
        rejects = betting_p(np.where(np.arange(n) < middle, -loss, gain), np.full(n, LIMIT)) <= LOOK
        rejected, accepted = (middle, accepted) if rejects else (rejected, middle)
    return float(stats.binom.cdf(rejected, n, share))


def skewed_power(seed: int, trials: int) -> list[Row]:
    rng, rows = np.random.default_rng(seed), []
    for deviation in (0.1, 0.3, 1.0):
        for n in SIZES:
            for errors in (4, 6, 10):
                gain = errors * deviation / sqrt(n)
                found = np.zeros(2)
                for _ in range(trials):
                    pairs = pair_scores(rng.normal(gain, deviation, n), np.zeros(n), limit=LIMIT)
                    flips = _flips_reject(pairs.sums)
                    found += [flips, flips and betting_p(pairs.sums, LIMIT * pairs.sizes) <= LOOK]
                rows.append((deviation, n, f"{gain:.4f} ({errors} standard errors)", trials, *(f"{x:.2f}" for x in found / trials)))
    return rows
