"""Reports as a run would write them, at the sizes that a page must stand: numbers invented, seeded, consistent."""

from __future__ import annotations

import random
from dataclasses import replace

from report_parts import (
    calibration_of,
    class_scores,
    confusion_of,
    cost,
    curves_of,
    data_summary,
    fit_of,
    guards_of,
    identity,
    interval,
    system_of,
)

from tasks.report.run.data import ComparisonRow, Identity, Population, ReportData, Score, System
from tasks.report.run.rows import Generation, SliceRow, WorstError

HELPDESK = (
    "refund_request",
    "late_delivery",
    "password_reset",
    "login_code_missing",
    "change_address",
    "cancel_order",
    "invoice_copy",
    "app_crash",
    "double_charge",
    "gift_card",
    "product_question",
    "watch_pairing",
)
TEXTS = (
    "I was charged twice for order [ORDER] and the second one is still pending, write to [EMAIL_ADDRESS:8f21c0]",
    "the code never arrives, I tried three times since this morning",
    "Can you send the parcel to my office instead? Number is [PHONE_NUMBER:1ab930]",
    "my new watch does not show up in the app after the update",
    "where do I find last month's bill, the page only says error 500",
    "please stop the order before it ships",
)


def classification(labels: tuple[str, ...] = HELPDESK, rows: int = 600, error: float = 0.06) -> ReportData:
    """A promotion: the challenger beats champion 3."""
    chance = random.Random(7)
    confusion = confusion_of(labels, rows, error, chance)
    n = sum(map(sum, confusion.counts))
    right = sum(confusion.counts[i][i] for i in range(len(labels))) / n
    primary = ComparisonRow(
        name="champion version 3",
        kind="better",
        wins=31,
        losses=15,
        confidence=0.9,
        n=n - 18,
        difference=0.027,
        low=0.010,
        high=0.044,
        p_value=0.00042,
        alpha=0.00096,
        outcome="shown",
    )
    anchor = ComparisonRow(
        name="anchor version 2",
        kind="not_worse",
        n=n - 18,
        difference=0.031,
        low=0.012,
        high=0.05,
        p_value=0.00021,
        alpha=0.00096,
        margin=0.01,
        outcome="shown",
    )
    floor = ComparisonRow(name="floor: f1_macro at least 0.85", kind="floor", n=n, outcome="met", note="0.934")
    slices = tuple(
        SliceRow(
            column=column,
            name=name,
            n=size,
            value=value,
            low=interval(value, size)[0],
            high=interval(value, size)[1],
            champion=value - 0.02,
            outcome="no harm shown" if size >= 30 else "too few rows",
        )
        for column, name, size, value in (
            ("region", "north", 188, 0.957),
            ("region", "south", 201, 0.936),
            ("region", "west", 199, 0.93),
            ("region", "islands", 12, 0.83),
            ("language", "en", 512, 0.943),
            ("language", "de", 88, 0.92),
        )
    )
    return ReportData(
        pipeline="helpdesk",
        problem="text-classification",
        verdict="PROMOTE",
        reasons=(
            "Better than champion version 3 on the same 582 rows: p = 0.0004, below this look's 0.00096.",
            "Not worse than the anchor, version 2, by more than 1 point.",
            "No guard found harm on any class, region or language.",
        ),
        run_id="6f1d4c0b92e84a7d8d0c5b2f9a1e7c33",
        created="21 November 2026, 07:40 UTC",
        primary_metric="accuracy",
        systems=(
            system_of("TF-IDF + logistic regression", "baseline", right - 0.094, n, 0.55),
            system_of("champion", "champion", right - 0.027, n, 0.27, "3"),
            system_of("challenger", "challenger", right, n, 0.21, "4"),
            system_of("majority class", "baseline", 1.4 / len(labels), n, 2.4),
            system_of("nearest class centroid", "baseline", right - 0.151, n, 0.9),
        ),
        identity=identity(),
        model_name="helpdesk",
        model_version="4",
        champion_version="3",
        look=5,
        looks_per_year=52,
        next_command="tunekeeper monitor configs/helpdesk.yaml",
        comparisons=(primary, anchor, floor, *guards_of(confusion)),
        population=Population(
            test=n, window=n, left_out=18, judged=n - 18, groups=n - 40, effective=n - 71.5, new_rows=12, new_labels=("refunds",)
        ),
        classes=class_scores(confusion, chance),
        slices=slices,
        confusion=confusion,
        calibration=calibration_of(chance),
        curves=curves_of(2.5, 0.12),
        kept_epoch=4,
        fit=fit_of(0.991, 0.945, right),
        data=data_summary(),
        errors=tuple(
            WorstError(
                id=f"t-{1000 + k}",
                text=text,
                target=labels[k % len(labels)],
                prediction=labels[(k * 5 + 3) % len(labels)],
                confidence=0.99 - 0.013 * k,
            )
            for k, text in enumerate(TEXTS)
        ),
        cost=cost(),
    )


def banking() -> ReportData:
    """77 classes and a HOLD by a veto."""
    chance = random.Random(11)
    heads = ("card", "transfer", "top_up", "exchange_rate", "pending_cash_withdrawal", "verify_my_identity", "direct_debit_payment")
    tails = (
        "not_arrived",
        "declined",
        "fee_charged",
        "not_recognised",
        "lost_or_stolen",
        "limits",
        "by_bank_transfer",
        "pending",
        "reverted",
        "wrong_amount_received",
        "supported_countries",
    )
    labels = tuple(f"{head}_{tail}" for head in heads for tail in tails)
    report = classification(labels, 3080, 0.06)
    veto = ComparisonRow(
        name="recall of card_declined",
        kind="guard",
        n=40,
        difference=-0.225,
        low=-0.37,
        high=-0.08,
        p_value=0.00003,
        alpha=0.0001,
        margin=0.1,
        outcome="harm shown",
    )
    return replace(
        report,
        pipeline="banking77",
        verdict="HOLD",
        model_version=None,
        model_name="banking77",
        comparisons=(*report.comparisons, veto),
        reasons=(
            "Better overall, but recall of card_declined fell by 22.5 points: harm beyond its 10 points is shown (p < 0.0001).",
        ),
        calibration=calibration_of(chance),
        next_command="tunekeeper report configs/banking77.yaml",
    )


def first_release() -> ReportData:
    """No champion: the bar is the best baseline."""
    report = classification()
    primary = replace(
        report.comparisons[0],
        name="the best baseline (TF-IDF + logistic regression)",
        difference=0.094,
        low=0.068,
        high=0.12,
        p_value=1e-12,
    )
    return replace(
        report,
        model_version="1",
        champion_version=None,
        look=1,
        comparisons=(primary,),
        reasons=("Better than the best baseline.",),
        systems=tuple(s for s in report.systems if s.role in ("challenger", "baseline")),
        slices=(),
        classes=tuple(replace(one, champion=None) for one in report.classes),
        calibration=replace(report.calibration, champion_ece=None) if report.calibration else None,
    )


def inconclusive() -> ReportData:
    report = classification(rows=120)
    primary = replace(
        report.comparisons[0], n=102, difference=0.019, low=-0.03, high=0.068, p_value=0.23, outcome="open", wins=9, losses=7
    )
    who = replace(report.population, test=120, window=120, judged=102, needed=1240, detectable=0.071) if report.population else None
    return replace(
        report,
        verdict="INCONCLUSIVE",
        comparisons=(primary, *report.comparisons[1:]),
        population=who,
        model_version=None,
        reasons=("102 fair test rows are too few to see a gain of 2 points: about 1 240 are needed.",),
        notices=("Version 3 was promoted in MLflow's own UI on 14 November; it was taken over as an EXTERNAL epoch.",),
    )


def generation() -> ReportData:
    def system(name: str, role: str, nll: float, rouge: float, version: str | None = None) -> System:
        scores = (
            Score(metric="nll_per_token", value=nll, low=nll - 0.03, high=nll + 0.03, unit="number", higher_is_better=False),
            Score(metric="nll_per_token_row_mean", value=nll + 0.4, unit="number", higher_is_better=False),
            Score(metric="perplexity", value=2.718**nll, unit="number", higher_is_better=False),
            Score(metric="rouge_l", value=rouge, low=rouge - 0.013, high=rouge + 0.013),
            Score(metric="exact_match", value=0.0, low=0.0, high=0.018),
        )
        return System(name=name, role=role, scores=scores, version=version)  # type: ignore[arg-type]

    primary = ComparisonRow(
        name="the base model",
        kind="better",
        wins=31,
        losses=15,
        confidence=0.9,
        n=618,
        difference=0.82,
        low=0.79,
        high=0.85,
        p_value=1e-5,
        alpha=0.00096,
        outcome="shown",
        unit="number",
        quantity="log-likelihood per token, mean of rows",
    )
    samples = tuple(
        Generation(
            id=f"p-{k}",
            prompt="Summarise: We study how a shared encoder transfers between tasks of unequal size.\nTL;DR:",
            reference="A shared encoder transfers well when the small task is sampled more often.",
            output=("we propose a new method for learning a model of a task", "the shared encoder is a model that can be used")[
                k % 2
            ],
            rouge_l=0.12 + 0.07 * k,
            exact_match=False,
            log_likelihood=-5.8 + 0.3 * k,
        )
        for k in range(3)
    )
    return replace(
        classification(),
        pipeline="scitldr-stories",
        problem="text-generation",
        primary_metric="nll_per_token",
        comparisons=(primary,),
        systems=(system("challenger", "challenger", 3.88, 0.19, "1"), system("base model", "baseline", 4.7, 0.11)),
        model_version="1",
        model_name="scitldr-stories",
        champion_version=None,
        look=1,
        classes=(),
        slices=(),
        confusion=None,
        calibration=None,
        errors=(),
        generations=samples,
        curves=curves_of(7.1, 3.9),
        fit=None,
        reasons=("Better than the base model: held-out log-likelihood per token rose by 0.82.",),
        population=Population(test=618, judged=618),
    )


def least() -> ReportData:
    """Nothing but what must be there."""
    identity = Identity(snapshot="a" * 64, train_key="b" * 64, decision_key="c" * 64, base="base")
    return ReportData(
        pipeline="least",
        problem="text-classification",
        verdict="INCONCLUSIVE",
        reasons=(),
        run_id="r",
        created="2026-11-21",
        primary_metric="accuracy",
        systems=(),
        identity=identity,
    )


EVERY = {
    "classification": classification,
    "banking": banking,
    "first_release": first_release,
    "inconclusive": inconclusive,
    "generation": generation,
    "least": least,
}
