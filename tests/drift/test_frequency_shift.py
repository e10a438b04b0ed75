"""What changed most: planted changes are found, copies are one piece of evidence, and without a change nothing is claimed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tasks.drift.frequency_shift import WordCounts, changed_shares, changed_words, word_counts, words_of

TRIALS = 200
RATE = 0.05
TOLERANCE = 3.1 * np.sqrt(RATE * (1 - RATE) / TRIALS)  # an honest 5 % is seen as more than this once in a thousand runs


def said(texts: int, **shares: float) -> list[str]:
    """Distinct texts in which each word stands with its share."""
    return [
        " ".join(
            [
                f"text{chr(97 + n // 676)}{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}",
                *(w for w, s in shares.items() if n % 100 < s * 100),
            ]
        )
        for n in range(texts)
    ]


def test_a_planted_word_is_found_and_sized() -> None:
    found = changed_words(word_counts(said(600, my=0.6, invoice=0.3)), word_counts(said(400, my=0.6, invoice=0.05, otter=0.12)))
    assert [one.name for one in found.more] == ["otter"]
    assert [one.name for one in found.less] == ["invoice"]
    otter = found.more[0]
    assert (otter.n_reference, otter.n_window, otter.window) == (0, 48, 0.12)
    assert otter.window_low < 0.12 < otter.window_high
    assert 2.0 < otter.log_odds < np.log(48)  # shrunken: finite where the plain odds ratio is not


def test_a_word_is_no_news_where_only_enough_texts_show_a_small_change() -> None:
    small = changed_words(word_counts(said(10_000, my=0.50)), word_counts(said(10_000, my=0.53)))
    assert small.more == ()
    assert [
        one.name for one in changed_words(word_counts(said(10_000, my=0.5)), word_counts(said(10_000, my=0.53)), least=1.0).more
    ] == ["my"]


def test_a_text_sent_500_times_counts_once() -> None:
    storm = [f"Order {n} of <EMAIL_ADDRESS:{n:08x}> is a ZEPPELIN" for n in range(500)]
    counted = word_counts([*said(300, my=0.5), *storm])
    assert (counted.texts, counted.rows, counted.words["zeppelin"]) == (301, 800, 1)
    assert changed_words(word_counts(said(300, my=0.5)), counted).more == ()


def test_a_customer_with_many_texts_counts_once_where_texts_are_clustered() -> None:
    counted = word_counts(["zeppelin one", "zeppelin two", "other"], ["c-1", "c-1", "c-2"])
    assert (counted.texts, counted.words["zeppelin"]) == (2, 1)


def test_words_are_folded_placeholders_are_words_and_unspaced_scripts_are_cut() -> None:
    assert words_of("Don't mail <EMAIL_ADDRESS:1f3a9c2b>, ΣΊΓΜΑ 退款!") == ["don't", "mail", "<EMAIL_ADDRESS>", "σίγμα", "退", "款"]
    assert words_of("a < b <not:a tag> <EMAIL_ADDRESS:zz>")[0] == "a"


def test_without_a_change_some_word_is_called_changed_at_the_stated_rate_at_most() -> None:
    """Zipf's words in distinct texts, both sides drawn alike, sizes uneven: the family-wise rate over 200 words."""
    rng = np.random.default_rng(0)
    share = np.minimum(0.6, 2.0 / np.arange(2, 202))
    wrong = 0
    for _ in range(TRIALS):
        counts = [dict(zip(map(str, range(200)), rng.binomial(n, share).tolist(), strict=True)) for n in (300, 100)]
        found = changed_words(WordCounts(300, counts[0], 300), WordCounts(100, counts[1], 100), RATE, least=1.0)
        wrong += bool(found.more or found.less)
    assert wrong / TRIALS <= RATE + TOLERANCE


def test_without_a_change_beyond_the_least_the_rate_holds_at_its_very_edge() -> None:
    """Every word's odds grew by just the factor that is allowed."""
    rng = np.random.default_rng(1)
    was = np.minimum(0.5, 2.0 / np.arange(4, 404, 10))
    now = 1.5 * was / (1 + 0.5 * was)
    wrong = 0
    for _ in range(TRIALS):
        old, new = (
            WordCounts(n, dict(zip(map(str, range(40)), rng.binomial(n, share).tolist(), strict=True)), n)
            for n, share in ((200, was), (300, now))
        )
        wrong += bool(changed_words(old, new, RATE, least=1.5).more)
    assert wrong / TRIALS <= RATE + TOLERANCE


@pytest.mark.parametrize(("a", "n", "b", "m"), [(0, 600, 8, 400), (30, 600, 45, 400), (5, 50, 0, 70), (200, 300, 120, 300)])
def test_at_no_least_change_p_is_twice_the_smaller_tail_of_fishers_exact_test(a: int, n: int, b: int, m: int) -> None:
    found = changed_shares({"x": a, "rest": n - a}, {"x": b, "rest": m - b})
    tails = [stats.fisher_exact([[b, m - b], [a, n - a]], alternative=side).pvalue for side in ("less", "greater")]
    assert next(one.p for one in found if one.name == "x") == pytest.approx(min(1.0, 2 * min(tails)))


def test_the_least_change_is_that_of_fishers_noncentral_distribution() -> None:
    found = changed_words(WordCounts(60, {"x": 10}, 60), WordCounts(50, {"x": 30}, 50), rate=0.9, least=2.0)
    tail = stats.nchypergeom_fisher.sf(29, 110, 40, 50, 2.0)
    assert found.more[0].p == pytest.approx(2 * tail)


def test_all_categories_come_back_the_largest_difference_first() -> None:
    found = changed_shares({"en": 500, "de": 100}, {"en": 200, "de": 60, "fr": 40})
    assert [one.name for one in found] == ["en", "fr", "de"]
    assert [one.changed for one in found] == [True, True, False]
    assert sum(one.window for one in found) == pytest.approx(1)


def test_nothing_to_compare_is_no_change() -> None:
    nothing = WordCounts(0, {}, 0)
    assert changed_words(nothing, word_counts(["a b"])).more == ()
    assert changed_words(word_counts(["a b"]), nothing).tested == 0
    assert changed_shares({}, {"x": 3}) == ()


def test_a_placeholder_is_one_word_with_a_tag_or_without() -> None:
    assert words_of("call <PHONE_NUMBER:1f3a9c2b> or <PHONE_NUMBER>") == ["call", "<PHONE_NUMBER>", "or", "<PHONE_NUMBER>"]
