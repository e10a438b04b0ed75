"""What comes in and what is answered: embeddings, lengths, words, languages, gaps, repetitions, classes, confidence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from configs.schema import Effects
from tasks.judgement.drift_kernel import kernel_space, mean_space, test_distance
from tasks.judgement.drift_records import Asked, Bools, Finding, Sample, Strings
from tasks.judgement.drift_tests import (
    Contrast,
    Tested,
    difference_p,
    mean_contrast,
    scalar_permutation_p,
    test_mean,
    test_share,
)
from tasks.judgement.drift_texts import FOLDS, SMALL, Texts, texts_of
from tasks.judgement.paired import Codes, Floats

LEAST_TEXTS = 20  # distinct texts in a sample; fewer are no sample of traffic
SHOWN = 3  # classes that a note names
OUTER = 0.01  # a number is cut off a width of the reference's inner 98 % beyond it: one text of a million letters is no drift


def distance(asked: Asked, reference: Sample, window: Sample, kernel: bool) -> Finding:
    """inputs.topics (kernel) and inputs.mean: how far the embeddings have moved, in standard deviations of the reference."""
    if reference.embeddings is None or window.embeddings is None:
        return asked.silent("no embeddings")
    was, now = (np.flatnonzero(np.isfinite(sample.embeddings[:, 0])) for sample in (reference, window))  # type: ignore[index]
    texts = texts_of(reference.texts[was], window.texts[now])
    if why := too_few(texts):
        return asked.silent(why, (len(was), len(now)))
    first = texts.first_rows()
    vectors = np.empty((texts.n, reference.embeddings.shape[1]), dtype=np.float32)
    in_reference = first < len(was)
    vectors[in_reference] = reference.embeddings[was[first[in_reference]]]
    vectors[~in_reference] = window.embeddings[now[first[~in_reference] - len(was)]]
    space = kernel_space(vectors, texts.reference) if kernel else mean_space(vectors)
    if space.variance(texts.reference) <= 1e-9:
        return asked.silent("all embeddings of the reference are the same", (len(was), len(now)))
    tested, differs = test_distance(space, texts, asked.minimum, asked.alpha, asked.seed)
    return asked.found(tested, differs, (len(was), len(now)))


def number(asked: Asked, reference: Floats | None, window: Floats | None, codes: tuple[Codes, Codes], scaled: bool) -> Finding:
    """inputs.length, predictions.confidence (`scaled`: in standard deviations of the reference) and inputs.vocabulary (as it is)."""
    if reference is None or window is None:
        return asked.silent("not given in reference and window")
    was, now = np.flatnonzero(np.isfinite(reference)), np.flatnonzero(np.isfinite(window))
    texts = texts_of(codes[0][was], codes[1][now])
    if why := too_few(texts):
        return asked.silent(why, (len(was), len(now)))
    old, new = reference[was].astype(np.float64), window[now].astype(np.float64)
    note = f"mean {old.mean():.4g}, now {new.mean():.4g}"
    if scaled:
        old, new = _cut(old, new)
        if old.std() == 0:
            return asked.silent("it does not vary in the reference", (len(was), len(now)))
        contrast = _standardised(texts, old, new)
    else:
        contrast = mean_contrast(texts, old, new)
    tested = test_mean(contrast, texts, asked.minimum, asked.alpha, sides=2)
    return asked.found(tested, differs(texts, contrast, old, new, asked.seed), (len(was), len(now)), note)


def _cut(reference: Floats, window: Floats) -> tuple[Floats, Floats]:
    low, high = np.quantile(reference, [OUTER, 1 - OUTER])
    reach = high - low
    if reach == 0:
        return reference, window
    return np.clip(reference, low - reach, high + reach), np.clip(window, low - reach, high + reach)


def _standardised(texts: Texts, reference: Floats, window: Floats) -> Contrast:
    """The standardised mean difference by the reference's deviation (Glass 1976), whose own error is part of it."""
    plain, deviation = mean_contrast(texts, reference, window), float(reference.std())
    value = plain.value / deviation
    of_deviation = value / 2 * (((reference - reference.mean()) / deviation) ** 2 - 1)
    by_text = plain.by_text / deviation - texts.summed(texts.of_reference, texts.row_reference * of_deviation)
    added = float(texts.row_reference @ of_deviation**2) * texts.noise[0]
    return Contrast(value, by_text, plain.row_variance / deviation**2 + added)


def flag(asked: Asked, reference: Bools | None, window: Bools | None, codes: tuple[Codes, Codes]) -> Finding:
    """inputs.missing: the share of rows without a text. What is absent is no text: no two such rows repeat one another."""
    if reference is None or window is None:
        return asked.silent("not given in reference and window")
    apart = [_apart(held, flags, sign) for held, flags, sign in zip(codes, (reference, window), (0, 1), strict=True)]
    texts = texts_of(*apart)
    rows = len(reference), len(window)
    if why := too_few(texts):
        return asked.silent(why, rows)
    old, new = reference.astype(np.float64), window.astype(np.float64)
    shares = float(old.mean()), float(new.mean())
    contrast = mean_contrast(texts, old, new)
    tested = test_share(contrast, shares, texts, asked.minimum, asked.alpha, sides=2)
    note = f"{shares[0]:.1%} of rows, now {shares[1]:.1%}"
    return asked.found(tested, differs(texts, contrast, old, new, asked.seed), rows, note)


def _apart(codes: Codes, flags: Bools, sample: int) -> Codes:
    """Codes in which every flagged row has one of its own, far from all others."""
    dense = np.unique(codes, return_inverse=True)[1]
    alone = codes.copy()
    alone[flags] = np.iinfo(np.int64).max - 2 * np.arange(int(flags.sum())) - sample
    return alone if len(dense) else codes


def categories(asked: Asked, reference: Strings | None, window: Strings | None, codes: tuple[Codes, Codes]) -> Finding:
    """inputs.language, predictions.classes: how much of the traffic is of other categories than before (total variation).

    That is the largest difference in the share of *any set* of categories; so a set is learned on four fifths of the texts and its
    share measured on the last, five times over, which is an ordinary difference of shares and no larger than the truth.
    """
    if reference is None or window is None:
        return asked.silent("not given in reference and window")
    texts, rows = texts_of(*codes), (len(reference), len(window))
    if why := too_few(texts):
        return asked.silent(why, rows)
    names, number = np.unique(np.concatenate([reference, window]), return_inverse=True)
    old, new = number[: len(reference)], number[len(reference) :]
    tables = [
        _shares_by_fold(texts, of_row, weight, category, len(names))
        for of_row, weight, category in ((texts.of_reference, texts.row_reference, old), (texts.of_window, texts.row_window, new))
    ]
    rising = (tables[1].sum(0) - tables[1]) / _outside(tables[1]) > (tables[0].sum(0) - tables[0]) / _outside(tables[0])
    in_old = rising[texts.folds[texts.of_reference], old].astype(np.float64)
    in_new = rising[texts.folds[texts.of_window], new].astype(np.float64)
    contrast, shares = _stratified(texts, in_old, in_new, tables)
    tested = test_share(contrast, shares, texts, asked.minimum, asked.alpha, sides=1)
    if texts.n <= SMALL:
        differ = _category_permutation_p(texts, old, new, len(names), asked.seed)
    else:
        differ = difference_p(contrast, texts)
    return asked.found(tested, differ, rows, "; ".join(_moved(names, tables[0].sum(0), tables[1].sum(0))))


def _shares_by_fold(texts: Texts, of_row: Codes, weight: Floats, category: Codes, count: int) -> Floats:
    """Weights by fold and category, shape (folds, categories), sum 1."""
    cell = texts.folds[of_row] * count + category
    return np.bincount(cell, weights=weight, minlength=FOLDS * count).reshape(FOLDS, count).astype(np.float64)


def _outside(table: Floats) -> Floats:
    return np.maximum(1 - table.sum(axis=1, keepdims=True), 1e-12)


def _stratified(texts: Texts, old: Floats, new: Floats, tables: list[Floats]) -> tuple[Contrast, tuple[float, float]]:
    """The difference of means of row values within folds, weighted as the window's texts fall into them; and the two means."""
    fold_old, fold_new = texts.folds[texts.of_reference], texts.folds[texts.of_window]
    weight_old, weight_new = tables[0].sum(axis=1), tables[1].sum(axis=1)
    told = np.where(weight_old > 0, weight_new, 0.0)
    told = told / told.sum()
    mean_old = np.bincount(fold_old, weights=texts.row_reference * old, minlength=FOLDS) / np.maximum(weight_old, 1e-12)
    mean_new = np.bincount(fold_new, weights=texts.row_window * new, minlength=FOLDS) / np.maximum(weight_new, 1e-12)
    row_old = texts.row_reference * (told / np.maximum(weight_old, 1e-12))[fold_old]
    row_new = texts.row_window * (told / np.maximum(weight_new, 1e-12))[fold_new]
    by_text = texts.summed(texts.of_window, row_new * (new - mean_new[fold_new]))
    by_text -= texts.summed(texts.of_reference, row_old * (old - mean_old[fold_old]))
    was, now = float(told @ mean_old), float(told @ mean_new)
    variance = was * (1 - was) * texts.noise[0] + now * (1 - now) * texts.noise[1]
    return Contrast(now - was, by_text, variance), (was, now)


def _category_permutation_p(texts: Texts, old: Codes, new: Codes, count: int, seed: int) -> float:
    """Of the squared differences of shares, each by its share overall: the chi-square statistic, permuted over texts."""
    from tasks.judgement.drift_tests import permutation_p

    table = np.zeros((texts.n, count), dtype=np.float32)
    np.add.at(table, (texts.of_reference, old), 1)
    np.add.at(table, (texts.of_window, new), 1)
    table /= table.sum(axis=1, keepdims=True)
    share = table.mean(axis=0)
    vectors = (table - share) / np.sqrt(share)
    draws = np.concatenate([np.sum((part @ vectors).astype(np.float64) ** 2, axis=1) for part in texts.permuted(seed)])
    return permutation_p(float(np.sum((texts.excess @ vectors) ** 2)), draws)


def _moved(names: NDArray[np.str_], was: Floats, now: Floats) -> Iterator[str]:
    """The categories whose shares changed most, in words."""
    for index in np.argsort(-np.abs(now - was), kind="stable")[:SHOWN]:
        if abs(now[index] - was[index]) >= 0.005:
            yield f"{names[index]}: {was[index]:.1%}, now {now[index]:.1%}"


def duplicates(asked: Asked, codes: tuple[Codes, Codes]) -> Finding:
    """inputs.duplicates: the share of rows that repeat another row of their sample.

    A larger sample repeats more where texts are drawn from a stock of popular ones, and no more where each is sent several times in
    a row. So a change counts only as far as it is seen both between the samples as they are and with the larger thinned to the
    smaller's size (Hurlbert's rarefaction, 1971), which are right for the one and for the other.
    """
    texts, rows = texts_of(*codes), (len(codes[0]), len(codes[1]))
    if why := too_few(texts):
        return asked.silent(why, rows)
    smaller = min(rows)
    views = [_repeats(texts, 1.0, 1.0), _repeats(texts, smaller / rows[0], smaller / rows[1])]
    tested = [test_mean(view, texts, asked.minimum, asked.alpha, sides=2) for view in views]
    found = min(tested, key=lambda one: abs(one.effect))
    if tested[0].effect * tested[1].effect < 0:
        found = Tested(0.0, min(one.low for one in tested), max(one.high for one in tested), 1.0)
    p, differ = max(one.p for one in (*tested, found)), max(difference_p(view, texts) for view in views)
    shares = [1 - len(np.unique(held)) / len(held) for held in codes]
    note = f"{shares[0]:.1%} of rows, now {shares[1]:.1%}; the commonest text of the window: {texts.window.max():.1%} of its rows"
    return asked.found(Tested(found.effect, found.low, found.high, p), differ, rows, note)


def _repeats(texts: Texts, keep_reference: float, keep_window: float) -> Contrast:
    """The change in the share of repeating rows when a share of each sample's rows is kept at random; the error is by text."""
    values, by_text = [], np.zeros(texts.n)
    for sign, of_row, keep in ((-1, texts.of_reference, keep_reference), (1, texts.of_window, keep_window)):
        count = np.bincount(of_row, minlength=texts.n).astype(np.float64)
        seen = 1 - (1 - keep) ** count if keep < 1 else (count > 0).astype(np.float64)
        rows = keep * count.sum()
        distinct = float(seen.sum()) / rows
        values.append(sign * (1 - distinct))
        by_text -= sign * (seen - distinct * keep * count) / rows
    return Contrast(float(sum(values)), by_text, float(np.sum(by_text**2)) / texts.design)


def differs(texts: Texts, contrast: Contrast, reference: Floats, window: Floats, seed: int) -> float:
    """p-value of 'no difference at all': by permutation of the texts where they are few, by the normal law where they are many."""
    if texts.n > SMALL:
        return difference_p(contrast, texts)
    return scalar_permutation_p(texts, texts.mean(reference, window), seed)


def too_few(texts: Texts, least: int = LEAST_TEXTS) -> str | None:
    """Why these are no samples of traffic, or None."""
    for name, share in (("reference", texts.reference), ("window", texts.window)):
        distinct = int(np.sum(share > 0))
        if distinct < least:
            return f"{distinct} distinct texts in the {name}, fewer than {least}"
    return None
