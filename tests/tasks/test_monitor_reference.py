"""Where the reference's texts lie: in the one space that the monitors put traffic into, whatever the base pools by."""

from types import SimpleNamespace

import numpy as np
import pytest
import tiny

from configs.schema import Full
from tasks.evaluate import POINTS, Baselines
from tasks.learning.base import find_base
from tasks.learning.device import autocast, numerics
from tasks.learning.embedding import embed
from tasks.learning.network import build, spec_of
from tasks.problems.text_classification import encode, in_batches
from tasks.reference import _points

PIPELINE = SimpleNamespace(model=SimpleNamespace(max_length=16), training=SimpleNamespace(precision="fp32"))


@pytest.mark.parametrize("pooling", ["mean", None])
def test_reference_and_traffic_are_pooled_alike_whatever_the_baselines_pool_by(tmp_path, pooling):
    base = find_base(str(tiny.bert(tmp_path / "base", pooling=pooling)))
    texts = [row["text"] for row in tiny.rows(12)]
    network = build(spec_of("text-classification", Full(), ("a", "b"), 16, 0, base), base.path)
    ids, how = encode(network.tokenizer, texts[:8], 16), autocast(numerics("fp32"))
    np.save(tmp_path / POINTS, in_batches(network.model, ids, network.pad_id, 8, how, embeddings=True))
    found = _points(PIPELINE, base, Baselines(tmp_path), texts, {text: row for row, text in enumerate(texts[:8])})
    np.testing.assert_allclose(found, embed(base.path, texts, 16, "fp32"), atol=1e-5)
