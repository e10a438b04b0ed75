"""Lives of models as the ledger would tell them: numbers invented, seeded, consistent."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

from report_parts import interval

from tasks.report.history.data import History, LookMark, MoveRow, Version
from tasks.report.monitor.data import FeedbackCounts, Level, RequestStory

START = datetime(2025, 11, 24, 6, 0, tzinfo=UTC)
REASONS = {
    "PROMOTE": (
        "Better than the champion: 93.8 % against 91.1 % on 598 rows, +2.7 points (90 % interval +1.0 to +4.4); p = 0.00042, "
        "where this look allows 0.00096.",
        "Guards: 15 slices, classes and older rows judged, none showed harm beyond its margin.",
        "Look 5 of 52 a year: alpha 0.05 is shared among them all.",
    ),
    "HOLD": (
        "Harm shown on recall of card_declined, against the champion: 71.0 % against 93.5 % on 40 rows, -22.5 points.",
        "Not shown to be better than the champion.",
    ),
    "INCONCLUSIVE": ("Too few rows to decide anything: 92 fair rows, gate.min_rows asks for 100; about 1240 would be needed.",),
}


def at(days: float) -> str:
    return (START + timedelta(days=days)).isoformat(timespec="seconds")


def version(number: int, days: float, verdict: str, value: float, against: str, chance: random.Random) -> Version:
    rows = 420 + 9 * number
    low, high = interval(value, rows)
    return Version(
        version=str(number),
        at=at(days),
        verdict=verdict,
        reasons=REASONS[verdict],
        value=value,
        low=low,
        high=high,
        rows=rows,
        against=against,
        against_value=value - 0.02 if against else None,
        look=number,
        run_id=f"{0x6F1D4C0B92E84A7D + 104729 * number:016x}" * 2,
        report=f"run-{number}/report.html",
        why="drift" if number % 5 else "person",
        training_seconds=55 + chance.random() * 40 + number,
        peak_memory_bytes=1_400_000_000 + number * 3_000_000,
    )


@cache
def year() -> History:
    """Weekly decisions over a year, eight promotions, two rollbacks, one move made in MLflow's own UI, 365 looks."""
    chance = random.Random(8)
    promoted = {1: None, 4: "1", 9: "4", 14: "9", 21: "14", 22: "14", 30: "22", 38: "30", 47: "38"}
    versions, moves, champion, value = [], [], "", 0.874
    for number in range(1, 53):
        days = 7.0 * (number - 1)
        won = number in promoted
        verdict = "PROMOTE" if won else chance.choice(("HOLD", "HOLD", "INCONCLUSIVE"))
        value += 0.006 if won else 0.0
        versions.append(version(number, days, verdict, value + (0 if won else chance.gauss(-0.01, 0.008)), champion, chance))
        if won:
            kind = "PROMOTE" if champion else "FIRST"
            moves.append(
                MoveRow(
                    epoch=len(moves) + 1,
                    kind=kind,
                    from_version=champion or None,
                    to_version=str(number),
                    at=at(days + 0.01),
                    who="tunekeeper",
                    verdict="PROMOTE",
                    rule="better",
                    run_id=versions[-1].run_id,
                    reason="",
                )
            )
            champion = str(number)
        if number in (21, 38):
            back = "14" if number == 21 else "30"
            why = "support saw refunds answered as returns" if number == 21 else "latency doubled on the small machine"
            moves.append(
                MoveRow(
                    epoch=len(moves) + 1,
                    kind="ROLLBACK",
                    from_version=champion,
                    to_version=back,
                    at=at(days + 3),
                    who="r.okafor",
                    reason=why,
                )
            )
            champion = back
        if number == 43:
            moves.append(
                MoveRow(
                    epoch=len(moves) + 1,
                    kind="EXTERNAL",
                    from_version=champion,
                    to_version="41",
                    at=at(days + 2),
                    who="mlflow",
                    reason="the alias was moved in MLflow's own UI; adopted",
                )
            )
            champion = "41"
    looks, levels, requests = [], [], []
    for day in range(1, 365):
        alarm = 205 <= day <= 209 or 318 <= day <= 322 or day == 90
        serving = [move for move in moves if move.at <= at(day)][-1].to_version or ""
        spoke = (("inputs.topics", "inputs.vocabulary") if day > 210 else ("inputs.topics",)) if alarm else ()
        looks.append(LookMark(version=serving, number=day, at=at(day), rows=900, alarms=spoke, report=f"look-{day}.html"))
        if day % 14 == 0:
            audited = 0.9 + 0.00006 * day - (0.03 if 200 < day < 212 else 0) + chance.gauss(0, 0.008)
            low, high = interval(audited, 260)
            levels.append(Level(at=at(day), value=audited, low=low, high=high, n=260, kind="audit", version=serving))
        if alarm:
            first = day in (205, 318, 90)
            requests.append(
                RequestStory(
                    at=at(day),
                    why="drift",
                    state="done" if first else "refused",
                    look=f"look {day} of version {serving}",
                    look_report=f"look-{day}.html",
                    monitors=spoke,
                    verdict="PROMOTE" if first else "",
                    version="30" if first else "",
                    run_id="6f1d4c0b92e84a7d" if first else "",
                    note="" if first else "cooldown of 24 hours after the last one",
                )
            )
    feedback = tuple(
        FeedbackCounts(
            version=v,
            answers=chance.randint(30_000, 90_000),
            audits=900,
            audited=chance.randint(300, 800),
            labels=chance.randint(20, 150),
            up=chance.randint(700, 1500),
            down=chance.randint(90, 400),
            corrections=chance.randint(10, 80),
        )
        for v in ("1", "4", "9", "14", "21", "22", "30", "38", "41", "47")
    )
    return History(
        pipeline="helpdesk",
        problem="text-classification",
        created=at(364.2),
        champion=champion,
        versions=tuple(versions),
        moves=tuple(moves),
        looks=tuple(looks),
        levels=tuple(levels),
        feedback=feedback,
        requests=tuple(requests),
        next_command="tunekeeper rollback configs/helpdesk.yaml",
    )


@cache
def story() -> History:
    """The story of the demo: v1 served, drift, v2 promoted, rolled back."""
    chance = random.Random(1)
    one, two = version(1, 0, "PROMOTE", 0.918, "", chance), version(2, 9, "PROMOTE", 0.941, "1", chance)
    looks = tuple(
        LookMark(
            version="1",
            number=n,
            at=at(n),
            rows=240,
            alarms=("inputs.topics", "inputs.vocabulary") if n >= 8 else (),
            report=f"look-{n}.html",
        )
        for n in range(1, 9)
    )
    return History(
        pipeline="helpdesk",
        problem="text-classification",
        created=at(12),
        champion="1",
        versions=(one, two),
        moves=(
            MoveRow(
                epoch=1,
                kind="FIRST",
                from_version=None,
                to_version="1",
                at=at(0.01),
                who="tunekeeper",
                verdict="PROMOTE",
                rule="better",
                run_id=one.run_id,
            ),
            MoveRow(
                epoch=2,
                kind="PROMOTE",
                from_version="1",
                to_version="2",
                at=at(9.01),
                who="tunekeeper",
                verdict="PROMOTE",
                rule="better",
                run_id=two.run_id,
            ),
            MoveRow(
                epoch=3, kind="ROLLBACK", from_version="2", to_version="1", at=at(11), who="demo", reason="shown for the story"
            ),
        ),
        looks=looks,
        feedback=(
            FeedbackCounts(version="1", answers=4_300, audits=86, audited=61, up=41, down=17),
            FeedbackCounts(version="2", answers=900, audits=18, up=12, down=1),
        ),
        requests=(
            RequestStory(
                at=at(8.01),
                why="drift",
                state="done",
                look="look 8 of version 1",
                look_report="look-8.html",
                monitors=("inputs.topics", "inputs.vocabulary"),
                run_id=two.run_id,
                verdict="PROMOTE",
                version="2",
                report="run-2/report.html",
            ),
        ),
        next_command="tunekeeper monitor configs/helpdesk.yaml",
    )


def first() -> History:
    """One version, released today."""
    return replace(
        story(), created=at(0.3), versions=story().versions[:1], moves=story().moves[:1], looks=(), feedback=(), requests=()
    )


def generation() -> History:
    """A metric that is no share and is better when lower."""
    found = story()
    scaled = tuple(
        replace(one, value=48.0 - n, low=46.5 - n, high=49.6 - n, against_value=None) for n, one in enumerate(found.versions)
    )
    return replace(found, problem="text-generation", metric="perplexity", unit="number", higher_is_better=False, versions=scaled)


def vacant() -> History:
    """The alias was taken off: nobody serves."""
    found = story()
    gone = MoveRow(
        epoch=4, kind="EXTERNAL", from_version="1", to_version=None, at=at(11.5), who="mlflow", reason="the alias is gone"
    )
    return replace(found, champion=None, moves=(*found.moves, gone))


def least() -> History:
    return History(pipeline="least", problem="text-classification", created="2025-07-03", champion=None)


EVERY = {"year": year, "story": story, "first": first, "generation": generation, "vacant": vacant, "least": least}
