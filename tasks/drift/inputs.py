"""What comes in, and how sure the answers are: embeddings, lengths, words, gaps, repetitions, confidence."""

from __future__ import annotations

import numpy as np

from tasks.drift.distinct_texts import DistinctTexts, texts_of, too_few
from tasks.drift.mmd import judge_distance, kernel_space, mean_space
from tasks.drift.statistics import (
    Contrast,
    JudgedChange,
    any_difference_p,
    clip_outliers,
    difference_p,
    judge_mean,
    judge_share,
    mean_contrast,
    standardised_difference,
)
from tasks.drift.types import Bools, Finding, MonitorQuestion, Sample
from tasks.stats.arrays import Codes, Floats


def embedding_distance(question: MonitorQuestion, reference: Sample, window: Sample, kernel: bool) -> Finding:
    """inputs.topics (kernel) and inputs.mean: how far the embeddings have moved, in standard deviations of the reference."""
    if reference.embeddings is None or window.embeddings is None:
        return question.silent("no embeddings")
    was, now = (np.flatnonzero(np.isfinite(sample.embeddings[:, 0])) for sample in (reference, window))  # type: ignore[index]
    texts = question.texts(reference.texts[was], window.texts[now])
    if reason := too_few(texts):
        return question.silent(reason, (len(was), len(now)))
    first = texts.first_rows()
    vectors = np.empty((texts.n, reference.embeddings.shape[1]), dtype=np.float32)
    in_reference = first < len(was)
    vectors[in_reference] = reference.embeddings[was[first[in_reference]]]
    vectors[~in_reference] = window.embeddings[now[first[~in_reference] - len(was)]]
    space = kernel_space(vectors, texts.reference) if kernel else mean_space(vectors)
    if space.variance(texts.reference) <= 1e-9:
        return question.silent("all embeddings of the reference are the same", (len(was), len(now)))
    tested, differ = judge_distance(space, texts, question.minimum, question.alpha, question.seed)
    return question.found(tested, differ, (len(was), len(now)))


def number_shift(
    question: MonitorQuestion, reference: Floats | None, window: Floats | None, codes: tuple[Codes, Codes], scaled: bool
) -> Finding:
    """inputs.length, predictions.confidence (`scaled`: in the reference's standard deviations), inputs.vocabulary (as it is)."""
    if reference is None or window is None:
        return question.silent("not given in reference and window")
    was, now = np.flatnonzero(np.isfinite(reference)), np.flatnonzero(np.isfinite(window))
    texts = question.texts(codes[0][was], codes[1][now])
    if reason := too_few(texts):
        return question.silent(reason, (len(was), len(now)))
    old, new = reference[was].astype(np.float64), window[now].astype(np.float64)
    note = f"mean {old.mean():.4g}, now {new.mean():.4g}"
    if scaled:
        old, new = clip_outliers(old, new)
        if old.std() == 0:
            return question.silent("it does not vary in the reference", (len(was), len(now)))
        contrast = standardised_difference(texts, old, new)
    else:
        contrast = mean_contrast(texts, old, new)
    tested = judge_mean(contrast, texts, question.minimum, question.alpha, sides=2)
    return question.found(tested, any_difference_p(texts, contrast, old, new, question.seed), (len(was), len(now)), note)


def missing_shift(question: MonitorQuestion, reference: Bools | None, window: Bools | None, codes: tuple[Codes, Codes]) -> Finding:
    """inputs.missing: the share of rows without a text. What is absent is no text: no two such rows repeat one another."""
    if reference is None or window is None:
        return question.silent("not given in reference and window")
    any_missing = bool(reference.any() or window.any())
    texts = (
        texts_of(_separate_flagged(codes[0], reference, 0), _separate_flagged(codes[1], window, 1))
        if any_missing
        else question.whole
    )
    rows = len(reference), len(window)
    if reason := too_few(texts):
        return question.silent(reason, rows)
    old, new = reference.astype(np.float64), window.astype(np.float64)
    shares = float(old.mean()), float(new.mean())
    contrast = mean_contrast(texts, old, new)
    tested = judge_share(contrast, shares, texts, question.minimum, question.alpha, sides=2)
    note = f"{shares[0]:.1%} of rows, now {shares[1]:.1%}"
    return question.found(tested, any_difference_p(texts, contrast, old, new, question.seed), rows, note)


def _separate_flagged(codes: Codes, flags: Bools, sample: int) -> Codes:
    """Codes in which every flagged row has one of its own, far from all others."""
    alone = codes.copy()
    alone[flags] = np.iinfo(np.int64).max - 2 * np.arange(int(flags.sum())) - sample
    return alone


def duplicate_shift(question: MonitorQuestion, codes: tuple[Codes, Codes]) -> Finding:
    """inputs.duplicates: the share of rows that repeat another row of their sample.

    A larger sample repeats more where texts are drawn from a stock of popular ones, and no more where each is sent several times in
    a row. So a change counts only as far as it is seen both between the samples as they are and with the larger thinned to the
    smaller's size (Hurlbert's rarefaction, 1971), which are right for the one and for the other.
    """
    texts, rows = question.whole, (len(codes[0]), len(codes[1]))
    if reason := too_few(texts):
        return question.silent(reason, rows)
    smaller = min(rows)
    views = [_repeat_contrast(texts, 1.0, 1.0), _repeat_contrast(texts, smaller / rows[0], smaller / rows[1])]
    tested = [judge_mean(view, texts, question.minimum, question.alpha, sides=2) for view in views]
    smallest = min(tested, key=lambda result: abs(result.effect))
    if tested[0].effect * tested[1].effect < 0:
        smallest = JudgedChange(0.0, min(result.low for result in tested), max(result.high for result in tested), 1.0)
    p, differ = max(result.p for result in (*tested, smallest)), max(difference_p(view, texts) for view in views)
    shares = [1 - len(np.unique(sample_codes)) / len(sample_codes) for sample_codes in codes]
    note = f"{shares[0]:.1%} of rows, now {shares[1]:.1%}; the commonest text of the window: {texts.window.max():.1%} of its rows"
    return question.found(JudgedChange(smallest.effect, smallest.low, smallest.high, p), differ, rows, note)


def _repeat_contrast(texts: DistinctTexts, keep_reference: float, keep_window: float) -> Contrast:
    """The change in the share of repeating rows when a share of each sample's rows is kept at random; the error is by text."""
    values, by_text = [], np.zeros(texts.n)
    for sign, of_row, keep in ((-1, texts.of_reference, keep_reference), (1, texts.of_window, keep_window)):
        count = np.bincount(of_row, minlength=texts.n).astype(np.float64)
        inclusion = 1 - (1 - keep) ** count if keep < 1 else (count > 0).astype(np.float64)
        rows = keep * count.sum()
        distinct = float(inclusion.sum()) / rows
        values.append(sign * (1 - distinct))
        by_text -= sign * (inclusion - distinct * keep * count) / rows
    return Contrast(float(sum(values)), by_text, float(np.sum(by_text**2)) / texts.design)
