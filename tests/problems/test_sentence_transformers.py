"""Losses and vectors held to those of sentence-transformers, which most vectors of texts are made with."""

import numpy as np
import pandas as pd
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import CoSENTLoss, MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from configs.schema import Evaluation, Lora
from tasks.common.bases import find_base
from tasks.learning.device import autocast, numerics
from tasks.learning.network import build_network, spec_of
from tasks.problems.sentence_similarity import order_loss
from tasks.problems.text_retrieval import partner_loss
from tasks.problems.types import Scoring
from tasks.problems.vector_encoder import NO_CODE, vectors_of

ROWS = 7
TEXTS = ["north south kan", "red blue lon", "south north mist rura"]


class ReadyVectors(torch.nn.Module):
    """Stands where the library's losses want a model: the vectors are there already."""

    def forward(self, features):
        return {"sentence_embedding": features["vectors"]}


@pytest.fixture
def vectors():
    draw = torch.Generator().manual_seed(0)
    return [torch.nn.functional.normalize(torch.randn(ROWS, 5, generator=draw), dim=-1) for _ in range(3)]


@pytest.mark.parametrize("texts", [2, 3])
def test_partners_are_told_apart_as_by_its_loss_of_multiple_negatives(vectors, texts):
    theirs = MultipleNegativesRankingLoss(ReadyVectors())([{"vectors": each} for each in vectors[:texts]], None)
    codes = torch.tensor([[1, 10 + row, 100 + row, 200 + row, NO_CODE] for row in range(ROWS)])
    assert float(partner_loss({"logits": torch.cat(vectors[:texts])}, codes)) == pytest.approx(float(theirs), rel=1e-5)


def test_pairs_are_put_in_order_as_by_its_cosent_loss(vectors):
    scores = torch.tensor([0.1, 0.9, 0.4, 0.4, 0.0, 1.0, 0.7])
    theirs = CoSENTLoss(ReadyVectors())([{"vectors": each} for each in vectors[:2]], scores)
    assert float(order_loss({"logits": torch.cat(vectors[:2])}, scores[:, None])) == pytest.approx(float(theirs), rel=1e-5)


def test_a_base_gives_texts_the_vectors_that_it_gives_them_there(bert_folder):
    reader = Transformer(str(bert_folder), max_seq_length=16)
    library = SentenceTransformer(modules=[reader, Pooling(32, "mean"), Normalize()], device="cpu")
    spec = spec_of("text-retrieval", Lora(r=4), (), 16, 0, find_base(str(bert_folder)))
    network = build_network(spec, bert_folder)
    network.model.eval()
    rows = pd.DataFrame({"text": TEXTS})
    ours = vectors_of(network, rows["text"].tolist(), Scoring(Evaluation(), lambda: autocast(numerics("fp32"))()))
    assert np.abs(ours - library.encode(TEXTS)).max() < 1e-5
