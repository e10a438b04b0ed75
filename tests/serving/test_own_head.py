"""An adopted model made ready to answer: the padded way, in whatever precision, and as it was stored."""

import numpy as np
import pytest
import tiny
import torch

from tasks.learning.finetuned import read_finetuned
from tasks.learning.network import build_network
from tasks.serving.packaged_model import PackagedModel, Preparation
from tasks.serving.predictor import make_ready

TEXTS = [row["text"] for row in tiny.rows(40, seed=2)] + ["north"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, bert_folder):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tmp_path_factory.mktemp("own head")
    torch.manual_seed(3)
    names = {"id2label": {0: "no", 1: "yes", 2: "perhaps"}, "label2id": {"no": 0, "yes": 1, "perhaps": 2}}
    model = AutoModelForSequenceClassification.from_pretrained(bert_folder, num_labels=3, **names)
    torch.nn.init.normal_(model.classifier.weight, std=1.0)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(bert_folder).save_pretrained(folder)
    return folder


def kept(folder, precision):
    network = build_network(read_finetuned(folder, "text-classification", 16).spec("text-classification", 16), folder)
    network.model.eval()
    return PackagedModel(network, Preparation(False, None, None, None, "runs:/base", 8, precision), None)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 0.05)])
def test_a_model_with_its_own_head_answers_by_the_padded_way_in_every_precision(folder, precision, tolerance):
    wanted = kept(folder, "fp32").predict(TEXTS)
    ready = make_ready("1", kept(folder, precision))
    assert ready.flat is None and ready.how.dtype == precision
    said = ready.answers(TEXTS)
    np.testing.assert_allclose([one.score for one in said], wanted["score"], atol=tolerance)
    same = np.mean([one.prediction == label for one, label in zip(said, wanted["label"], strict=True)])
    assert same == 1.0 if precision == "fp32" else same > 0.9
