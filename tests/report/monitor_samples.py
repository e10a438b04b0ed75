"""Looks as the monitors would write them, at the sizes that a page must stand: numbers invented, seeded, consistent."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

from report_parts import interval
from run_samples import HELPDESK, banking

from tasks.report.monitor.data import (
    ChangeRow,
    Example,
    FeedbackCounts,
    FindingRow,
    GrowthRow,
    Level,
    LookReport,
    LookRow,
    NovelTextRows,
    RequestStory,
    WordChanges,
)

START = datetime(2025, 7, 3, 6, 0, tzinfo=UTC)
MINIMUM = {
    "inputs.topics": 0.1,
    "inputs.mean": 0.1,
    "inputs.vocabulary": 0.1,
    "inputs.length": 0.2,
    "inputs.language": 0.1,
    "inputs.duplicates": 0.1,
    "inputs.missing": 0.1,
    "predictions.classes": 0.1,
    "predictions.confidence": 0.2,
    "predictions.calibration": 0.05,
    "performance.accuracy": 0.05,
    "performance.estimate": 0.05,
}
QUIET_LEVEL = {"inputs.topics": 0.03, "inputs.mean": 0.03, "inputs.vocabulary": 0.02}
DRIFTING = {
    "inputs.topics": 0.42,
    "inputs.mean": 0.36,
    "inputs.vocabulary": 0.21,
    "predictions.classes": 0.13,
    "predictions.confidence": 0.34,
    "performance.estimate": 0.02,
}
TEXTS = (
    ("Otter has mown twice so far. Blade disc stuck mid lawn.", "device_fault", 0.52, 0.81),
    ("hi, where should the dock stand, sun or shade? kind regards", "device_setup", 0.61, 0.80),
    (
        "Two sets of Lagoon dues for one household. My swap credit counts for nothing, then error 88. Thanks",
        "payment_failed",
        0.48,
        0.74,
    ),
    ("This crate holds a Deep dock, my Otter is the Shore size! I took BayLater for it", "wrong_or_damaged", 0.71, 0.87),
    ("my wave slipped from two to five, when does Otter get here? Mesh is on.", "delivery_status", 0.66, 0.78),
    ("How far apart do beacons go?", "device_setup", 0.58, 0.79),
    (
        "I got pulled from Plus into Lagoon, and out is where I want to be, write to <EMAIL_ADDRESS:1f3a9c2b>",
        "cancel_subscription",
        0.83,
        0.70,
    ),
)
NEW_WORDS = (
    ("otter", 0, 65),
    ("lagoon", 0, 38),
    ("crate", 0, 35),
    ("swap", 1, 39),
    ("berth", 0, 23),
    ("passport", 0, 23),
    ("baylater", 0, 22),
    ("dues", 0, 22),
    ("mesh", 0, 21),
    ("dock", 2, 24),
)
OLD_WORDS = (("captcha", 61, 9), ("invoice", 74, 18), ("photo", 88, 30))


def change(name: str, n: int, of: int, m: int, out_of: int, changed: bool = False) -> ChangeRow:
    was, now = interval(n / of, of), interval(m / out_of, out_of)
    odds = math.log((m + 0.5) / (out_of - m + 0.5)) - math.log((n + 0.5) / (of - n + 0.5))
    return ChangeRow(
        name=name,
        n_reference=n,
        n_window=m,
        reference=n / of,
        window=m / out_of,
        reference_low=was[0],
        reference_high=was[1],
        window_low=now[0],
        window_high=now[1],
        log_odds=odds,
        p=1e-6 if changed else 0.3,
        changed=changed,
    )


def finding(name: str, effect: float, rows: int, minimum: float, alpha: float, note: str = "") -> FindingRow:
    half = (0.9 if minimum >= 0.1 else 0.55) / rows**0.5 + 0.02
    z = (effect - minimum) / (half / 3)
    p = 0.5 * math.erfc(z / 2**0.5)
    return FindingRow(
        monitor=name,
        effect=effect,
        low=effect - half,
        high=effect + half,
        minimum=minimum,
        p=max(p, 1e-30),
        alpha=alpha,
        alarm=p <= alpha,
        n_reference=600,
        n_window=rows,
        note=note,
    )


def life(looks: int, onset: int | None, drifting: dict[str, float], seed: int = 5, rows: int = 900) -> tuple[LookRow, ...]:
    """Daily looks; from look `onset` on the effects of `drifting` grow to their level within ten looks."""
    chance, found, alpha = random.Random(seed), [], 0.05 / 365 / 12
    walk = dict.fromkeys(MINIMUM, 0.0)
    for number in range(1, looks + 1):
        at = START + timedelta(days=number)
        here = max(150, int(rows * (1 + 0.25 * math.sin(number / 3.5)) + chance.gauss(0, 40)))
        findings = []
        for name, minimum in MINIMUM.items():
            walk[name] = 0.8 * walk[name] + chance.gauss(0, 0.05 * minimum)
            grown = 0.0 if onset is None or number < onset else min(1.0, (number - onset + 1) / 10)
            level = QUIET_LEVEL.get(name, 0.2 * minimum) + walk[name]
            effect = max(0.0, level) + grown * max(0.0, drifting.get(name, 0.0) - max(level, 0.0))
            if name.startswith("performance") or name == "predictions.calibration":
                effect -= 0.15 * minimum
            if name == "performance.accuracy" and number < 14:
                findings.append(
                    FindingRow(
                        monitor=name, minimum=minimum, n_window=number * 2, note="not judged: 28 audited labels, fewer than 30"
                    )
                )
                continue
            n = here // 3 if name == "performance.accuracy" else here
            findings.append(finding(name, effect, n, minimum, alpha))
        found.append(
            LookRow(
                number=number,
                at=at.isoformat(),
                start=(at - timedelta(days=7)).isoformat(),
                end=at.isoformat(),
                rows=here,
                findings=tuple(findings),
                version="1",
                report=f"look-{number}.html",
            )
        )
    return tuple(found)


def with_notes(looks: tuple[LookRow, ...], notes: dict[str, str]) -> tuple[LookRow, ...]:
    last = looks[-1]
    return (
        *looks[:-1],
        replace(last, findings=tuple(replace(one, note=notes.get(one.monitor, one.note)) for one in last.findings)),
    )


def levels(looks: tuple[LookRow, ...], start: float, end: float, onset: int | None, seed: int = 3) -> tuple[Level, ...]:
    chance, found = random.Random(seed), []
    low, high = interval(start, 616)
    found.append(Level(at=START.isoformat(), value=start, low=low, high=high, n=616, kind="test", version="1"))
    for look in looks:
        grown = 0.0 if onset is None or look.number < onset else min(1.0, (look.number - onset + 1) / 10)
        true = start + grown * (end - start)
        said = true + chance.gauss(0, 0.006) + 0.3 * grown * (start - end)
        found.append(Level(at=look.at, value=said, low=said - 0.02, high=said + 0.02, n=look.rows, kind="estimate", version="1"))
        if look.number % 7 == 0 and look.number >= 14:
            n = 120 + look.number
            value = sum(chance.random() < true for _ in range(n)) / n
            low, high = interval(value, n)
            found.append(Level(at=look.at, value=value, low=low, high=high, n=n, kind="audit", version="1"))
    return tuple(found)


def examples() -> tuple[Example, ...]:
    return tuple(
        Example(
            text=text,
            id=f"{0x9C41D2 + 7919 * n:06x}e1",
            time=START.isoformat(),
            prediction=said,
            score=score,
            distance=distance,
            copies=(1, 1, 1, 1, 214, 1, 1)[n],
            nearest="What height should the camera hang at. I don't mean signing in."
            if n % 2
            else "The status jumped back from shipped to preparing.",
        )
        for n, (text, said, score, distance) in enumerate(TEXTS)
    )


def texts() -> NovelTextRows:
    found = examples()
    return NovelTextRows(
        share=0.073,
        low=0.051,
        high=0.104,
        strangers=found[:6],
        growths=(
            GrowthRow(
                examples=found[2:5],
                n=121,
                window=0.318,
                reference=0.0105,
                nearest="from autumn on i'd like Plus. i have attached a photo.",
            ),
            GrowthRow(
                examples=(found[1], found[5]),
                n=29,
                window=0.076,
                reference=0.0105,
                nearest="What height should the camera hang at.",
            ),
        ),
        n_window=381,
    )


@cache
def drift() -> LookReport:
    """60 looks, 12 monitors; drift from look 44 on; a retraining was asked for and promoted, then the cooldown held."""
    looks = life(60, 44, DRIFTING)
    looks = with_notes(
        looks,
        {
            "inputs.topics": "31.8 % of texts are of a kind that the reference hardly has",
            "inputs.vocabulary": "new words: otter, lagoon, crate, swap, berth",
            "predictions.classes": "delivery_status from 6.7 to 19.9 %",
        },
    )
    chance = random.Random(2)
    counts = [(name, chance.randint(26, 70), chance.randint(20, 52)) for name in HELPDESK]
    counts[1] = (HELPDESK[1], 40, 118)
    before, now = sum(n for _, n, _ in counts), sum(m for _, _, m in counts)
    first = next(look for look in looks if look.alarms)
    return LookReport(
        pipeline="helpdesk",
        problem="text-classification",
        created=looks[-1].at,
        version="1",
        looks=looks,
        looks_per_year=365,
        alpha=0.05,
        look_of_year=60,
        min_rows=100,
        served_since=START.isoformat(),
        words=WordChanges(
            more=tuple(change(name, n, 583, m, 389, True) for name, n, m in NEW_WORDS),
            less=tuple(change(name, n, 583, m, 389, True) for name, n, m in OLD_WORDS),
            tested=312,
            texts_reference=583,
            texts_window=389,
            rows_window=1142,
        ),
        texts=texts(),
        classes=tuple(
            sorted(
                (change(name, n, before, m, now, name == HELPDESK[1]) for name, n, m in counts),
                key=lambda c: -abs(c.window - c.reference),
            )
        ),
        languages=(change("en", 471, 600, 301, 389, False), change("de", 88, 600, 61, 389), change("fr", 41, 600, 27, 389)),
        lengths=tuple(
            change(name, n, 600, m, 389)
            for name, n, m in (
                ("1 to 8", 61, 48),
                ("9 to 16", 180, 120),
                ("17 to 32", 231, 141),
                ("33 to 64", 109, 66),
                ("65 or more", 19, 14),
            )
        ),
        levels=levels(looks, 0.938, 0.915, 44),
        feedback=FeedbackCounts(
            version="1", answers=51_240, audits=1_031, audited=372, labels=96, up=1_204, down=317, corrections=41
        ),
        requests=(
            RequestStory(
                at=first.at,
                why="drift",
                state="done",
                id="r-1",
                look=f"look {first.number} of version 1",
                monitors=("inputs.topics", "inputs.mean"),
                run_id="6f1d4c0b92e84a7d8d0c5b2f9a1e7c33",
                verdict="HOLD",
                version="2",
                report="run-6f1d/report.html",
                note="not enough labelled rows of the new kind yet",
            ),
            RequestStory(
                at=looks[48].at,
                why="drift",
                state="refused",
                id="r-2",
                look="look 49 of version 1",
                monitors=("inputs.topics",),
                note="3 retrainings this week, the budget is 3",
            ),
            RequestStory(
                at=looks[-1].at,
                why="drift",
                state="running",
                id="r-3",
                look="look 60 of version 1",
                look_report="look-60.html",
                monitors=("inputs.topics", "inputs.vocabulary"),
                run_id="b1c2aa09e2d94c0b8f6a5d4e3c2b1a00",
            ),
        ),
        next_command="tunekeeper retrain configs/helpdesk.yaml",
        model_report="run-1a2b/report.html",
        history="history.html",
    )


@cache
def decay() -> LookReport:
    """77 classes, a year of hourly looks thinned to 420; accuracy falls without much drift."""
    looks = life(420, 380, {"performance.accuracy": 0.12, "performance.estimate": 0.07, "predictions.confidence": 0.24}, rows=4_000)
    chance = random.Random(4)
    names = [one.name for one in banking().classes]
    counts = [(name, chance.randint(20, 60), chance.randint(30, 110)) for name in names]
    before, now = sum(n for _, n, _ in counts), sum(m for _, _, m in counts)
    return replace(
        drift(),
        pipeline="banking77",
        version="3",
        looks=looks,
        look_of_year=365,
        created=looks[-1].at,
        words=WordChanges(tested=1_411, texts_reference=3_080, texts_window=4_011),
        texts=replace(texts(), share=0.012, low=0.009, high=0.016, growths=(), n_window=4_011),
        classes=tuple(
            sorted((change(name, n, before, m, now, m > 105) for name, n, m in counts), key=lambda c: -abs(c.window - c.reference))
        ),
        languages=(),
        lengths=(),
        levels=levels(looks, 0.93, 0.82, 380),
        requests=(
            RequestStory(
                at=looks[-1].at,
                why="drift",
                state="coalesced",
                look="look 420 of version 3",
                monitors=("performance.accuracy",),
            ),
        ),
        notices=("Version 3 was promoted in MLflow's own UI on 14 November; it was taken over as an EXTERNAL epoch.",),
    )


@cache
def quiet() -> LookReport:
    """60 looks and no alarm."""
    looks = life(60, None, {})
    return replace(
        drift(),
        looks=looks,
        words=WordChanges(tested=298, texts_reference=583, texts_window=702),
        texts=NovelTextRows(share=0.011, low=0.005, high=0.022, strangers=examples()[:3], n_window=702),
        classes=tuple(
            change(one.name, one.n_reference, 600, round(one.n_reference * 1.17) + n % 3 - 1, 702)
            for n, one in enumerate(drift().classes)
        ),
        levels=levels(looks, 0.938, 0.938, None),
        requests=(),
        next_command=None,
    )


@cache
def few(n: int = 3) -> LookReport:
    """The first looks of a champion: no label yet."""
    looks = life(n, None, {})
    return replace(
        quiet(),
        looks=looks,
        look_of_year=n,
        created=looks[-1].at,
        levels=levels(looks, 0.938, 0.938, None),
        feedback=FeedbackCounts(version="1", answers=2_410, audits=48),
    )


def first() -> LookReport:
    return few(1)


def unjudged() -> LookReport:
    """A window with too few answers for anything."""
    note = "not judged: 41 rows in the window, fewer than 100"
    watch = few(3)
    silent = tuple(FindingRow(monitor=name, minimum=minimum, n_window=41, note=note) for name, minimum in MINIMUM.items())
    last = replace(watch.looks[-1], rows=41, findings=silent)
    return replace(watch, looks=(*watch.looks[:-1], last), words=None, texts=None, classes=(), languages=(), lengths=(), levels=())


def least() -> LookReport:
    """Nothing but what must be there."""
    return LookReport(
        pipeline="least", problem="text-generation", created="2025-07-03", version="1", looks=(), looks_per_year=52, alpha=0.05
    )


EVERY = {
    "drift": drift,
    "decay": decay,
    "quiet": quiet,
    "few": few,
    "first": first,
    "unjudged": unjudged,
    "least": least,
}
