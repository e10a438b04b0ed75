"""A first contract for a data set: what its records are like today, with slack, for its owner to read, edit and keep.

It needs pandas alone: a draft is JSON, which Great Expectations reads when it is first used.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from configs.errors import InputError
from configs.schema import ProblemFacts, ProblemName, facts_of
from expectations.measures import language_model

MANY = 100  # more distinct values than this are no list to keep by hand
SAMPLED = 2_000  # texts of each chunk whose language is looked at


@dataclass
class ColumnSummary:
    """Counts and lengths over all chunks; no text."""

    rows: int = 0
    nulls: Counter[str] = field(default_factory=Counter)
    lengths: dict[str, Counter[int]] = field(default_factory=dict)
    values: dict[str, Counter[str]] = field(default_factory=dict)
    languages: Counter[str] = field(default_factory=Counter)


def draft_suite(
    frames: Callable[[], Iterable[pd.DataFrame]] | Iterable[pd.DataFrame],
    problem: ProblemName,
    name: str,
    *,
    is_whole: bool = True,
) -> dict[str, Any]:
    """A suite as a JSON object: thresholds from canonical records with slack, each with its notes and its action.

    It repeats nothing of common.json and of the problem's suite, beside which it is checked. Of data that are not whole it says
    nothing that their first records cannot tell: how many there are, and which labels and slices.

    Raises:
        InputError: there are no records, or they lack id, text or target.
    """
    summary = ColumnSummary()
    for chunk in frames() if callable(frames) else frames:
        _count_chunk(summary, chunk, facts_of(problem))
    if summary.rows == 0:
        raise InputError("there are no records to draft a contract from: check data.source and data.window")
    expectations = [
        *(_row_count_checks(summary) if is_whole else ()),
        *_length_checks(summary),
        *_language_checks(summary),
        *([*_label_checks(summary), *_slice_checks(summary)] if is_whole else ()),
        *_presence_checks(summary),
    ]
    records = f"{summary.rows:,} records"
    origin = records if is_whole else f"the first {records} (`tunekeeper draft-contract` reads all)"
    notes = f"Drafted from {origin}. Read it, change what is wrong, and name this file in contract.suite."
    meta: dict[str, object] = {"notes": notes}
    if facts_of(problem).writes_text:
        meta["free_text"] = ["target"]
    return {"name": name, "meta": meta, "expectations": expectations}


def _count_chunk(summary: ColumnSummary, chunk: pd.DataFrame, facts: ProblemFacts) -> None:
    missing = [c for c in ("id", "text", "target") if c not in chunk]
    if missing:
        raise InputError(
            f"records lack {', '.join(missing)}: name the columns in data.{facts.input_column} and data.{facts.target_column}"
        )
    summary.rows += len(chunk)
    free = ["text", "target"] if facts.writes_text else ["text"]
    for column in free:
        summary.lengths.setdefault(column, Counter()).update(len(t) for t in chunk[column].dropna().astype(str))
    listed = [c for c in chunk.columns if str(c).startswith("slice_")] + (["target"] if facts.has_classes else [])
    for column in listed:
        counts = chunk[column].dropna().astype(str).value_counts()
        summary.values.setdefault(str(column), Counter()).update({str(k): int(v) for k, v in counts.items()})
    for column in [c for c in chunk.columns if str(c) == "time" or str(c).startswith("slice_")]:
        summary.nulls[str(column)] += int(chunk[column].isna().sum())
    texts = chunk["text"].dropna()
    summary.languages.update(_guess_languages(texts.iloc[:: max(1, len(texts) // SAMPLED)]))


def _guess_languages(texts: Iterable[str]) -> Iterator[str]:
    model, _ = language_model()
    for text in texts:
        if len(text.strip()) >= 40:
            code, probability = model.classify(text[:2000])
            if probability >= 0.9:
                yield str(code)


def _row_count_checks(summary: ColumnSummary) -> list[dict[str, object]]:
    least = max(1, _round_down(summary.rows * 0.5))
    notes = f"There are at least {least:,} records (today {summary.rows:,}): fewer means that the export broke off."
    return [_expectation("expect_table_row_count_to_be_between", {"min_value": least}, "stop", notes)]


def _length_checks(summary: ColumnSummary) -> list[dict[str, object]]:
    """From half the shortest hundredth to twice the longest thousandth: what is beyond is rare today and stands out tomorrow."""
    expectations = []
    for column, lengths in summary.lengths.items():
        if lengths:
            low, high = max(1, _quantile(lengths, 0.01) // 2), 2 * _quantile(lengths, 0.999)
            bounds = {"column": column, "min_value": low, "max_value": high}
            notes = f"`{column}` has {low:,} to {high:,} characters (today {min(lengths):,} to {max(lengths):,})."
            expectations.append(_expectation("expect_column_value_lengths_to_be_between", bounds, "quarantine", notes))
    return expectations


def _language_checks(summary: ColumnSummary) -> list[dict[str, object]]:
    """The languages of at least 1 % of the longer texts: below that a guess of the identifier is as likely an error."""
    total = sum(summary.languages.values())
    codes = sorted(c for c, n in summary.languages.items() if n >= max(2, 0.01 * total))
    if not codes:
        return []
    rest = 1 - sum(summary.languages[c] for c in codes) / total
    mostly = _floor_hundredths(1 - 2 * rest - 0.02)
    kwargs = {"column": "text", "languages": codes, "mostly": mostly}
    notes = f"At least {mostly:.0%} of texts are in {', '.join(codes)} (today {1 - rest:.1%} of those long enough to tell)."
    return [_expectation("expect_column_values_to_be_in_languages", kwargs, "warn", notes, sample=SAMPLED)]


def _label_checks(summary: ColumnSummary) -> list[dict[str, object]]:
    labels = summary.values.get("target")
    if not labels:
        return []
    least = max(1, _round_down(min(labels.values()) * 0.5))
    rare = _expectation(
        "expect_column_rarest_value_count_to_be_at_least",
        {"column": "target", "min_value": least},
        "warn",
        f"Each label has at least {least:,} records (today {min(labels.values()):,}).",
    )
    if len(labels) > MANY:
        low, high = math.floor(len(labels) * 0.9), math.ceil(len(labels) * 1.1)
        kwargs = {"column": "target", "min_value": low, "max_value": high}
        notes = f"There are {low:,} to {high:,} labels (today {len(labels):,})."
        return [_expectation("expect_column_unique_value_count_to_be_between", kwargs, "warn", notes), rare]
    kwargs = {"column": "target", "value_set": sorted(labels)}
    notes = f"Labels are among the {len(labels)} of today: a new one is added here on purpose, a misspelt one is set aside."
    return [_expectation("expect_column_values_to_be_in_set", kwargs, "quarantine", notes), rare]


def _slice_checks(summary: ColumnSummary) -> list[dict[str, object]]:
    expectations = []
    for column, values in summary.values.items():
        if column != "target" and values and len(values) <= MANY:
            kwargs = {"column": column, "value_set": sorted(values), "mostly": 0.99}
            notes = f"At least 99 % of `{column}` are among the {len(values)} values of today."
            expectations.append(_expectation("expect_column_values_to_be_in_set", kwargs, "warn", notes))
    return expectations


def _presence_checks(summary: ColumnSummary) -> list[dict[str, object]]:
    expectations = []
    for column, nulls in summary.nulls.items():
        share = nulls / summary.rows
        mostly = _floor_hundredths(1 - 2 * share - 0.01)
        if mostly > 0:
            notes = f"At least {mostly:.0%} of records have `{column}` (today {1 - share:.1%})."
            expectations.append(
                _expectation("expect_column_values_to_not_be_null", {"column": column, "mostly": mostly}, "warn", notes)
            )
    return expectations


def _expectation(type_: str, kwargs: dict[str, object], action: str, notes: str, sample: int | None = None) -> dict[str, object]:
    meta: dict[str, object] = {"action": action, "notes": notes}
    if sample is not None:
        meta["sample"] = sample
    return {"type": type_, "kwargs": kwargs, "severity": "critical" if action == "stop" else "warning", "meta": meta}


def _quantile(lengths: Counter[int], share: float) -> int:
    rank, sofar = share * sum(lengths.values()), 0
    for length in sorted(lengths):
        sofar += lengths[length]
        if sofar >= rank:
            return length
    return max(lengths)


def _floor_hundredths(value: float) -> float:
    return max(0.0, math.floor(value * 100 + 1e-9) / 100)


def _round_down(value: float) -> int:
    """To two leading digits: a threshold that a person wrote does not read 1,497."""
    whole = int(value)
    unit: int = 10 ** max(0, len(str(whole)) - 2)
    return whole // unit * unit
