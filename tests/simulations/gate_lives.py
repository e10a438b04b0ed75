"""Simulated lives of a kept model: a challenger every week for a year, judged by the gate's own test and spending.

All lives advance together, week by week, as arrays; `agreement` runs some of them through `decide` itself and counts what differs.
A row has a difficulty that every model feels, so two models differ on few rows, as two seeds of one recipe do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

from configs.schema import Gate
from tasks.gate.evidence import Evidence
from tasks.gate.gate import judge_challenger
from tasks.stats.multiplicity import alpha_at_look
from tasks.stats.sign_flip import mcnemar_exact
from tasks.stats.tango import tango_p

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Judge = Callable[[Bools, Bools, Bools], Bools]
T = TypeVar("T", bound=np.generic)

WEEKS = 52
WINDOW = 8  # weeks of test rows that the gate compares on
SHARED = 0.9  # correlation of two models' luck on one row


@dataclass(frozen=True)
class World:
    """What happens to the models of a life. `accuracy(skill, trained, week)`: the truth about a model on rows of a week."""

    name: str
    accuracy: Callable[[Floats, Floats, int], Floats]
    challenger: Callable[[np.random.Generator, Floats, int], Floats]
    rows_a_week: int = 75
    same_rows: bool = False
    wrong_labels: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Per life: wrong promotions, right ones, the true accuracy at the end, the week of the first right promotion (52: none)."""

    wrong: Floats
    right: Floats
    accuracy: Floats
    first_right: Floats


def steady(skill: Floats, trained: Floats, week: int) -> Floats:
    return skill


def decaying(skill: Floats, trained: Floats, week: int) -> Floats:
    """A quarter of a point lost with each week that the rows are younger than the model."""
    return skill - 0.0025 * np.maximum(0, week - trained)


def shifted(skill: Floats, trained: Floats, week: int) -> Floats:
    """In week 26 the world changes: ten points lost, regained over the four weeks in which new training rows come in."""
    return skill - (0.10 * np.clip((30 - trained) / 4, 0, 1) if week >= 26 else 0.0)


def alike(rng: np.random.Generator, champion: Floats, week: int) -> Floats:
    return np.full(len(champion), 0.90)


def lucky(rng: np.random.Generator, champion: Floats, week: int) -> Floats:
    """Recipes vary: half a point of true accuracy from one training to the next."""
    return 0.90 + rng.normal(0, 0.005, len(champion))


def taught_noise(rng: np.random.Generator, champion: Floats, week: int) -> Floats:
    """From week 10 on training labels are bad: every challenger is truly one point worse."""
    return np.full(len(champion), 0.90 if week < 10 else 0.89)


def at_the_margin(rng: np.random.Generator, champion: Floats, week: int) -> Floats:
    return np.full(len(champion), 0.89)


def half_a_point_worse(rng: np.random.Generator, champion: Floats, week: int) -> Floats:
    return champion - 0.005


WORLDS = (
    World("no change, new rows every week", steady, alike),
    World("no change, the same 600 rows at every look", steady, alike, same_rows=True),
    World("slow decay, a quarter of a point a week", decaying, lucky),
    World("sudden shift of ten points in week 26", shifted, lucky),
    World("noise labels: a tenth of the test's wrong, challengers a point worse", steady, taught_noise, wrong_labels=0.1),
)


def better(alpha: float) -> Judge:
    """The rule `better` at a fixed alpha per look, over arrays of shape (lives, weeks, rows)."""

    def judge(challenger: Bools, champion: Bools, anchor: Bools) -> Bools:
        return np.asarray(mcnemar_exact(_count(challenger & ~champion), _count(champion & ~challenger)) <= alpha)

    return judge


def not_worse(alpha: float, margin: float, anchored: bool) -> Judge:
    """The rule `not_worse`, with or without the anchor."""

    def judge(challenger: Bools, champion: Bools, anchor: Bools) -> Bools:
        n = challenger[0].size
        passed = np.ones(len(challenger), dtype=bool)
        for other in (champion, anchor) if anchored else (champion,):
            passed &= tango_p(_count(challenger & ~other), _count(other & ~challenger), n, -margin, n - 1) <= alpha
        return passed

    return judge


def _count(rows: Bools) -> Floats:
    return np.asarray(rows.sum(axis=(1, 2)), dtype=np.float64)


def live(world: World, judge: Judge, lives: int, seed: int, margin: float = 0.0) -> Outcome:
    """Let `lives` champions live a year. A promotion is wrong where the truth, on the rows compared, is a gain of 0 or less or,
    with a `margin`, a loss of that much or more against the champion or the anchor.

    The anchor is the first champion throughout, and is not for worlds in which models age.
    """
    rng = np.random.default_rng(seed)
    skill, trained = np.full(lives, 0.90), np.full(lives, -1.0)
    anchor_skill = skill.copy()
    weeks = list(range(-WINDOW, 0))
    difficulty = _normal(rng, (lives, WINDOW, world.rows_a_week))
    readable = rng.random(difficulty.shape, dtype=np.float32) >= world.wrong_labels
    champion = _answers(rng, world, skill, trained, weeks, difficulty) & readable
    anchor, first = champion.copy(), np.ones(lives, dtype=bool)
    wrong, right, first_right = np.zeros(lives), np.zeros(lives), np.full(lives, float(WEEKS))
    for week in range(WEEKS):
        if not world.same_rows:
            weeks = [*weeks[1:], week]
            fresh = _normal(rng, (lives, 1, world.rows_a_week))
            clean = rng.random(fresh.shape, dtype=np.float32) >= world.wrong_labels
            of_anchor = _answers(rng, world, anchor_skill, trained, [week], fresh) & clean
            of_champion = _answers(rng, world, skill, trained, [week], fresh) & clean
            anchor = _slide(anchor, of_anchor)
            champion = _slide(champion, np.where(first[:, None, None], of_anchor, of_champion))
            difficulty, readable = _slide(difficulty, fresh), _slide(readable, clean)
        new_skill, now = world.challenger(rng, skill, week), np.full(lives, float(week))
        challenger = _answers(rng, world, new_skill, now, weeks, difficulty) & readable
        promoted = judge(challenger, champion, anchor)
        gain = np.mean([world.accuracy(new_skill, now, w) - world.accuracy(skill, trained, w) for w in weeks], axis=0)
        bad = gain <= 1e-12 if margin == 0 else (gain <= -margin + 1e-9) | (new_skill - anchor_skill <= -margin + 1e-9)
        wrong += promoted & bad
        right += promoted & ~bad
        first_right = np.where(promoted & ~bad & (first_right == WEEKS), week, first_right)
        skill, trained = np.where(promoted, new_skill, skill), np.where(promoted, now, trained)
        champion = np.where(promoted[:, None, None], challenger, champion)
        first &= ~promoted
    return Outcome(wrong, right, world.accuracy(skill, trained, WEEKS - 1), first_right)


def live_in_parts(world: World, judge: Judge, lives: int, seed: int, margin: float = 0.0, at_once: int = 500) -> Outcome:
    """`live` for more lives than memory holds at once: each part has its own seed."""
    parts = [live(world, judge, at_once, seed + 1000 * part, margin) for part in range(lives // at_once)]
    wrong, right, accuracy, first = zip(*((o.wrong, o.right, o.accuracy, o.first_right) for o in parts), strict=True)
    return Outcome(np.concatenate(wrong), np.concatenate(right), np.concatenate(accuracy), np.concatenate(first))


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return rng.standard_normal(shape, dtype=np.float32)


def _slide(window: NDArray[T], week: NDArray[T]) -> NDArray[T]:
    return np.concatenate([window[:, 1:], week], axis=1)


def _answers(
    rng: np.random.Generator, world: World, skill: Floats, trained: Floats, weeks: list[int], difficulty: NDArray[np.float32]
) -> Bools:
    """Who is right where: shape (lives, weeks, rows)."""
    bar = special.ndtri(np.stack([world.accuracy(skill, trained, week) for week in weeks], axis=1))
    luck = np.float32(np.sqrt(SHARED)) * difficulty + np.float32(np.sqrt(1 - SHARED)) * _normal(rng, difficulty.shape)
    return np.asarray(luck < bar[:, :, None].astype(np.float32))


@dataclass(frozen=True)
class BusyYear:
    """A year of a cron and of triggers: `looks` decisions, and with each quarter a challenger that is `gain` better, until it wins.

    All others are as good as their champion: to promote one of them is wrong.
    """

    looks: int = 208
    rows: int = 600
    gain: float = 0.06
    quarters: int = 4


def live_busily(year: BusyYear, settings: Gate, lives: int, seed: int, *, per_champion: bool = False) -> tuple[Floats, Floats]:
    """Wrong and right promotions in each life, under `better`.

    A decision spends what its look of the pipeline's year may; with `per_champion` looks are counted anew for each champion.
    """
    rng = np.random.default_rng(seed)
    alphas = np.array([alpha_at_look(settings.alpha, settings.looks_per_year, look) for look in range(1, year.looks + 1)])
    skill, since, due = np.full(lives, 0.70), np.zeros(lives, dtype=np.int64), np.zeros(lives, dtype=bool)
    wrong, right = np.zeros(lives), np.zeros(lives)
    for look in range(year.looks):
        due |= look % (year.looks // year.quarters) == 0
        new = skill + np.where(due, year.gain, 0.0)
        difficulty = _normal(rng, (lives, 1, year.rows))
        challenger, champion = (_right(rng, one, difficulty) for one in (new, skill))
        p = mcnemar_exact(_count(challenger & ~champion), _count(champion & ~challenger))
        promoted = p <= (alphas[since] if per_champion else alphas[look])
        wrong += promoted & ~due
        right += promoted & due
        skill, due = np.where(promoted, new, skill), due & ~promoted
        since = np.where(promoted, 0, since + 1)
    return wrong, right


def _right(rng: np.random.Generator, skill: Floats, difficulty: NDArray[np.float32]) -> Bools:
    """Who is right where, at a skill that is the same on all rows: shape of `difficulty`."""
    luck = np.float32(np.sqrt(SHARED)) * difficulty + np.float32(np.sqrt(1 - SHARED)) * _normal(rng, difficulty.shape)
    return np.asarray(luck < special.ndtri(skill)[:, None, None].astype(np.float32))


def spent_per_look(settings: Gate) -> float:
    """What each declared look may spend: a life of 52 looks takes declared ones alone, whoever is champion."""
    return alpha_at_look(settings.alpha, settings.looks_per_year, 1)


def agreement(world: World, lives: int, seed: int, settings: Gate) -> tuple[int, int]:
    """Decisions of `decide` that differ from the arrays' judgement, and decisions made."""
    quick, differing, made = better(spent_per_look(settings)), 0, 0

    def judge(challenger: Bools, champion: Bools, anchor: Bools) -> Bools:
        nonlocal differing, made
        promoted = quick(challenger, champion, anchor)
        for new, old, expected in zip(challenger, champion, promoted, strict=True):
            evidence = Evidence(new.ravel().astype(np.float64), old.ravel().astype(np.float64))
            differing += (judge_challenger(evidence, settings).verdict == "PROMOTE") != expected
            made += 1
        return promoted

    live(world, judge, lives, seed)
    return differing, made
