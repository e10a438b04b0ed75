"""Two hundred champions under watch for a year; two thousand are by `make prove` (benchmarks/watch.py)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from simulations.drift_traffic import KINDS, OF_CLASSES, World, against_the_minimum_alone, labelled, least_p, rows, traffic
from simulations.drift_worlds import (
    Life,
    Moments,
    Setting,
    in_parts,
    life_of_classes,
    life_of_distances,
    life_of_numbers,
    life_of_shares,
    p_of_distance,
    p_of_number,
    shares_of_the_risen,
    spent,
    unaware_life,
)
from simulations.drift_worlds import moments as draw_moments
from simulations.trials import most_allowed

from configs.schema import Monitor
from tasks.drift.distinct_texts import FOLDS, texts_of
from tasks.drift.monitors import Finding, Sample, run_monitors
from tasks.drift.statistics import share_change
from tasks.stats.multiplicity import alpha_at_look

LIVES, SETTINGS = 200, Monitor()
ALONE = spent(SETTINGS) * len(OF_CLASSES)  # as if one monitor were all there are: a year's alpha, seen in few lives
LIFE: dict[str, Life] = {
    "a share": partial(life_of_shares, share=0.3, least=0.10),
    "a rare share": partial(life_of_shares, share=0.01, least=0.05),
    "accuracy": partial(life_of_shares, share=0.1, least=0.05, sides=1),
    "classes": partial(life_of_classes, least=0.10),
    "a number": partial(life_of_numbers, least=0.20),
    "a distance": partial(life_of_distances, least=SETTINGS.effects.embedding),
}


@pytest.mark.parametrize("name", LIFE)
@pytest.mark.parametrize("n_window", [100, 100_000])
def test_a_year_of_looks_holds_a_false_alarm_with_at_most_alpha(name: str, n_window: int) -> None:
    for n_reference in (600, 5000):
        for change in (0.0, 1.0):
            (alarmed,) = in_parts(LIFE[name], LIVES, Setting(n_reference, n_window, change), np.array([ALONE]), seed=1)
            assert alarmed <= most_allowed(SETTINGS.alpha, LIVES), (n_reference, change)


def test_a_test_of_plain_equality_that_trusts_its_reference_alarms_in_nearly_every_life() -> None:
    (alarmed,) = in_parts(partial(unaware_life, share=0.3), LIVES, Setting(600, 100_000, 0.0), np.array([ALONE]), seed=2)
    assert alarmed > 0.75 * LIVES


@pytest.mark.parametrize("kind", KINDS)
def test_small_lives_through_watch_itself_hold_no_more_false_alarms_than_alpha(kind: str) -> None:
    """40 lives of 3 looks of each kind, at an alpha of 0.2 for the three."""
    monitor, alarmed = Monitor(alpha=0.2, looks_per_year=3), 0
    for life in range(40):
        reference = traffic(1000 + life, 200, kind)
        looks = (run_monitors(reference, traffic(9000 + 10 * life + look, 100, kind), monitor, look, look) for look in (1, 2, 3))
        alarmed += any(finding.alarm for findings in looks for finding in findings)
    assert alarmed <= most_allowed(monitor.alpha, 40)


def test_the_lives_of_shares_are_judged_as_watch_judges() -> None:
    rng, alpha, differing = np.random.default_rng(3), spent(SETTINGS), 0
    reference, window = traffic(5, 600), traffic(6, 300)
    for _ in range(20):
        was, now = rng.integers(0, 300), rng.integers(0, 300)
        found = run_monitors(
            replace(reference, flags={"missing": np.arange(600) < was}, embeddings=None),
            replace(window, flags={"missing": np.arange(300) < now}, embeddings=None),
            SETTINGS.model_copy(update={"alpha": SETTINGS.alpha * 10 / 12}),  # two monitors fewer share it
            1,
            0,
        )[5]
        low, high = share_change(now, 300, was, 600, alpha / 2)
        differing += found.alarm != bool(low > 0.1 or high < -0.1)
    assert differing == 0


def found(reference: Sample, window: Sample, monitor: str) -> Finding:
    return run_monitors(reference, window, SETTINGS, 1, 0)[OF_CLASSES.index(monitor)]


@pytest.mark.parametrize("n_window", [100, 700])
def test_the_lives_of_numbers_are_judged_as_watch_judges(n_window: int) -> None:
    rng = np.random.default_rng(4)
    for longer in (0.7, 1.0, 1.5, 2.0, 4.0):
        old, new = (
            np.exp(0.3 * rng.standard_normal(600)),
            longer * np.exp(0.3 * rng.standard_normal(n_window)),
        )  # too even to be cut
        held = [Sample(texts=rng.integers(0, 2**62, len(each)), numbers={"length": each}) for each in (old, new)]
        with against_the_minimum_alone():
            product = found(*held, "inputs.length").p
        (life,) = p_of_number(old[None], np.array([[new.mean()]]), np.array([[new.var()]]), n_window, 0.20)
        assert life == pytest.approx(product, rel=1e-6), longer


@pytest.mark.parametrize("n_window", [100, 700])
def test_the_lives_of_distances_are_judged_as_watch_judges(n_window: int) -> None:
    """But for the variance of permuted squares, which 500 of them know to 6 %."""
    rng, spread = np.random.default_rng(5), np.exp(-0.2 * np.arange(8))
    for apart in (0.0, 0.2, 0.4, 0.6):
        vectors = [(rng.standard_normal((n, 8)) * spread).astype(np.float32) for n in (600, n_window)]
        vectors[1][:, 0] += np.float32(apart)
        held = [Sample(texts=rng.integers(0, 2**62, len(each)), embeddings=each) for each in vectors]
        with against_the_minimum_alone():
            product = found(*held, "inputs.mean").p
        texts = texts_of(held[0].texts, held[1].texts)
        was, now = (by_fold(each, texts.folds[of]) for each, of in zip(vectors, (texts.of_reference, texts.of_window), strict=True))
        ((life,),) = p_of_distance(was, now, SETTINGS.effects.embedding)
        assert np.log(life) == pytest.approx(np.log(product), rel=0.05, abs=0.05), apart


def by_fold(vectors: np.ndarray, folds: np.ndarray) -> Moments:
    inside = [vectors[folds == fold].astype(np.float64) for fold in range(FOLDS)]
    count = np.array([len(each) for each in inside], dtype=float)
    return Moments(
        count[None, None],
        np.array([each.sum(axis=0) for each in inside])[None, None],
        np.array([each.T @ each for each in inside])[None, None],
    )


def test_the_lives_of_classes_are_judged_as_watch_judges() -> None:
    rng, alarms = np.random.default_rng(6), 0
    for rise in (0.0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.5):
        old, new = rng.integers(0, 10, 600), np.where(rng.random(300) < rise, 3, rng.integers(0, 10, 300))
        held = [Sample(texts=rng.integers(0, 2**62, len(each)), categories={"language": each.astype(str)}) for each in (old, new)]
        with against_the_minimum_alone():
            product = found(*held, "inputs.language")
        texts = texts_of(held[0].texts, held[1].texts)
        cells = [texts.folds[of] * 10 + each for of, each in ((texts.of_reference, old), (texts.of_window, new))]
        was, now = (np.bincount(each, minlength=50).reshape(FOLDS, 10).astype(float) for each in cells)
        before, after, design = shares_of_the_risen(was, now)
        assert after - before == pytest.approx(product.effect)
        low, _ = share_change(after * 300 / design, 300 / design, before * 600 / design, 600 / design, product.alpha)
        assert min(low, after - before) == pytest.approx(product.low)
        alarms += product.alarm
    assert 0 < alarms < 7


def test_the_moments_of_a_days_rows_are_those_of_rows() -> None:
    """Drawn whole or row by row, from the fold's moments of 4,000 days, within five standard errors."""
    rng, root = np.random.default_rng(7), np.array([1.0, 0.5])
    with pytest.MonkeyPatch.context() as patched:
        kinds = []
        for least in (0, 10_000):
            patched.setattr("simulations.drift_worlds.WISHART", least)
            kinds.append(draw_moments(rng, (4000, 1), 100, root))
    for whole, by_row in zip(*([each.count, each.total, each.products] for each in kinds), strict=True):
        for power in (1, 2):
            means = [(each**power).mean(axis=(0, 1, 2)) for each in (whole, by_row)]
            errors = [(each**power).std(axis=(0, 1, 2)) / np.sqrt(20_000) for each in (whole, by_row)]
            assert np.all(np.abs(means[0] - means[1]) <= 5 * np.hypot(*errors))


# --- the product's own functions over lives --------------------------------------------------------------------------


@pytest.mark.parametrize("at", [World(300, 100), World(300, 100, change=1, harder=1, other=1)])
def test_small_lives_of_what_has_no_arithmetic_of_its_own_hold_no_more_false_alarms_than_alpha(at: World) -> None:
    """200 lives of 4 looks; confidence, which makes inputs harder, and accuracy, which loses twice, are beyond their minimum."""
    level = alpha_at_look(SETTINGS.alpha, 4, 1)
    with against_the_minimum_alone():
        least = np.array([least_p(1, life, 4, at, labelled)[0] for life in range(LIVES)])
    alarmed = dict(zip(OF_CLASSES, np.sum(least <= level, axis=0), strict=True))
    for name in ("inputs.language", "inputs.duplicates", "predictions.classes", "predictions.calibration", "performance.estimate"):
        assert alarmed[name] <= most_allowed(SETTINGS.alpha, LIVES), name


def test_the_minimum_alone_never_silences() -> None:
    rng, at = np.random.default_rng(8), World(300, 100, change=2, harder=2, other=2)
    for _ in range(5):
        reference, window = rows(rng, 300, World(300, 300)), rows(rng, 100, at)
        both = [finding.p for finding in run_monitors(reference, window, SETTINGS, 1, 0)]
        with against_the_minimum_alone():
            alone = [finding.p for finding in run_monitors(reference, window, SETTINGS, 1, 0)]
        assert np.all(np.array(alone) <= both)
