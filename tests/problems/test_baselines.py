"""The baselines are honest opponents: they learn from train rows only, say the same twice, and their likelihoods add up."""

from __future__ import annotations

import csv
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.schema import Supervised
from tasks.learning.scoring import fit_lexical
from tasks.problems.baselines.classification import few_of_each, majority_class, nearest_centroid, tfidf_logistic
from tasks.problems.baselines.language import bigram_scores, unigram_scores

BANKING = Path(__file__).parents[3] / "shared" / "data" / "banking77"
TEXTS = ["where is my card", "the card is lost", "send a new card", "what is the rate", "rates of exchange", "a better rate please"]
TOPICS = np.array([0, 0, 0, 2, 2, 2])


def test_the_majority_class_is_that_of_the_train_rows_whatever_the_test_rows_hold() -> None:
    found = majority_class(np.array([2, 1, 2]), np.array([1, 1, 1, 2]), classes=4)
    assert found.predictions.tolist() == [2, 2, 2, 2]
    assert found.correct.tolist() == [0, 0, 0, 1]
    assert found.probabilities is not None
    assert found.probabilities[0].tolist() == pytest.approx([1 / 7, 2 / 7, 3 / 7, 1 / 7])


def test_of_equally_frequent_classes_the_lowest_code_is_said() -> None:
    assert majority_class(np.array([3, 1, 1, 3]), np.array([3]), classes=4).predictions.tolist() == [1]


def test_tfidf_learns_words_and_gives_a_class_without_train_rows_no_probability() -> None:
    found = tfidf_logistic(TEXTS, TOPICS, ["my card", "a rate"], np.array([0, 2]), classes=3)
    assert found.predictions.tolist() == [0, 2]
    assert found.probabilities is not None
    assert found.probabilities.shape == (2, 3)
    assert found.probabilities.sum(axis=1) == pytest.approx([1, 1])
    assert (found.probabilities[:, 1] == 0).all()


def test_tfidf_says_the_same_twice_and_reads_texts_it_has_no_word_of() -> None:
    first, second = (tfidf_logistic(TEXTS, TOPICS, ["", "ключ", "card rate"], np.array([0, 0, 0]), 3, seed=4) for _ in range(2))
    assert first.probabilities is not None
    assert second.probabilities is not None
    assert (first.probabilities == second.probabilities).all()


def test_what_one_test_row_says_does_not_depend_on_the_other_test_rows() -> None:
    alone = tfidf_logistic(TEXTS, TOPICS, ["my card"], np.array([0]), classes=3)
    among = tfidf_logistic(TEXTS, TOPICS, ["my card", "unheard words here"], np.array([0, 1]), classes=3)
    assert alone.probabilities is not None
    assert among.probabilities is not None
    assert alone.probabilities[0] == pytest.approx(among.probabilities[0], rel=1e-12)


def test_tfidf_of_one_class_says_that_class() -> None:
    found = tfidf_logistic(["a", "b"], np.array([1, 1]), ["c", "d"], np.array([1, 0]), classes=2)
    assert found.predictions.tolist() == [1, 1]
    assert found.correct.tolist() == [1, 0]


def test_the_nearest_centroid_looks_at_direction_and_never_says_a_class_without_rows() -> None:
    train = np.array([[1.0, 0.1], [9.0, -0.9], [0.0, 2.0]])
    found = nearest_centroid(
        train, np.array([0, 0, 2]), np.array([[0.2, 0.01], [0.3, 5.0], [-1.0, -1.1]]), np.array([0, 2, 1]), classes=3
    )
    assert found.predictions[:2].tolist() == [0, 2]
    assert found.predictions[2] in (0, 2)
    assert found.probabilities is None
    assert found.correct.tolist() == [1, 1, 0]


def test_the_nearest_centroid_equals_scikit_learns_on_directions() -> None:
    from sklearn.neighbors import NearestCentroid
    from sklearn.preprocessing import normalize

    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 200)
    x = normalize(rng.normal(size=(5, 16))[y] + rng.normal(size=(200, 16)))
    centres = normalize(NearestCentroid().fit(x[:150], y[:150]).centroids_)
    expected = (x[150:] @ centres.T).argmax(axis=1)
    assert (nearest_centroid(x[:150], y[:150], x[150:], y[150:], 5).predictions == expected).all()


def test_the_seconds_are_those_of_the_clock_handed_in() -> None:
    ticks = count(start=10, step=3)
    assert majority_class(np.array([0]), np.array([0]), 1, clock=lambda: next(ticks)).seconds == 3


@pytest.mark.parametrize("model", [unigram_scores, bigram_scores])
def test_token_likelihoods_are_a_distribution_over_the_vocabulary_in_every_context(model) -> None:
    train = [[0, 1, 2, 1], [3, 1], [], [0, 0, 0]]
    for before in ([], [0], [1], [2], [4]):
        rows = [[*before, token] for token in range(5)]
        prefix = model(train, [before], 5).log_likelihood[0]
        assert np.exp(model(train, rows, 5).log_likelihood - prefix).sum() == pytest.approx(1, rel=1e-12)


def test_a_bigram_is_counted_as_witten_and_bell_say() -> None:
    """After 1: 2 twice, 0 once, so two kinds in three; the unigram of 2 is (2 + 1) / (8 + 4)."""
    found = bigram_scores([[1, 2, 1], [1, 2], [1, 0, 3]], [[1, 2]], vocabulary=4)
    first = (3 + 1 * (4 + 1) / 12) / (3 + 1)
    second = (2 + 2 * (2 + 1) / 12) / (3 + 2)
    assert found.log_likelihood[0] == pytest.approx(np.log(first) + np.log(second), rel=1e-12)
    assert found.tokens.tolist() == [2]


def test_a_bigram_beats_a_unigram_on_a_chain_and_both_sum_over_rows_of_their_own_length() -> None:
    chain = [[(i + j) % 7 for j in range(n)] for i, n in enumerate([5, 9, 1, 12, 3, 8])]
    one, two = unigram_scores(chain, chain, 7), bigram_scores(chain, chain, 7)
    assert one.tokens.tolist() == two.tokens.tolist() == [5, 9, 1, 12, 3, 8]
    assert two.log_likelihood.sum() > one.log_likelihood.sum()
    assert bigram_scores([], [[1, 2]], 4).log_likelihood == pytest.approx([2 * np.log(1 / 4)])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: majority_class(np.array([], dtype=int), np.array([0]), 2), "got 0 rows"),
        (lambda: majority_class(np.array([0, 2]), np.array([0]), 2), r"codes 0\.\.1"),
        (lambda: nearest_centroid(np.array([[np.nan]]), np.array([0]), np.array([[1.0]]), np.array([0]), 1), "finite"),
        (lambda: unigram_scores([[0, 9]], [[0]], 5), "vocabulary has 5"),
    ],
)
def test_what_cannot_be_fitted_is_refused_by_name(call, says) -> None:
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.slow
@pytest.mark.skipif(not BANKING.exists(), reason="the real data set is not beside this checkout")
def test_tfidf_on_banking77_is_as_good_as_the_published_linear_svm() -> None:
    """0.9149 was measured for LinearSVC; of 3,080 rows one standard error is 0.005."""
    rows = {name: list(csv.DictReader((BANKING / f"{name}.csv").open(encoding="utf-8"))) for name in ("train", "test")}
    names = sorted({row["category"] for row in rows["train"]})
    texts = {name: [row["text"] for row in part] for name, part in rows.items()}
    codes = {name: np.array([names.index(row["category"]) for row in part]) for name, part in rows.items()}
    found = tfidf_logistic(texts["train"], codes["train"], texts["test"], codes["test"], len(names))
    assert found.accuracy > 0.905


def test_few_of_each_class_are_spread_over_its_rows_and_small_classes_stay_whole() -> None:
    codes = np.array([0] * 10 + [1] * 2 + [0] * 10)
    assert few_of_each(codes, 4).tolist() == [0, 5, 10, 11, 12, 17]
    assert few_of_each(codes, 100).tolist() == list(range(22))


def test_the_lexical_baselines_of_a_snapshots_files_are_those_of_its_rows(tmp_path: Path) -> None:
    names = np.array(["card", "", "rate"])
    for name, texts, topics in (("train", TEXTS, TOPICS), ("test", ["my card", "a rate"], np.array([0, 2]))):
        pd.DataFrame({"text": texts, "target": names[topics]}).to_parquet(tmp_path / f"{name}.parquet")
    found = fit_lexical(Supervised(), "text-classification", [tmp_path / "train.parquet"], tmp_path / "test.parquet")
    assert [each.name for each in found] == ["majority class", "TF-IDF + logistic regression"]
    assert found[1].scores.tolist() == [1.0, 1.0] and found[1].metrics["accuracy"] == 1.0
    assert fit_lexical(Supervised(), "text-generation", [tmp_path / "train.parquet"], tmp_path / "test.parquet") == ()
