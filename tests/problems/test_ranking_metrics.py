"""The numbers of ranked candidates: held to scikit-learn's nDCG, to counted orders, and to SciPy's rank correlation."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import ndcg_score

from tasks.problems.metrics.ranking import score_query
from tasks.problems.metrics.similarity import chance_of_ranks, first_right_ranks, rank_agreement, similarity_metrics


@pytest.mark.parametrize("tied", [False, True])
def test_ndcg_at_10_is_that_of_scikit_learn_with_ties_too(tied):
    draw = np.random.default_rng(0)
    for size in (2, 5, 10, 11, 40):
        gains = draw.integers(0, 4, size).astype(float)
        gains[0] = 1.0
        scores = draw.integers(0, 3, size).astype(float) if tied else draw.normal(size=size)
        assert score_query(scores, gains).ndcg == pytest.approx(ndcg_score([gains], [scores], k=10))


def test_ranks_and_recalls_of_tied_candidates_are_their_means_over_all_orders():
    scores, gains = np.array([3.0, 2, 2, 2, 2, 1]), np.array([0.0, 0, 1, 0, 2, 1])
    orders = [[0, *(1 + np.array(tied)), 5] for tied in permutations(range(4))]
    reciprocal = np.mean([1 / (1 + int((gains[order] > 0).argmax())) for order in orders])
    found = score_query(scores, gains)
    assert found.reciprocal_rank == pytest.approx(reciprocal) and found.recall_1 == 0 and found.recall_10 == 1
    all_alike = score_query(np.zeros(6), gains)
    assert all_alike.recall_1 == pytest.approx(1 / 6)
    assert all_alike.reciprocal_rank == pytest.approx(chance_of_ranks(3, 6)[0])


def test_a_query_without_a_relevant_candidate_has_no_score():
    with pytest.raises(ValueError, match="no candidate"):
        score_query(np.ones(3), np.zeros(3))


def test_the_mean_of_the_agreements_is_spearmans_rank_correlation():
    draw = np.random.default_rng(0)
    for targets in (draw.normal(size=200), draw.integers(0, 3, 200).astype(float)):
        answers = targets + draw.normal(size=200)
        assert rank_agreement(targets, answers).mean() == pytest.approx(spearmanr(targets, answers).statistic)
        assert similarity_metrics(targets, answers)["correlation"] == pytest.approx(pearsonr(targets, answers).statistic)
    assert rank_agreement(np.ones(3), np.arange(3.0)).tolist() == [0.0] * 3
    assert similarity_metrics(np.arange(3.0), np.ones(3)) == {"rank_correlation": 0.0, "correlation": 0.0}


def test_the_first_right_candidate_is_ranked_behind_wrong_ones_as_near_and_those_left_out_do_not_count():
    asked = np.array([[1.0, 0.0], [0.0, 1.0]])
    candidates = np.array([[0.6, 0.8], [0.8, 0.6], [1.0, 0.0], [0.6, 0.8]])
    right, nothing = ((1,), (0,)), np.array([-1, -1])
    ranks, before = first_right_ranks(asked, candidates, right, nothing)
    assert ranks.tolist() == [2, 2] and before.tolist() == [2, 3]
    ranks, before = first_right_ranks(asked, candidates, right, np.array([2, -1]))
    assert ranks.tolist() == [1, 2] and before.tolist() == [-1, 3]


def test_chance_is_the_mean_over_all_orders():
    orders = list(permutations([1, 1, 0, 0, 0]))
    firsts = np.array([order.index(1) + 1 for order in orders])
    assert chance_of_ranks(2, 5) == pytest.approx(((1 / firsts).mean(), (firsts == 1).mean(), 1.0))
    assert chance_of_ranks(1, 100)[1:] == pytest.approx((0.01, 0.1))
