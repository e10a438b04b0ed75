"""The gate: does this challenger replace the champion? A verdict is evidence, and may be that there is not enough of it.

In one paragraph: the primary comparison is made on the recent, fair rows, with groups counted as
groups, by one-sided tests at what this look may spend of alpha; `better` must show a gain over the champion, `not_worse` must
rule out a loss of the margin against the champion *and* the anchor; a first challenger must show a gain over the trivial baseline,
and no loss beyond gate.first_margin may be shown against the best one (or, with gate.first = better, a gain over the best one).
Rows whose label the champion never had do not decide alone: on the others a loss of the margin must be ruled out, under both rules.
Guards, on slices, classes and older rows, veto on evidence of harm beyond their margins at alpha, Holm-corrected over all of them
and not thinned out over the looks: a false veto costs a week, a missed harm costs users. Then the floors and ceilings.

PROMOTE: all shown, no veto. HOLD: evidence against (a floor missed, harm shown, or the interval rules the wished-for result out).
INCONCLUSIVE: neither, or fewer than gate.min_rows effective rows; then the number of rows needed is worked out.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import ceil
from typing import Protocol

import numpy as np

from configs.schema import Gate, ScaledGate
from tasks.gate.added_scores import arrange_questions
from tasks.gate.evidence import Comparison, Decision, Evidence, Outcome, Verdict, check_evidence, missed_bounds
from tasks.gate.hypotheses import (
    Question,
    guard_questions,
    known_label_questions,
    new_rows,
    opponent_comparisons,
    primary_questions,
    primary_rows,
    side_comparisons,
)
from tasks.gate.power import min_detectable, power_better, power_not_worse, power_of_mean, rows_needed
from tasks.gate.verdict_text import adopted_reasons, verdict_reasons
from tasks.stats.arrays import Floats, effective_size
from tasks.stats.bounds import power_of_bound
from tasks.stats.intervals import Interval, IntervalSettings, difference_intervals
from tasks.stats.multiplicity import alpha_at_look, first_release_alpha, holm
from tasks.stats.paired import better_p, harm_p, not_worse_p
from tasks.stats.pairs import Pairs


def judge_challenger(evidence: Evidence, gate: Gate, seed: int = 0) -> Verdict:
    """Judge a challenger: the same evidence, settings and seed give the same verdict; `seed` matters for real scores alone."""
    settings = gate.at_scale(evidence.scale)
    check_evidence(evidence, settings)
    rows = primary_rows(evidence)
    spend = first_release_alpha if evidence.champion is None and settings.first == "useful" else alpha_at_look
    alpha = spend(settings.alpha, settings.looks_per_year, evidence.look)
    own = [*primary_questions(evidence, settings, rows), *known_label_questions(evidence, settings, rows)]
    beside = [*guard_questions(evidence, settings, rows), *side_comparisons(evidence, settings, rows)]
    arranged = arrange_questions(evidence, rows, own, beside)
    primary = arranged.primary
    if arranged.deciding is not None:
        rows = rows.with_scores(arranged.deciding)
        settings = settings.model_copy(update={"effect": arranged.deciding.margin})
    comparisons = _answer_questions([*primary, *arranged.others], settings, alpha, seed)
    sizes, new = rows.group_sizes, new_rows(evidence, rows)
    n_effective = effective_size(sizes)
    few = n_effective < settings.min_rows or 0 < rows.n == new.sum()
    decision = _reach_decision(few, comparisons, bool(missed_bounds(evidence, settings)))
    primary_answers = list(zip(comparisons, (question.pairs for question in primary), strict=False))
    open_question = decision == "INCONCLUSIVE"
    verdict = Verdict(
        verdict=decision,
        reasons=(),
        comparisons=comparisons,
        rows_needed=_rows_to_decide(primary_answers, rows.n, n_effective, settings, alpha) if open_question else None,
        detectable=_detectable_gain(*primary_answers[0], settings, alpha) if open_question and primary_answers else None,
        look=evidence.look,
        alpha=alpha,
        n=rows.n,
        n_groups=len(sizes),
        n_effective=n_effective,
        excluded=rows.excluded,
        new_rows=int(new.sum()),
        new_labels=() if evidence.classes is None else tuple(sorted({str(label) for label in np.asarray(evidence.classes)[new]})),
    )
    return replace(verdict, reasons=verdict_reasons(verdict, evidence, settings))


def describe_adopted(evidence: Evidence, gate: Gate, word: str, seed: int = 0) -> Verdict:
    """What an adopted model is on these rows beside the champion and the best baseline: for information, nothing is tested.

    `word`, of the person who adopts it, is the first of the reasons.
    """
    settings = gate.at_scale(evidence.scale)
    check_evidence(evidence, settings)
    rows = primary_rows(evidence)
    comparisons = _answer_questions(list(opponent_comparisons(evidence, rows)), settings, settings.alpha, seed)
    sizes = rows.group_sizes
    verdict = Verdict(
        verdict="ADOPTED",
        reasons=(),
        comparisons=comparisons,
        rows_needed=None,
        detectable=None,
        look=0,
        alpha=settings.alpha,
        n=rows.n,
        n_groups=len(sizes),
        n_effective=effective_size(sizes),
        excluded=rows.excluded,
    )
    return replace(verdict, reasons=(word, *adopted_reasons(verdict, evidence, settings)))


def _reach_decision(few: bool, comparisons: tuple[Comparison, ...], bound_missed: bool) -> Decision:
    outcomes = {comparison.outcome for comparison in comparisons}
    if few:
        return "INCONCLUSIVE"
    if bound_missed or "harm shown" in outcomes or "ruled out" in outcomes:
        return "HOLD"
    return "INCONCLUSIVE" if "open" in outcomes else "PROMOTE"


# --- the answers -----------------------------------------------------------------------------------------------------


def _answer_questions(questions: list[Question], settings: ScaledGate, alpha: float, seed: int) -> tuple[Comparison, ...]:
    how = IntervalSettings(max(0.5, 1 - 2 * settings.alpha), seed=seed)
    intervals = difference_intervals([question.pairs for question in questions], how)
    guard_indices = [i for i, q in enumerate(questions) if q.rule == "guard" and q.pairs.n_effective >= settings.guards.min_n]
    strictest = settings.alpha / max(1, len(guard_indices))
    harms = [harm_p(questions[i].pairs, questions[i].margin or 0.0, strictest, seed) for i in guard_indices]
    levels, rejected = holm(harms, settings.alpha)
    guard_results = {i: (p, level, hit) for i, p, level, hit in zip(guard_indices, harms, levels, rejected, strict=True)}
    answers = []
    for i, (question, interval) in enumerate(zip(questions, intervals, strict=True)):
        if question.rule == "guard":
            p, level, hit = guard_results.get(i, (None, None, None))
            outcome: Outcome = "too few rows" if hit is None else "harm shown" if hit else "no harm shown"
        elif question.rule == "information":
            p, level, outcome = None, None, "for information"
        else:
            p, level, outcome = _primary_answer(question, interval, settings, alpha, seed)
        answers.append(_comparison(question, interval, p, level, outcome))
    return tuple(answers)


def _primary_answer(
    question: Question, interval: Interval, settings: ScaledGate, alpha: float, seed: int
) -> tuple[float, float, Outcome]:
    """Shown by the test at this look's alpha; ruled out where the interval ends below what was to be shown; else open."""
    if question.margin is None:
        p, least = better_p(question.pairs, alpha, seed), settings.effect
    else:
        p, least = not_worse_p(question.pairs, question.margin, alpha, seed), -question.margin
    if p <= alpha:
        return p, alpha, "shown"
    return p, alpha, "ruled out" if interval.high is not None and interval.high < least else "open"


def _comparison(question: Question, interval: Interval, p: float | None, level: float | None, outcome: Outcome) -> Comparison:
    pairs = question.pairs
    return Comparison(
        name=question.name,
        rule=question.rule,
        n=pairs.n,
        n_groups=pairs.n_groups,
        n_effective=pairs.n_effective,
        clipped=pairs.clipped,
        challenger=pairs.first_mean,
        other=pairs.second_mean,
        wins=pairs.wins,
        losses=pairs.losses,
        difference=pairs.difference,
        low=interval.low,
        high=interval.high,
        confidence=interval.confidence,
        margin=question.margin,
        p_value=p,
        alpha=level,
        outcome=outcome,
        quantity=question.quantity,
    )


# --- how many rows it would take -------------------------------------------------------------------------------------


class PowerOf(Protocol):
    def __call__(self, n: float, difference: float) -> float: ...


def _power_function(margin: float | None, pairs: Pairs, alpha: float) -> PowerOf:
    """Power as a function of (rows of groups like these, true difference), at the discordance or spread that these rows have.

    Where the bound of bounds.py has to agree, its power counts too: the lower one, as both look at the same sum.
    """

    def power(n: float, difference: float) -> float:
        share = n / pairs.n
        if not pairs.binary:
            test = power_of_mean(share * pairs.n / pairs.design, difference + (margin or 0.0), pairs.deviation, alpha)
        else:
            test = _power_of_shares(share * pairs.n / pairs.design, difference, margin, pairs, alpha)
        if pairs.symmetric:
            return test
        return min(test, power_of_bound(*_shifted_sums(pairs, difference, margin or 0.0), share * pairs.n_groups, alpha))

    return power


def _power_of_shares(independent: float, difference: float, margin: float | None, pairs: Pairs, alpha: float) -> float:
    """One win and one loss are added to the discordant rows, so that a handful of rows does not promise too much."""
    discordance = min(1.0, (pairs.wins + pairs.losses + 2) / (pairs.n + 2))
    if margin is None:
        return power_better(independent, difference, discordance, alpha)
    return power_not_worse(independent, difference, discordance, margin, alpha)


def _shifted_sums(pairs: Pairs, difference: float, margin: float) -> tuple[Floats, Floats]:
    """The group sums that enter the bound if the true difference were `difference`, and how far below zero each could lie."""
    return pairs.sums + (difference - pairs.difference + margin) * pairs.sizes, (pairs.limit - margin) * pairs.sizes


def _rows_to_decide(
    answers: list[tuple[Comparison, Pairs]], n: int, n_effective: float, settings: ScaledGate, alpha: float
) -> int | None:
    """Rows, in groups like these, to show a true gain of gate.effect under `better`, or under `not_worse` to pass with a challenger
    equal to the other; at least as many as count for gate.min_rows. None where no realistic number of rows would do.
    """
    most = ceil(settings.min_rows * (n / n_effective if n else 1.0))
    for comparison, pairs in answers:
        if comparison.outcome == "shown":
            continue
        truth = settings.effect if comparison.rule == "better" else 0.0
        rows = rows_needed(partial(_power_function(comparison.margin, pairs, alpha), difference=truth), settings.power)
        if rows is None:
            return None
        most = max(most, ceil(rows * n / pairs.n))
    return most


def _detectable_gain(comparison: Comparison, pairs: Pairs, settings: ScaledGate, alpha: float) -> float | None:
    """The smallest true gain that the rows at hand would show or, under `not_worse`, let pass: 0 where an equal model would."""
    power = partial(_power_function(comparison.margin, pairs, alpha), pairs.n)
    return min_detectable(power, settings.power, 1.0 if pairs.binary else pairs.limit)
