"""Monitors of sets of labels and of numbers: false alarms at the least change that counts, and what they see beyond it.

A false alarm is one where the true change is at most the minimum. Each world is drawn anew, reference included, at one alpha;
as many alarms as the 99.9 % quantile of the binomial law are allowed.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from simulations.drift_traffic import KINDS, texts

from configs.schema import Effects
from tasks.drift.categories import label_shift
from tasks.drift.distinct_texts import texts_of
from tasks.drift.inputs import number_shift
from tasks.drift.languages import judged_languages, language_loss
from tasks.drift.performance import accuracy_loss, error_rise
from tasks.drift.types import MonitorQuestion, Sample

ALPHA, TRIALS, REFERENCE, WINDOW = 0.05, 200, 300, 400
MOST = int(stats.binom.ppf(0.999, TRIALS, ALPHA))
LABELS, LEAST = 20, Effects()
SHARES = 0.6 / np.arange(1, LABELS + 1) ** 1.2  # a long tail: 60 % to 2 %


def alarms(kind: str, change: float, minimum: float, judge: Callable[..., object]) -> int:
    """How many of TRIALS worlds, with texts of this kind and a true change of `change`, give an alarm."""
    found = 0
    for trial in range(TRIALS):
        rng = np.random.default_rng((trial, KINDS.index(kind)))
        codes = texts(rng, REFERENCE, kind), texts(rng, WINDOW, kind)
        question = MonitorQuestion("m", minimum, ALPHA, trial, texts_of(*codes))
        found += judge(question, rng, codes, change).alarm  # type: ignore[attr-defined]
    return found


def by_text(rng: np.random.Generator, codes: np.ndarray, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    """Values that equal texts share."""
    distinct, place = np.unique(codes, return_inverse=True)
    return draw(len(distinct))[place]


def labels(question, rng, codes, change):
    """The commonest label is answered more often by `change`."""

    def flags(sample, more):
        drawn = by_text(rng, sample, lambda n: rng.random((n, LABELS)) < SHARES + np.eye(LABELS)[0] * more)
        return {f"label {number}": drawn[:, number] for number in range(LABELS)}

    return label_shift(question, flags(codes[0], 0.0), flags(codes[1], change), codes)


def numbers(question, rng, codes, change):
    """Answers of lognormal spread, moved by `change` standard deviations."""
    deviation = np.sqrt((np.exp(0.25) - 1) * np.exp(0.25))
    old, new = (by_text(rng, sample, lambda n: rng.lognormal(0, 0.5, n)) for sample in codes)
    return number_shift(question, old, new + change * deviation, codes, scaled=True)


def errors(question, rng, codes, change):
    """Absolute errors of a normal law, larger by `change` of their standard deviations; audits see 40 % of them."""
    deviation = np.sqrt(1 - 2 / np.pi)
    old, new = (np.abs(by_text(rng, sample, lambda n: rng.normal(size=n))) for sample in codes)
    audited = rng.random(len(new)) < 0.4
    seen = np.where(audited, new + change * deviation, np.nan)
    window = Sample(codes[1], error=seen, audit_probability=np.full(len(new), 0.4))
    return error_rise(question, Sample(codes[0], error=old), window)


def languages(question, rng, codes, change):
    """Answers of 90 % accuracy in two languages, and in one of few rows; in all they are wrong more often by `change`."""
    return language_loss(question, *in_languages(rng, codes, {"en": change, "de": change, "fr": change}))


def in_languages(rng, codes, losses, accuracy=0.9):
    """Reference and window, every answer audited; texts of one language lose that much accuracy."""

    def sample(texts, losses):
        names = by_text(rng, texts, lambda n: np.array(["en", "de", "fr", ""])[np.searchsorted([0.55, 0.9, 0.97], rng.random(n))])
        right = by_text(rng, texts, lambda n: rng.random(n)) < accuracy - np.array([losses.get(name, 0.0) for name in names])
        return Sample(texts, languages=names, correct=right.astype(float), audit_probability=np.ones(len(texts)))

    return sample(codes[0], {}), sample(codes[1], losses)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("judge", "minimum"), [(labels, LEAST.share), (numbers, LEAST.number), (errors, LEAST.number), (languages, LEAST.accuracy)]
)
def test_at_the_least_change_that_counts_false_alarms_stay_at_alpha(kind, judge, minimum):
    assert alarms(kind, minimum, minimum, judge) <= MOST


@pytest.mark.parametrize(
    ("judge", "minimum", "change"), [(labels, 0.10, 0.35), (numbers, 0.20, 0.6), (errors, 0.20, 0.9), (languages, 0.05, 0.2)]
)
def test_a_change_well_beyond_it_is_seen(judge, minimum, change):
    assert alarms(KINDS[0], change, minimum, judge) > 0.9 * TRIALS


def test_a_label_that_appears_is_named_and_labels_that_were_never_answered_say_nothing():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**60, 300), rng.integers(0, 2**60, 300)
    question = MonitorQuestion("m", LEAST.share, ALPHA, 0, texts_of(*codes))
    found = label_shift(
        question, {"old": rng.random(300) < 0.3}, {"old": rng.random(300) < 0.3, "new": rng.random(300) < 0.5}, codes
    )
    assert found.alarm and found.note.startswith("new: 0.0%, now ")
    assert not label_shift(question, {}, {}, codes).judged


def test_a_loss_in_one_language_is_named_where_the_mean_hides_it():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 2**60, 2000), rng.integers(0, 2**60, 2000)
    reference, window = in_languages(rng, codes, {"de": 0.2})
    question = MonitorQuestion("performance.language_accuracy", LEAST.accuracy, 0.001, 0, texts_of(*codes))
    assert judged_languages(reference) == ("de", "en", "fr"), "texts too short to tell are of no language"
    found = language_loss(question, reference, window)
    assert found.alarm and found.note.startswith("de: "), found
    assert found.alpha == question.alpha and found.monitor == question.monitor
    assert not accuracy_loss(question, reference, window).alarm


def test_languages_without_audits_in_the_window_are_not_judged_and_spend_their_part_all_the_same():
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 2**60, 600), rng.integers(0, 2**60, 600)
    reference, window = in_languages(rng, codes, {"en": 0.5})
    question = MonitorQuestion("performance.language_accuracy", LEAST.accuracy, 0.03, 0, texts_of(*codes))
    only_english = replace(window, correct=np.where(window.languages == "en", window.correct, np.nan))
    whole, part = language_loss(question, reference, window), language_loss(question, reference, only_english)
    assert whole.judged and part.judged and part.note == whole.note and part.p == whole.p
    none = replace(window, correct=np.full(600, np.nan))
    assert "fewer than 30 audited labels" in language_loss(question, reference, none).note
    assert "has 30 labelled rows" in language_loss(question, replace(reference, languages=None), window).note
