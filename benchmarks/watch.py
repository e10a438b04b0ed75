"""The monitors' long proof: false alarms over champions' lives, what each strength of drift needs to be seen. `python -m benchmarks.watch`"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from simulations.drift_traffic import (
    KINDS,
    OF_CLASSES,
    World,
    against_the_minimum_alone,
    embedded,
    labelled,
    least_p,
    traffic,
    whole,
)
from simulations.drift_worlds import (
    Life,
    Setting,
    in_parts,
    life_of_classes,
    life_of_distances,
    life_of_numbers,
    life_of_shares,
    spent,
    unaware_life,
)
from simulations.trials import most_allowed

from benchmarks.banking import Banking, absent, banking
from configs.schema import Effects, Monitor
from tasks.drift.monitors import Sample, run_monitors

SEED = 20240701
LIVES, LOOKS, WATCHED, REPEATED = 2000, 26, 200, 60
REFERENCES, WINDOWS = (600, 5000), (100, 1000, 10_000, 100_000)
TRIALS, STRENGTHS = 8, (0.1, 0.2, 0.4, 0.6)
AUDIT = 0.02  # of the rows are labelled, as by default
SEEN_BY = ((600, 100), (600, 500), (600, 2000), (5000, 2000))  # rows of the reference, of the window
FAVOURED = 5  # intents that a shift of labels brings forward

Row = tuple[object, ...]


def table(header: Row, rows: list[Row]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


# --- lives -----------------------------------------------------------------------------------------------------------


def levels(settings: Monitor) -> np.ndarray:
    """What a monitor may spend at a look, were it alone and all of alpha its own, and as one of the twelve."""
    return np.array([spent(settings) * len(OF_CLASSES), spent(settings)])


def limits(settings: Monitor, lives: int) -> list[int]:
    return [most_allowed(settings.alpha / share, lives) for share in (1, len(OF_CLASSES))]


def held(settings: Monitor, lives: int, *counts: Sequence[int]) -> str:
    """Whether counts at both levels are within their limits."""
    every = all(count <= limit for pair in counts for count, limit in zip(pair, limits(settings, lives), strict=True))
    return "yes" if every else "**no**"


def pair(counts: Sequence[int]) -> str:
    return " / ".join(str(count) for count in counts)


def life_rows(settings: Monitor) -> list[Row]:
    """Lives with a false alarm of one monitor, at both levels."""
    effects, rows = settings.effects, []
    kinds: dict[str, Life] = {
        "a share of 30 %": partial(life_of_shares, share=0.3, least=effects.share),
        "a share of 1 %": partial(life_of_shares, share=0.01, least=effects.share),
        "accuracy of 90 %": partial(life_of_shares, share=0.1, least=effects.accuracy, sides=1),
        "ten classes": partial(life_of_classes, least=effects.share),
        "lengths, lognormal": partial(life_of_numbers, least=effects.number),
        "embeddings": partial(life_of_distances, least=effects.embedding),
    }
    for name, life in kinds.items():
        for n_reference in REFERENCES:
            for n_window in WINDOWS:
                settled = (Setting(n_reference, n_window, change) for change in (0.0, 1.0))
                counts = [in_parts(life, LIVES, at, levels(settings), SEED) for at in settled]
                rows.append((name, f"{n_reference:,}", f"{n_window:,}", *map(pair, counts), held(settings, LIVES, *counts)))
    return rows


def unaware_rows(settings: Monitor) -> list[Row]:
    rows = []
    for n_reference in REFERENCES:
        at = (Setting(n_reference, n_window, 0.0) for n_window in WINDOWS)
        life = partial(unaware_life, share=0.3)
        shares = [in_parts(life, LIVES, each, levels(settings)[:1], SEED)[0] / LIVES for each in at]
        rows.append((f"{n_reference:,}", *(f"{share:.1%}" for share in shares)))
    return rows


def monitor_rows() -> list[Row]:
    """The monitors whose arithmetic is nowhere but in the product, each by `watch`."""
    far = Effects(embedding=0.3)
    cases = (
        (
            ("inputs.language", "inputs.duplicates", "predictions.classes", "predictions.calibration", "performance.estimate"),
            World(600, 100, 1, 1, 1),
            LIVES,
            labelled,
        ),
        (("inputs.topics",), World(200, 100, 1, kernel=True), WATCHED, embedded),
        (("inputs.topics",), World(200, 100, 1, kernel=True, effects=far), WATCHED, embedded),
    )
    settings, rows = Monitor(looks_per_year=LOOKS), []
    for names, at, lives, read in cases:
        with against_the_minimum_alone():
            worlds = (replace(at, change=0, harder=0, other=0), at)
            least = [np.array([least_p(SEED, life, LOOKS, world, read)[0] for life in range(lives)]) for world in worlds]
        for name in names:
            counts = [[int(np.sum(p[:, OF_CLASSES.index(name)] <= level)) for level in levels(settings)] for p in least]
            said = f"{name} (minimum {at.effects.embedding:g})" if name == "inputs.topics" else name
            cells = (said, at.n_reference, at.n_window, f"{lives:,}", *map(pair, counts))
            rows.append((*cells, pair(limits(settings, lives)), held(settings, lives, *counts)))
    return rows


def watched_rows() -> list[Row]:
    """Lives of all twelve monitors together, as they are."""
    settings = Monitor(looks_per_year=LOOKS)
    worlds = {"none": World(200, 100), "the minimum, all but confidence's and its estimate's": World(200, 100, 1, 0, 1)}
    alarmed = {
        ("a tenth repeat", name): sum(least_p(SEED, life, LOOKS, at, whole)[1] for life in range(WATCHED))
        for name, at in worlds.items()
    }
    alarmed |= {(kind, "none"): sum(repeated_life(kind, settings, life) for life in range(REPEATED)) for kind in KINDS[1:]}
    rows = []
    for (kind, change), count in alarmed.items():
        lives = REPEATED if kind in KINDS else WATCHED
        limit = most_allowed(settings.alpha, lives)
        rows.append((kind, change, f"{count} of {lives}", limit, "yes" if count <= limit else "**no**"))
    return rows


def repeated_life(kind: str, settings: Monitor, life: int) -> bool:
    """Whether a life of texts that are sent often holds an alarm."""
    reference = traffic(SEED + life, 200, kind)
    looks = ((look, traffic(SEED + 1000 * (life + 1) + look, 100, kind)) for look in range(1, LOOKS + 1))
    return any(finding.alarm for look, window in looks for finding in run_monitors(reference, window, settings, look, look))


# --- what is seen ----------------------------------------------------------------------------------------------------


def drifted(world: Banking, rng: np.random.Generator, kind: str, strength: float, n: int) -> Sample:
    """A window of n rows of which a share is drifted; `answers`: all audited, and the champion is wrong on that share."""
    moved = round(strength * n)
    usual = rng.choice(world.pool, n - moved, replace=False)
    if kind == "labels":
        favoured = rng.choice(np.unique(world.all.intent[world.pool]), FAVOURED, replace=False)
        among = np.setdiff1d(world.pool[np.isin(world.all.intent[world.pool], favoured)], usual)
    elif kind == "answers":
        among = np.setdiff1d(world.pool, usual)
    else:
        among = world.drifted[kind]
    other = rng.choice(among, moved, replace=moved > len(among))
    rows = np.concatenate([usual, other])
    if kind != "answers":
        return world.all.sample(rows, audited=rng.random(n) < AUDIT)
    sample = world.all.sample(rows)
    return replace(sample, correct=np.where(np.arange(n) < n - moved, world.all.correct[rows], 0.0))


def curve(world: Banking, kind: str, settings: Monitor) -> list[Row]:
    rows = []
    for strength in STRENGTHS:
        cells, effect = [], 0.0
        for n_reference, n_window in SEEN_BY:
            rng, by, found = np.random.default_rng((SEED, n_reference, n_window)), Counter[str](), 0
            for trial in range(TRIALS):
                reference = world.all.sample(rng.choice(world.reference, n_reference, replace=False))
                findings = run_monitors(reference, drifted(world, rng, kind, strength, n_window), settings, 1, trial)
                alarms = [finding.monitor.partition(".")[2] for finding in findings if finding.alarm]
                alarms = [
                    name for name in alarms if name != "duplicates"
                ]  # the pools of drifted texts are small, and give some twice
                by.update(alarms)
                found += bool(alarms)
                effect = findings[0].effect
            names = ", ".join(name for name, count in by.most_common() if 2 * count >= TRIALS)
            cells.append(f"{found / TRIALS:.0%}" + (f" ({names})" if names else ""))
        rows.append((kind, f"{strength:.0%}", f"{effect:.2f}", *cells))
    return rows


def quiet(world: Banking, settings: Monitor) -> tuple[int, int]:
    """Looks at windows of the pool without any drift, as they are and with every text told five times, and those that alarmed."""
    rng, alarmed, looks = np.random.default_rng(SEED), 0, 0
    for n_reference, n_window in SEEN_BY:
        for trial in range(TRIALS):
            reference = world.all.sample(rng.choice(world.reference, n_reference, replace=False))
            rows = rng.choice(world.pool, n_window, replace=False)
            for chosen in (rows, np.repeat(rows[: n_window // 5], 5)):
                findings = run_monitors(reference, world.all.sample(chosen), settings, 1, trial)
                alarmed += any(finding.alarm for finding in findings if finding.monitor != "inputs.duplicates")
                looks += 1
    return alarmed, looks


def times() -> list[Row]:
    reference, rows = traffic(1, 5000, axes=384), []
    for n_window in WINDOWS:
        window = traffic(2, n_window, axes=384)
        start = time.process_time()
        run_monitors(reference, window, Monitor(max_rows=WINDOWS[-1]), 1, 0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        rows.append((f"{n_window:,}", f"{time.process_time() - start:.2f}", f"{peak:.1f}"))
    return rows


# --- the section -----------------------------------------------------------------------------------------------------


def section() -> str:
    """The whole proof as Markdown."""
    start, settings = time.process_time(), Monitor()
    parts = [
        "## The monitors\n",
        f"Seed {SEED}. alpha {settings.alpha:g} a champion and year over {settings.looks_per_year} looks and {len(OF_CLASSES)} monitors: a test may "
        f"spend {spent(settings):.2g}. Limits are the 99.9 % quantile of what chance allows a test that holds its alpha. Lives with an alarm are given "
        "twice: were this the only monitor and alpha all its own / as one of the twelve. *At the minimum*: the true change is all year just the largest that "
        "is no drift.\n",
        "### False alarms over lives with one fixed reference\n",
        f"{LIVES:,} lives of 365 daily looks at the last seven days, of what the monitors read of the rows (counts; counts, means and variances by fold), "
        "judged as they judge it, which the tests check against them, but for one half of each test that can only silence (whether anything differs at "
        f"all). At most {pair(limits(settings, LIVES))} hold.\n",
        table(("monitor of", "reference", "rows a week", "no change", "at the minimum", "holds"), life_rows(settings)),
        "For comparison, a share of 30 % that never changes, under a test of plain equality that takes the reference for the truth (the same alpha): "
        "lives with a false alarm, by rows a week.\n",
        table(("reference", *(f"{n:,}" for n in WINDOWS)), unaware_rows(settings)),
        f"### By `watch` itself: lives of {LOOKS} looks, each at rows of its own\n",
        "The monitors that are not above, by the product's own code; that one half of each test left out here too.\n",
        table(("monitor", "reference", "rows", "lives", "no change", "at the minimum", "limits", "holds"), monitor_rows()),
        "All twelve together, as they are: a reference of 200 rows, windows of 100; lives in which any monitor alarmed at any look.\n",
        table(("texts", "change", "lives with an alarm", "limit", "holds"), watched_rows()),
        "### Time\n",
        "All twelve monitors, 384 dimensions, a reference of 5,000, on one core: the process's seconds, and the most memory it has held so far.\n",
        table(("rows of the window", "cpu-s", "GB"), times()),
        *_real(settings),
        f"Took {time.process_time() - start:.0f} cpu-s.\n",
    ]
    return "\n".join(parts)


def _real(settings: Monitor) -> list[str]:
    if why := absent():
        return ["### What is seen\n", f"Not measured: {why}.\n"]
    world = banking()
    alarmed, looks = quiet(world, settings)
    rows = [row for kind in ("topic", "language", "typo", "length", "labels", "answers") for row in curve(world, kind, settings)]
    header = ("drift", "of the rows", "topics' effect", *(f"{n:,} against {reference:,}" for reference, n in SEEN_BY))
    return [
        "### What is seen, on banking77's questions\n",
        f"Windows of real questions of which a share is: of twelve intents that the reference has none of (topic), German (language; 160 "
        f"texts), mistyped in one letter of twelve (typo), three questions in one (length), of {FAVOURED} of the 65 intents (labels), answered "
        f"wrongly and all audited (answers; elsewhere {AUDIT:.0%} are). {TRIALS} windows each; share in which any monitor alarmed, and those that did in half of them or "
        f"more, at the alpha of one of {settings.looks_per_year} looks.\n",
        table(header, rows),
        f"Without drift, as they are or with a fifth of the texts each told five times: {alarmed} of {looks} looks alarmed (but for the monitor of "
        f"duplicates, whose subject that is){'' if alarmed == 0 else ' **no**'}.\n",
    ]


def main() -> None:
    print(section())


if __name__ == "__main__":
    main()
