"""How right the champion still is: accuracy on audited rows, what confidence says of it before labels come, whether that holds.

The loss of accuracy has two parts. Inputs grow harder, and confidence shows it: `performance.estimate`, which needs no label. Or
the same confidence is right less often than it was, because what texts mean has changed: `predictions.calibration`, which only
labels show. Their sum is `performance.accuracy`. Labels count only from random audits, each by the inverse of the probability with
which its row was drawn (Horvitz and Thompson 1952; the ratio of Hájek 1971): complaints are no random sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.drift.distinct_texts import LEAST_TEXTS, DistinctTexts, texts_of, too_few
from tasks.drift.statistics import (
    Contrast,
    any_difference_p,
    clip_outliers,
    judge_mean,
    judge_share,
    mean_contrast,
    standardised_difference,
)
from tasks.drift.types import Finding, MonitorQuestion, Sample
from tasks.stats.arrays import Codes, Floats

LEAST_LABELS = 30
BANDS = 10  # of confidence, each with a tenth of the reference's rows
LEAST_IN_BAND = 10


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Rows whose label is known by audit: their numbers, scores (1 right, 0 wrong) and weights, shape (rows,)."""

    rows: Codes
    correct: Floats
    weight: Floats


def labelled_rows(sample: Sample, reference: bool, scores: Floats | None = None) -> LabelledRows | None:
    """The rows whose label is known, or None where the sample cannot have any; `scores` stand in for the sample's `correct`."""
    scores = sample.correct if scores is None else scores
    if scores is None or (sample.audit_probability is None and not reference):
        return None
    known = np.isfinite(scores)
    probability = np.ones(sample.n) if sample.audit_probability is None else np.asarray(sample.audit_probability, dtype=np.float64)
    rows = np.flatnonzero(known & np.isfinite(probability) & (probability > 0))
    return LabelledRows(rows, np.asarray(scores[rows], dtype=np.float64), 1 / probability[rows])


def accuracy_loss(question: MonitorQuestion, reference: Sample, window: Sample) -> Finding:
    """performance.accuracy: the loss against the reference, on audited rows."""
    old, new = labelled_rows(reference, reference=True), labelled_rows(window, reference=False)
    if old is None or new is None:
        return question.silent("the reference does not say what was right" if old is None else "no audited labels")
    texts, rows = _labelled_texts(reference, window, old, new), (len(old.rows), len(new.rows))
    if reason := _too_few_labels(texts, new):
        return question.silent(reason, rows)
    contrast = mean_contrast(texts, 1 - old.correct, 1 - new.correct)
    was, now = float(texts.row_reference @ old.correct), float(texts.row_window @ new.correct)
    if np.all(np.isin(old.correct, (0, 1))) and np.all(np.isin(new.correct, (0, 1))):
        tested = judge_share(contrast, (1 - was, 1 - now), texts, question.minimum, question.alpha, sides=1)
    else:
        tested = judge_mean(contrast, texts, question.minimum, question.alpha, sides=1)
    differ = any_difference_p(texts, contrast, old.correct, new.correct, question.seed)
    return question.found(tested, differ, rows, f"{was:.1%} on the reference, now {now:.1%} on {rows[1]} audited rows")


def error_rise(question: MonitorQuestion, reference: Sample, window: Sample) -> Finding:
    """performance.error: by how much numbers are further off than on the reference, on audited rows, in standard deviations of the
    reference's errors."""
    if reference.error is None or window.error is None:
        return question.silent(
            "the reference does not say how far answers were off" if reference.error is None else "no audited labels"
        )
    old, new = labelled_rows(reference, True, reference.error), labelled_rows(window, False, window.error)
    if old is None or new is None:
        return question.silent("no audited labels")
    texts, rows = _labelled_texts(reference, window, old, new), (len(old.rows), len(new.rows))
    if reason := _too_few_labels(texts, new):
        return question.silent(reason, rows)
    was, now = clip_outliers(old.correct, new.correct)
    if was.std() == 0:
        return question.silent("errors do not vary in the reference", rows)
    contrast = standardised_difference(texts, was, now)
    tested = judge_mean(contrast, texts, question.minimum, question.alpha, sides=1)
    differ = any_difference_p(texts, contrast, was, now, question.seed)
    note = (
        f"mean error {texts.row_reference @ was:.4g} on the reference, now {texts.row_window @ now:.4g} on {rows[1]} audited rows"
    )
    return question.found(tested, differ, rows, note)


def estimated_loss(question: MonitorQuestion, reference: Sample, window: Sample) -> Finding:
    """performance.estimate: the loss that the window's confidence predicts, by the reference's accuracy in bands of confidence.

    The idea of estimating performance by calibrated confidence is known as CBPE; here the reference's own rows calibrate it, and
    their sampling error, in what they hold and in how often a band was right, is part of the error.
    """
    if reference.confidence is None or window.confidence is None or reference.correct is None:
        return question.silent("no confidence, or none in the reference together with what was right")
    was = np.flatnonzero(np.isfinite(reference.confidence) & np.isfinite(reference.correct))
    now = np.flatnonzero(np.isfinite(window.confidence))
    texts, rows = question.texts(reference.texts[was], window.texts[now]), (len(was), len(now))
    if reason := too_few(texts):
        return question.silent(reason, rows)
    correct = np.asarray(reference.correct[was], dtype=np.float64)
    old_band, new_band, count = _confidence_bands(reference.confidence[was], window.confidence[now])
    by_band = _band_means(old_band, correct, count)
    plain = mean_contrast(texts, 1 - by_band[old_band], 1 - by_band[new_band])
    ratio = np.bincount(new_band, minlength=count) / len(now) / (np.bincount(old_band, minlength=count) / len(was))
    own = (correct - by_band[old_band]) * (1 - ratio[old_band])  # what the bands' own sampling error adds to the loss
    by_text = plain.by_text + texts.summed(texts.of_reference, texts.row_reference * own)
    variance = plain.row_variance + float(texts.row_reference @ own**2) * texts.noise[0]
    tested = judge_mean(Contrast(plain.value, by_text, variance), texts, question.minimum, question.alpha, sides=1)
    differ = any_difference_p(texts, plain, by_band[old_band], by_band[new_band], question.seed)
    note = (
        f"{correct.mean():.1%} on the reference, now about {correct.mean() - plain.value:.1%}, from the reference's accuracy in "
        f"{count} bands of confidence; a change of what texts mean is not seen here"
    )
    return question.found(tested, differ, rows, note)


def calibration_shift(question: MonitorQuestion, reference: Sample, window: Sample) -> Finding:
    """predictions.calibration: by how much audited rows are wrong more often (or less) than rows of their confidence used to be."""
    old, new = labelled_rows(reference, reference=True), labelled_rows(window, reference=False)
    if old is None or new is None:
        return question.silent("the reference does not say what was right" if old is None else "no audited labels")
    if reference.confidence is None or window.confidence is None:
        return question.silent("no confidence")
    was, now = reference.confidence[old.rows], window.confidence[new.rows]
    if not (np.all(np.isfinite(was)) and np.all(np.isfinite(now))):
        return question.silent("some audited rows have no confidence")
    texts, rows = _labelled_texts(reference, window, old, new), (len(old.rows), len(new.rows))
    if reason := _too_few_labels(texts, new):
        return question.silent(reason, rows)
    old_band, new_band, count = _confidence_bands(was, now)
    over_was, over_now = was - old.correct, now - new.correct
    by_band = _band_means(old_band, over_was, count)
    old_rest, new_rest = over_was - by_band[old_band], over_now - by_band[new_band]
    shares = np.bincount(new_band, weights=texts.row_window, minlength=count) / np.bincount(
        old_band, weights=texts.row_reference, minlength=count
    )
    value = float(texts.row_window @ new_rest)
    by_text = texts.summed(texts.of_window, texts.row_window * (new_rest - value))
    by_text -= texts.summed(texts.of_reference, texts.row_reference * shares[old_band] * old_rest)
    spreads = float(np.mean(old_rest**2)), float(texts.row_window @ (new_rest - value) ** 2)
    spread = max(*spreads, float(texts.row_reference @ (shares[old_band] * old_rest) ** 2))
    contrast = Contrast(value, by_text, spread * sum(texts.noise))
    tested = judge_mean(contrast, texts, question.minimum, question.alpha, sides=2)
    differ = any_difference_p(texts, contrast, old_rest, new_rest, question.seed)
    direction = "surer of itself than it is right" if value > 0 else "right more often than it says"
    return question.found(tested, differ, rows, f"{direction}, by {abs(value):.1%} more than on the reference")


def _labelled_texts(reference: Sample, window: Sample, old: LabelledRows, new: LabelledRows) -> DistinctTexts:
    return texts_of(reference.texts[old.rows], window.texts[new.rows], old.weight, new.weight)


def _too_few_labels(texts: DistinctTexts, new: LabelledRows) -> str | None:
    if len(new.rows) < LEAST_LABELS:
        return f"{len(new.rows)} audited labels, fewer than {LEAST_LABELS}"
    return too_few(texts, min(LEAST_TEXTS, LEAST_LABELS))


def _confidence_bands(reference: Floats, window: Floats) -> tuple[Codes, Codes, int]:
    """The band of confidence of each row, by the reference's quantiles; every band holds some of the reference."""
    count = int(np.clip(len(reference) // LEAST_IN_BAND, 1, BANDS))
    edges = np.unique(np.quantile(reference, np.arange(1, count) / count))
    old, new = np.searchsorted(edges, reference, side="right"), np.searchsorted(edges, window, side="right")
    occupied = np.unique(old)
    return np.searchsorted(occupied, old), np.minimum(np.searchsorted(occupied, new), len(occupied) - 1), len(occupied)


def _band_means(band: Codes, values: Floats, count: int) -> Floats:
    return np.asarray(np.bincount(band, weights=values, minlength=count) / np.bincount(band, minlength=count), dtype=np.float64)
