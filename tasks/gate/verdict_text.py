"""The verdict in plain words: what a person who did not see the numbers needs in order to agree or to object."""

from __future__ import annotations

from collections.abc import Iterator

from configs.schema import ScaledGate
from tasks.gate.added_scores import added_text
from tasks.gate.evidence import Comparison, Evidence, Verdict, metric_bounds, missed_bounds
from tasks.gate.score_text import Unit, difference_text, effective_rows, score_text, unit_of

MOST_LABELS = 10  # named in a sentence
DECISIVE_FIRST = {"ruled out": 0, "open": 1, "shown": 2}
BASELINE = "baseline "  # how the names of comparisons with one begin


def verdict_reasons(verdict: Verdict, evidence: Evidence, settings: ScaledGate) -> tuple[str, ...]:
    """Sentences, the decisive ones first: what vetoes or is missing, what was compared, then the circumstances."""
    unit = unit_of(evidence)
    primary = [c for c in verdict.comparisons if c.rule in ("better", "not_worse")]
    guards = [c for c in verdict.comparisons if c.rule == "guard" and not c.quantity]
    added = [c for c in verdict.comparisons if c.quantity and c.rule not in ("better", "not_worse")]
    few, all_new = verdict.n_effective < settings.min_rows, 0 < verdict.n == verdict.new_rows
    return (
        *([_too_few_text(verdict, settings)] if few else []),
        *([_all_new_text(verdict)] if all_new else []),
        *(
            f"{'Floor' if bound.setting == 'gate.floors' else 'Ceiling'} missed: {bound.metric} is "
            f"{evidence.metrics[bound.metric]:.4g}, {bound.setting} asks for {bound.words}."
            for bound in missed_bounds(evidence, settings)
        ),
        *(_harm_text(c, unit) for c in guards if c.outcome == "harm shown"),
        *(added_text(c) for c in added if c.outcome == "harm shown"),
        *(_primary_text(c, settings, unit) for c in sorted(primary, key=lambda c: DECISIVE_FIRST[c.outcome])),
        *([_more_rows(verdict, primary, settings, unit)] if verdict.verdict == "INCONCLUSIVE" and not few and not all_new else []),
        *([] if few else _cheaper_baseline_text(verdict, unit)),
        *(added_text(c) for c in added if c.outcome != "harm shown"),
        *_context_sentences(verdict, guards, evidence, settings),
    )


def adopted_reasons(verdict: Verdict, evidence: Evidence, settings: ScaledGate) -> tuple[str, ...]:
    """What is known of a model that a person adopts, and what cannot be."""
    unit = unit_of(evidence)
    return (
        "It was fine-tuned elsewhere: whether it has seen these test rows is not known, so its figures may be too good.",
        *(f"Beside the {c.name}: {_scores_text(c, unit)}." for c in verdict.comparisons),
        *_cheaper_baseline_text(verdict, unit),
        *(
            f"It misses a bound of the gate: {bound.metric} is {evidence.metrics[bound.metric]:.4g}, {bound.setting} asks for "
            f"{bound.words}."
            for bound in missed_bounds(evidence, settings)
        ),
    )


def _rows_text(comparison: Comparison) -> str:
    if comparison.n == comparison.n_groups:
        return f"{comparison.n} rows"
    return f"{comparison.n} rows in {comparison.n_groups} groups ({effective_rows(comparison.n_effective)})"


def _interval(comparison: Comparison, unit: Unit) -> str:
    if comparison.low is None or comparison.high is None:
        return "no interval from one row or group"
    factor = 100 if unit == "share" else 1
    digits = ".1f" if unit == "share" else ".4g"
    return f"{100 * comparison.confidence:g} % interval {factor * comparison.low:{digits}} to {factor * comparison.high:{digits}}"


def _p_text(value: float) -> str:
    return f"p = {value:.2g}" if value >= 1e-6 else "p < 0.000001"


def _primary_text(c: Comparison, settings: ScaledGate, unit: Unit) -> str:
    """One primary comparison: the claim, the numbers, the p-value beside what it was held against."""
    if c.quantity:
        return added_text(c)
    margin, effect = difference_text(c.margin or 0.0, unit), difference_text(settings.effect, unit)
    claims = {
        ("better", "shown"): f"Better than the {c.name}",
        ("better", "ruled out"): f"A gain of {effect} over the {c.name} is ruled out",
        ("better", "open"): f"Not shown to be better than the {c.name}",
        ("not_worse", "shown"): f"Less than {margin} worse than the {c.name}, if worse at all",
        ("not_worse", "ruled out"): f"Worse than the {c.name} by more than the margin of {margin}",
        ("not_worse", "open"): f"Not shown to be within {margin} of the {c.name}",
    }
    return (
        f"{claims[c.rule, c.outcome]}: {_scores_text(c, unit)}; ahead on {c.wins} of them, behind on {c.losses}; "
        f"{_p_text(c.p_value or 0.0)}, where this look allows {c.alpha or 0.0:.2g}."
    )


def _scores_text(c: Comparison, unit: Unit) -> str:
    moved = f"{100 * c.difference:+.1f} points" if unit == "share" else f"{c.difference:+.4g}"
    clipped = f"; {c.clipped} of them clipped" if c.clipped else ""
    scores = f"{score_text(c.challenger, unit)} against {score_text(c.other, unit)}"
    if unit == "error":
        moved = f"{abs(c.difference):.4g} {'less' if c.difference >= 0 else 'more'}"
        scores = f"mean error {scores}"
    return f"{scores} on {_rows_text(c)}{clipped}, {moved} ({_interval(c, unit)})"


def _harm_text(c: Comparison, unit: Unit) -> str:
    if c.name.startswith(BASELINE):
        return (
            f"Worse than the {c.name}, which costs less: {_scores_text(c, unit)}, where gate.first_margin tolerates a loss of "
            f"{difference_text(c.margin or 0.0, unit)}; {_p_text(c.p_value or 0.0)}, where {c.alpha or 0.0:.2g} is allowed."
        )
    return (
        f"Harm shown on {c.name}, against the champion: {_scores_text(c, unit)}, "
        f"where a loss of {difference_text(c.margin or 0.0, unit)} is tolerated; "
        f"{_p_text(c.p_value or 0.0)}, where {c.alpha or 0.0:.2g} is Holm's level."
    )


def _cheaper_baseline_text(verdict: Verdict, unit: Unit) -> Iterator[str]:
    """That a baseline would do, where the challenger is not shown to be better than the best of those it was compared with."""
    baselines = [c for c in verdict.comparisons if c.name.startswith(BASELINE) and not c.quantity]
    best = max(baselines, key=lambda c: c.other, default=None)
    if best is not None and best.outcome != "shown" and (best.low is None or best.low <= 0):
        yield (
            f"A cheaper model would do: the {best.name} has {score_text(best.other, unit)} where the challenger has "
            f"{score_text(best.challenger, unit)}, which is not shown to be better ({_interval(best, unit)} for the difference)."
        )


def _too_few_text(verdict: Verdict, settings: ScaledGate) -> str:
    rows = f"{verdict.n} fair rows"
    if verdict.n != verdict.n_groups:
        rows += f" in {verdict.n_groups} groups, which count as {effective_rows(verdict.n_effective)},"
    needed = _count_text(verdict.rows_needed) + (" in groups like these" if verdict.n != verdict.n_groups else "")
    return (
        f"Too few rows to decide anything: {rows} where gate.min_rows asks for {settings.min_rows}; {needed} would be needed. "
        f"Collect more test rows{_groups_hint(verdict)}, or widen gate.window."
    )


def _groups_hint(verdict: Verdict) -> str:
    """Where some groups are much larger than others, rows of those add little."""
    uneven = verdict.n_effective < verdict.n_groups / 2
    return " of other groups (a few groups hold most rows, and more rows of those add little)" if uneven else ""


def _all_new_text(verdict: Verdict) -> str:
    return (
        f"All {verdict.n} rows have labels that the champion never had{_labels(verdict.new_labels)}: they cannot show what would "
        "be lost. Add test rows of the labels that it knows."
    )


def _labels(labels: tuple[str, ...]) -> str:
    more = f" and {len(labels) - MOST_LABELS} more" if len(labels) > MOST_LABELS else ""
    return f" ({', '.join(labels[:MOST_LABELS])}{more})" if labels else ""


def _count_text(rows: int | None) -> str:
    return "more than a thousand million" if rows is None else f"about {rows}"


def _more_rows(verdict: Verdict, primary: list[Comparison], settings: ScaledGate, unit: Unit) -> str:
    rules = {c.rule for c in primary if c.outcome != "shown"}
    better = primary[0].rule == "better"
    aims = {
        "better": f"to show a true gain of {difference_text(settings.effect, unit)}",
        "not_worse": "to pass a challenger that is exactly as good",
    }
    aim = " and ".join(aims[rule] for rule in ("better", "not_worse") if rule in rules)
    if verdict.rows_needed is not None and verdict.rows_needed <= verdict.n:
        return (
            f"{verdict.n} rows are enough {aim} with power {settings.power:g}, but these leave it open: the true difference may be "
            "smaller, or luck was against it."
        )
    verb = "show" if better else "pass"
    least = (
        f"; {verdict.n} rows {verb} one of {difference_text(verdict.detectable, unit)}"
        if verdict.detectable is not None and primary[0].outcome != "shown"
        else ""
    )
    return f"{_count_text(verdict.rows_needed).capitalize()} rows are needed {aim} with power {settings.power:g}{least}."


def _context_sentences(verdict: Verdict, guards: list[Comparison], evidence: Evidence, settings: ScaledGate) -> Iterator[str]:
    if guards:
        yield _guards_text(guards, settings, unit_of(evidence))
    bounds = [bound for bound in metric_bounds(settings) if bound.holds(evidence.metrics)]
    if bounds:
        texts = [f"{bound.metric} {evidence.metrics[bound.metric]:.4g}, {bound.words}" for bound in bounds]
        yield f"Bounds kept: {'; '.join(texts)}."
    if evidence.champion is not None and settings.rule == "not_worse" and evidence.anchor is None:
        yield "No anchor was given: the champion alone was compared, and a chain of small losses would not be seen."
    if settings.window is not None and evidence.recent is not None:
        yield f"Compared on the {verdict.n} fair rows of the last {settings.window} days (gate.window)."
    if verdict.new_rows:
        yield _new_rows_text(verdict, settings, unit_of(evidence))
    if any(c.clipped for c in verdict.comparisons if c.rule != "information"):
        yield (
            f"A row counts for a difference of {evidence.largest_difference:g} at most: rows that differ by more are clipped to it."
        )
    if verdict.excluded:
        rows = "1 row" if verdict.excluded == 1 else f"{verdict.excluded} rows"
        yield f"{rows} left out: copies or near copies of rows that one of the models was trained or tuned on."
    yield _look_text(verdict.look, settings, first=evidence.champion is None and settings.first == "useful")


def _new_rows_text(verdict: Verdict, settings: ScaledGate, unit: Unit) -> str:
    rows = "1 row has a label" if verdict.new_rows == 1 else f"{verdict.new_rows} rows have labels"
    return (
        f"{rows} that the champion never had{_labels(verdict.new_labels)}. They count above, and do not decide alone: "
        f"on the other {verdict.n - verdict.new_rows} rows a loss of {difference_text(settings.margin, unit)} (gate.margin) "
        "has to be ruled out too."
    )


def _guards_text(guards: list[Comparison], settings: ScaledGate, unit: Unit) -> str:
    if guards[0].name.startswith(BASELINE):
        outcome = {"harm shown": "Loss", "no harm shown": "No loss"}.get(guards[0].outcome, "Not judged: too few rows for a loss")
        margin = difference_text(settings.first_margin, unit)
        return f"{outcome} beyond {margin} (gate.first_margin) shown against the {guards[0].name}."
    judged_guards = [c for c in guards if c.outcome != "too few rows"]
    harmed, small = sum(c.outcome == "harm shown" for c in judged_guards), len(guards) - len(judged_guards)
    harm_text = f"{harmed} of them showed harm beyond its margin" if harmed else "none showed harm beyond its margin"
    rows = "rows" if all(c.n == c.n_groups for c in guards) else "effective rows"
    unjudged = f"; {small} with fewer than {settings.guards.min_n} {rows} are reported, not judged" if small else ""
    return f"Guards: {len(judged_guards)} slices, classes and older rows judged, {harm_text}{unjudged}."


def _look_text(look: int, settings: ScaledGate, *, first: bool) -> str:
    declared = settings.looks_per_year
    if first:
        return f"Look {look} of {declared} a year, for a first release: alpha is {settings.alpha:g} at the first, then less."
    if look <= declared:
        return f"Look {look} of {declared} a year: alpha {settings.alpha:g} is shared among them all."
    return (
        f"Look {look}, where gate.looks_per_year declares {declared}: the year's alpha is nearly spent, so that ever more is "
        "asked of a challenger; declare more looks for the coming year, or look less often."
    )
