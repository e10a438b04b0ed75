"""Where the reference's texts lie: in the one space that the monitors put traffic into, whatever the base pools by."""

from types import SimpleNamespace

import numpy as np
import pytest
import tiny

from configs.schema import Evaluation, Full
from tasks.common.bases import find_base
from tasks.evaluate import POINTS, Baselines
from tasks.learning.embedding import embed_texts
from tasks.learning.network import build_network, spec_of
from tasks.learning.scoring import score_opponents, scoring_of
from tasks.problems import problem_of
from tasks.reference import _embed_texts

PIPELINE = SimpleNamespace(model=SimpleNamespace(max_length=16), training=SimpleNamespace(precision="fp32"))


@pytest.mark.parametrize("pooling", ["mean", None])
def test_reference_and_traffic_are_pooled_alike_whatever_the_baselines_pool_by(tmp_path, pooling):
    base = find_base(str(tiny.bert(tmp_path / "base", pooling=pooling)))
    rows = tiny.frame(12).drop_duplicates("text")
    test, texts = rows[:8], rows["text"].tolist()
    labels = tuple(sorted(set(rows["target"])))
    network = build_network(spec_of("text-classification", Full(), labels, 16, 0, base), base.path)
    points = score_opponents(problem_of(network.spec.problem), network, rows, test, (), scoring_of(Evaluation(), "fp32")).points
    assert (points is not None) == (network.model.pooling == "mean") == (pooling == "mean")
    if points is not None:
        np.save(tmp_path / POINTS, points)
    placed = _embed_texts(PIPELINE, base, Baselines(tmp_path), texts, {text: row for row, text in enumerate(test["text"])})
    np.testing.assert_allclose(placed, embed_texts(base.path, texts, 16, "fp32"), atol=1e-5)
