"""Has the traffic moved away from what the champion was judged on? A year of looks with one stated chance of any false alarm.

`run_monitors` holds a window of traffic against the champion's own reference, monitor by monitor. An alarm says that the change is
larger than the least one worth an alarm (`Effects`), by a test with the sampling error of both. One that asked whether window
and reference differ *at all* would in time always say yes: the reference is one draw, kept for the champion's whole life, and
100,000 rows a week show any draw to be off.

alpha is the chance of any false alarm per champion and year. Each look may spend its share of it (`alpha_at_look`), each monitor
that the reference has data for an equal part of that. Nothing is assumed of how looks and monitors depend on one another: windows
overlap, and all share the reference. A false alarm is one where the true change is at most the minimum, were it just that all year.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from configs.schema import Effects, Monitor
from tasks.drift import inputs, performance
from tasks.drift.categories import category_shift, label_shift
from tasks.drift.distinct_texts import text_codes, texts_of
from tasks.drift.languages import judged_languages, language_loss
from tasks.drift.mmd import kernel_space, strangest_texts
from tasks.drift.types import MONITORS, Finding, MonitorQuestion, Sample
from tasks.stats.arrays import Codes
from tasks.stats.multiplicity import alpha_at_look

__all__ = ["MONITORS", "Finding", "Sample", "most_changed", "run_monitors", "text_codes"]

Judge = Callable[[MonitorQuestion, Sample, Sample], Finding]


def run_monitors(reference: Sample, window: Sample, monitor: Monitor, look: int, seed: int) -> tuple[Finding, ...]:
    """One look: a finding per monitor that answers of this kind have, in the order of MONITORS.

    `look` counts from 1 within the champion's year.

    A window of fewer than `min_rows` rows is not judged. Of one of more than `max_rows` a random part is judged, and all of its
    audited labels. `seed` decides on that part and on the permutations.
    """
    with_data = _monitors_with_data(reference)
    alpha = alpha_at_look(monitor.alpha, monitor.looks_per_year, look) / max(1, sum(with_data.values()))
    part = _subsample(window, monitor.max_rows, seed)
    whole, findings = texts_of(reference.texts, part.texts), []
    for name, (minimum, judge) in _monitor_tests(monitor.effects).items():
        if not (with_data[name] or name.startswith("inputs.")):
            continue  # of answers of another kind
        question = MonitorQuestion(name, minimum, alpha, seed, whole)
        if window.n < monitor.min_rows:
            reason = f"{window.n} rows in the window, fewer than {monitor.min_rows}"
            findings.append(question.silent(reason, (reference.n, window.n)))
        elif not with_data[name]:
            findings.append(question.silent("the reference does not hold what it takes"))
        else:
            findings.append(judge(question, reference, window if name in LABELS else part))
    return tuple(findings)


LABELS = (
    "predictions.calibration",
    "performance.accuracy",
    "performance.error",
    "performance.language_accuracy",
    "performance.language_error",
)


def _monitors_with_data(reference: Sample) -> Mapping[str, bool]:
    """Which monitors the reference has data for: fixed for the champion's life, whatever a window holds."""
    scored, right = reference.confidence is not None, reference.correct is not None
    embedded, by_language = reference.embeddings is not None, len(judged_languages(reference)) > 1
    return {
        "inputs.topics": embedded,
        "inputs.mean": embedded,
        "inputs.length": "length" in reference.numbers,
        "inputs.language": "language" in reference.categories,
        "inputs.vocabulary": "vocabulary" in reference.numbers,
        "inputs.missing": "missing" in reference.flags,
        "inputs.duplicates": True,
        "predictions.classes": reference.prediction is not None,
        "predictions.labels": reference.labels is not None,
        "predictions.number": "answer" in reference.numbers,
        "predictions.no_answer": "answer" in reference.categories,
        "predictions.answer_length": "answer_length" in reference.numbers,
        "predictions.confidence": scored,
        "predictions.calibration": scored and right,
        "performance.accuracy": right,
        "performance.error": reference.error is not None,
        "performance.language_accuracy": right and by_language,
        "performance.language_error": reference.error is not None and by_language,
        "performance.estimate": scored and right,
    }


def _monitor_tests(effects: Effects) -> Mapping[str, tuple[float, Judge]]:
    """The least effect worth an alarm, and the test, of each monitor."""

    return {
        "inputs.topics": (effects.embedding, lambda question, old, new: inputs.embedding_distance(question, old, new, kernel=True)),
        "inputs.mean": (effects.embedding, lambda question, old, new: inputs.embedding_distance(question, old, new, kernel=False)),
        "inputs.length": (effects.number, _judge_number("length", scaled=True)),
        "inputs.language": (effects.share, _judge_category("language")),
        "inputs.vocabulary": (effects.share, _judge_number("vocabulary", scaled=False)),
        "inputs.missing": (effects.share, _judge_missing),
        "inputs.duplicates": (effects.share, lambda question, old, new: inputs.duplicate_shift(question, _text_codes(old, new))),
        "predictions.classes": (
            effects.share,
            lambda question, old, new: category_shift(question, old.prediction, new.prediction, _text_codes(old, new)),
        ),
        "predictions.labels": (effects.share, _judge_labels),
        "predictions.number": (effects.number, _judge_number("answer", scaled=True)),
        "predictions.no_answer": (effects.share, _judge_category("answer")),
        "predictions.answer_length": (effects.number, _judge_number("answer_length", scaled=True)),
        "predictions.confidence": (effects.number, _judge_confidence),
        "predictions.calibration": (effects.accuracy, performance.calibration_shift),
        "performance.accuracy": (effects.accuracy, performance.accuracy_loss),
        "performance.error": (effects.number, performance.error_rise),
        "performance.language_accuracy": (effects.accuracy, language_loss),
        "performance.language_error": (effects.number, language_loss),
        "performance.estimate": (effects.accuracy, performance.estimated_loss),
    }


def _judge_number(name: str, scaled: bool) -> Judge:
    return lambda question, old, new: inputs.number_shift(
        question, old.numbers.get(name), new.numbers.get(name), _text_codes(old, new), scaled
    )


def _judge_category(name: str) -> Judge:
    return lambda question, old, new: category_shift(
        question, old.categories.get(name), new.categories.get(name), _text_codes(old, new)
    )


def _judge_missing(question: MonitorQuestion, old: Sample, new: Sample) -> Finding:
    return inputs.missing_shift(question, old.flags.get("missing"), new.flags.get("missing"), _text_codes(old, new))


def _judge_labels(question: MonitorQuestion, old: Sample, new: Sample) -> Finding:
    return label_shift(question, old.labels, new.labels, _text_codes(old, new))


def _judge_confidence(question: MonitorQuestion, old: Sample, new: Sample) -> Finding:
    return inputs.number_shift(question, old.confidence, new.confidence, _text_codes(old, new), scaled=True)


def _text_codes(reference: Sample, window: Sample) -> tuple[Codes, Codes]:
    return reference.texts, window.texts


def _subsample(window: Sample, most: int, seed: int) -> Sample:
    if window.n <= most:
        return window
    return window.rows(np.sort(np.random.default_rng(seed).choice(window.n, most, replace=False)))


def most_changed(reference: Sample, window: Sample, count: int = 10) -> tuple[int, ...]:
    """Rows of the window whose texts are most typical of how its embeddings differ from the reference's, the most typical first."""
    if reference.embeddings is None or window.embeddings is None:
        return ()
    was, now = (np.flatnonzero(np.isfinite(sample.embeddings[:, 0])) for sample in (reference, window))  # type: ignore[index]
    if not len(was) or not len(now):
        return ()
    texts = texts_of(reference.texts[was], window.texts[now])
    vectors = np.concatenate([reference.embeddings[was], window.embeddings[now]])[texts.first_rows()]
    chosen = strangest_texts(kernel_space(vectors, texts.reference), texts, count)
    of_text = dict(zip(texts.of_window[::-1].tolist(), now[::-1].tolist(), strict=True))
    return tuple(of_text[number] for number in chosen)
