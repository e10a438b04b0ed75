"""Two equally good models whose rows share queries, candidates or ranks: the gate's test stays at its level."""

import pytest
from scipy import stats
from simulations.shared_scores import ALPHA, correlations, false_alarms, partners, queries

TRIALS = 60
MOST = stats.binom.ppf(0.999, TRIALS, ALPHA)


@pytest.mark.slow
@pytest.mark.parametrize(
    "draw",
    [
        queries(3.0, 150),
        partners(300, 300, 0.0),
        partners(1_000, 60, 0.7),
        correlations(200, 0.8),
        correlations(200, 0.8, binary=True),
    ],
    ids=["queries", "a partner each", "partners of many", "correlation", "two scores"],
)
def test_scores_that_rows_share_raise_no_more_false_alarms_than_alpha(draw):
    assert false_alarms(draw, TRIALS) <= MOST
