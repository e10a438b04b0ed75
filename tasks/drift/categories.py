"""Languages and predicted classes: how much of the traffic is of other kinds than it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tasks.drift.distinct_texts import FOLDS, SMALL, DistinctTexts, too_few
from tasks.drift.statistics import (
    Contrast,
    JudgedChange,
    any_difference_p,
    difference_p,
    judge_share,
    mean_contrast,
    permutation_p,
)
from tasks.drift.types import Bools, Finding, MonitorQuestion, Strings
from tasks.stats.arrays import Codes, Floats

SHOWN = 3  # categories that a note names


def category_shift(
    question: MonitorQuestion, reference: Strings | None, window: Strings | None, codes: tuple[Codes, Codes]
) -> Finding:
    """inputs.language, predictions.classes: how much of the traffic is of other categories than before (total variation).

    That is the largest difference in the share of *any set* of categories; so a set is learned on four fifths of the texts and its
    share measured on the last, five times over, which is an ordinary difference of shares and no larger than the truth.
    """
    if reference is None or window is None:
        return question.silent("not given in reference and window")
    texts, rows = question.texts(*codes), (len(reference), len(window))
    if reason := too_few(texts):
        return question.silent(reason, rows)
    names, number = np.unique(np.concatenate([reference, window]), return_inverse=True)
    old, new = number[: len(reference)], number[len(reference) :]
    tables = [
        _shares_by_fold(texts, of_row, weight, category, len(names))
        for of_row, weight, category in ((texts.of_reference, texts.row_reference, old), (texts.of_window, texts.row_window, new))
    ]
    rising = (tables[1].sum(0) - tables[1]) / _remainder(tables[1]) > (tables[0].sum(0) - tables[0]) / _remainder(tables[0])
    in_old = rising[texts.folds[texts.of_reference], old].astype(np.float64)
    in_new = rising[texts.folds[texts.of_window], new].astype(np.float64)
    contrast, shares = _stratified_contrast(texts, in_old, in_new, tables)
    tested = judge_share(contrast, shares, texts, question.minimum, question.alpha, sides=1)
    few = texts.n <= SMALL
    differ = _permutation_p(texts, old, new, len(names), question.seed) if few else difference_p(contrast, texts)
    return question.found(tested, differ, rows, "; ".join(_largest_changes(names, tables[0].sum(0), tables[1].sum(0))))


def label_shift(
    question: MonitorQuestion,
    reference: Mapping[str, Bools] | None,
    window: Mapping[str, Bools] | None,
    codes: tuple[Codes, Codes],
) -> Finding:
    """predictions.labels: the largest change in the share of answers that hold a label, where answers are sets of them.

    Each label is tested at an equal part of alpha (Bonferroni), up and down.
    """
    if reference is None or window is None:
        return question.silent("not given in reference and window")
    texts, rows = question.texts(*codes), (len(codes[0]), len(codes[1]))
    if reason := too_few(texts):
        return question.silent(reason, rows)
    names = sorted({*reference, *window})
    if not names:
        return question.silent("no label was ever answered", rows)
    tested = {name: _tested_label(question, texts, reference.get(name), window.get(name), len(names)) for name in names}
    name = min(tested, key=lambda each: (max(tested[each][0].p, tested[each][1]), -abs(tested[each][0].effect), each))
    change, differ, shares = tested[name]
    whole = JudgedChange(change.effect, change.low, change.high, min(1.0, change.p * len(names)))
    return question.found(whole, min(1.0, differ * len(names)), rows, f"{name}: {shares[0]:.1%}, now {shares[1]:.1%}")


def _tested_label(
    question: MonitorQuestion, texts: DistinctTexts, reference: Bools | None, window: Bools | None, labels: int
) -> tuple[JudgedChange, float, tuple[float, float]]:
    """How the share of one label of so many changed, the p-value of no change at all, and the two shares."""
    old = np.zeros(len(texts.of_reference)) if reference is None else reference.astype(np.float64)
    new = np.zeros(len(texts.of_window)) if window is None else window.astype(np.float64)
    contrast, shares = mean_contrast(texts, old, new), (float(old.mean()), float(new.mean()))
    tested = judge_share(contrast, shares, texts, question.minimum, question.alpha / labels, sides=2)
    return tested, any_difference_p(texts, contrast, old, new, question.seed), shares


def _shares_by_fold(texts: DistinctTexts, of_row: Codes, weight: Floats, category: Codes, count: int) -> Floats:
    """Weights by fold and category, shape (folds, categories), sum 1."""
    cell = texts.folds[of_row] * count + category
    return np.asarray(np.bincount(cell, weights=weight, minlength=FOLDS * count).reshape(FOLDS, count), dtype=np.float64)


def _remainder(table: Floats) -> Floats:
    return np.asarray(np.maximum(1 - table.sum(axis=1, keepdims=True), 1e-12), dtype=np.float64)


def _stratified_contrast(
    texts: DistinctTexts, old: Floats, new: Floats, tables: list[Floats]
) -> tuple[Contrast, tuple[float, float]]:
    """The difference of means of row values within folds, weighted as the window's texts fall into them; and the two means."""
    fold_old, fold_new = texts.folds[texts.of_reference], texts.folds[texts.of_window]
    weight_old, weight_new = tables[0].sum(axis=1), tables[1].sum(axis=1)
    fold_weights = np.where(weight_old > 0, weight_new, 0.0)
    fold_weights = fold_weights / fold_weights.sum()
    mean_old = np.bincount(fold_old, weights=texts.row_reference * old, minlength=FOLDS) / np.maximum(weight_old, 1e-12)
    mean_new = np.bincount(fold_new, weights=texts.row_window * new, minlength=FOLDS) / np.maximum(weight_new, 1e-12)
    row_old = texts.row_reference * (fold_weights / np.maximum(weight_old, 1e-12))[fold_old]
    row_new = texts.row_window * (fold_weights / np.maximum(weight_new, 1e-12))[fold_new]
    by_text = texts.summed(texts.of_window, row_new * (new - mean_new[fold_new]))
    by_text -= texts.summed(texts.of_reference, row_old * (old - mean_old[fold_old]))
    was, now = float(fold_weights @ mean_old), float(fold_weights @ mean_new)
    variance = was * (1 - was) * texts.noise[0] + now * (1 - now) * texts.noise[1]
    return Contrast(now - was, by_text, variance), (was, now)


def _permutation_p(texts: DistinctTexts, old: Codes, new: Codes, count: int, seed: int) -> float:
    """Of the squared differences of shares, each by its share overall: the chi-square statistic, permuted over texts."""
    table = np.zeros((texts.n, count), dtype=np.float32)
    np.add.at(table, (texts.of_reference, old), 1)
    np.add.at(table, (texts.of_window, new), 1)
    table /= table.sum(axis=1, keepdims=True)
    share = table.mean(axis=0)
    vectors = (table - share) / np.sqrt(share)
    draws = np.concatenate([np.sum((part @ vectors).astype(np.float64) ** 2, axis=1) for part in texts.permuted(seed)])
    return permutation_p(float(np.sum((texts.excess @ vectors) ** 2)), draws)


def _largest_changes(names: NDArray[np.str_], was: Floats, now: Floats) -> Iterator[str]:
    """The categories whose shares changed most, in words."""
    for index in np.argsort(-np.abs(now - was), kind="stable")[:SHOWN]:
        if abs(now[index] - was[index]) >= 0.005:
            yield f"{names[index]}: {was[index]:.1%}, now {now[index]:.1%}"
