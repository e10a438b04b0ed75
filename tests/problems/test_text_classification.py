"""text-classification: pooling, loss and scores, held to plain calculations."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
import transformers as hf

from tasks.problems import class_scores, classifier
from tasks.problems.text_classification import per_example

HIDDEN = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
OUTPUTS = SimpleNamespace(last_hidden_state=HIDDEN, pooler_output=HIDDEN[:, 0] * 2)


@pytest.mark.parametrize(
    ("pooling", "row"),
    [
        ("mean", [HIDDEN[0].mean(0), HIDDEN[1, :2].mean(0), HIDDEN[2, 0]]),
        ("first", [HIDDEN[0, 0], HIDDEN[1, 0], HIDDEN[2, 0]]),
        ("last", [HIDDEN[0, 3], HIDDEN[1, 1], HIDDEN[2, 0]]),
        ("max", [HIDDEN[0].amax(0), HIDDEN[1, :2].amax(0), HIDDEN[2, 0]]),
        ("pooler", [HIDDEN[0, 0] * 2, HIDDEN[1, 0] * 2, HIDDEN[2, 0] * 2]),
    ],
)
def test_a_text_is_one_vector_of_its_own_tokens(pooling, row):
    torch.testing.assert_close(classifier.pool_tokens(OUTPUTS, MASK, pooling), torch.stack(row))


def test_a_base_pools_as_it_says_else_by_its_pooler_and_drops_the_pooler_it_does_not_use(bert_folder, llama_folder):
    encoder, hidden, pooling = classifier.load_encoder(bert_folder, "mean")
    assert (hidden, pooling, encoder.pooler) == (32, "mean", None)
    encoder, _, pooling = classifier.load_encoder(bert_folder, None)
    assert pooling == "pooler" and encoder.pooler is not None
    assert classifier.load_encoder(llama_folder, None)[2] == "last"


SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.mark.parametrize(
    ("model", "config", "wrap", "settings", "pooling"),
    [
        (hf.GPTNeoXForCausalLM, hf.GPTNeoXConfig, False, {}, "last"),
        (hf.Gemma2ForCausalLM, hf.Gemma2Config, False, {"head_dim": 16, "num_key_value_heads": 2}, "last"),
        (hf.OPTForCausalLM, hf.OPTConfig, False, {"ffn_dim": 64, "word_embed_proj_dim": 16}, "last"),
        (hf.DistilBertModel, hf.DistilBertConfig, True, {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}, "first"),
        (hf.DistilBertModel, hf.DistilBertConfig, False, {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}, "mean"),
        (hf.RobertaForMaskedLM, hf.RobertaConfig, True, {}, "first"),  # without weights for its pooler, which would be random
        (hf.RobertaModel, hf.RobertaConfig, True, {}, "pooler"),
        (hf.T5ForConditionalGeneration, hf.T5Config, False, tiny.T5, "mean"),
        (hf.BartForConditionalGeneration, hf.BartConfig, True, tiny.BART, "mean"),
    ],
)
def test_a_base_that_does_not_say_how_it_pools_is_asked(tmp_path, model, config, wrap, settings, pooling):
    folder = tiny.base(tmp_path, model, config, wrap=wrap, **settings)
    encoder, width, chosen = classifier.load_encoder(folder, None)
    assert (chosen == pooling and getattr(encoder, "pooler", None) is None) or chosen == pooling == "pooler"
    torch.manual_seed(0)
    network = classifier.build_classifier(encoder, width, 3, chosen).eval()
    rows = [[2, 9, 10, 3], [2, 9, 11, 3], [2, 12, 10, 3]]
    points = classifier.run_in_batches(network, rows, 0, 2, nullcontext, embeddings=True)
    assert width == points.shape[1] and all(np.abs(points[row] - points[0]).max() > 1e-4 for row in (1, 2))


def test_versions_of_before_pool_as_they_were_trained_to(tmp_path, bert_folder, llama_folder):
    neox = tiny.base(tmp_path / "neox", hf.GPTNeoXForCausalLM, hf.GPTNeoXConfig, wrap=False)
    bart = tiny.base(tmp_path / "bart", hf.BartForConditionalGeneration, hf.BartConfig, wrap=True, **tiny.BART)
    roberta = tiny.base(tmp_path / "roberta", hf.RobertaForMaskedLM, hf.RobertaConfig, wrap=True)
    folders = (neox, bart, roberta, bert_folder, llama_folder)
    rules = {folder: classifier.load_earlier_encoder(folder, None)[2] for folder in folders}
    assert list(rules.values()) == ["first", "first", "pooler", "pooler", "last"]
    assert type(classifier.load_earlier_encoder(bart, None)[0]).__name__ == "BartModel", "the whole, as its weights were stored"
    assert classifier.load_earlier_encoder(bert_folder, "mean")[2] == "mean"


@pytest.fixture(scope="module")
def model(bert_folder):
    torch.manual_seed(0)
    encoder, hidden, pooling = classifier.load_encoder(bert_folder, "mean")
    return classifier.build_classifier(encoder, hidden, 4, pooling)


@pytest.fixture(scope="module")
def ids(bert_folder):
    from transformers import AutoTokenizer

    texts = [" ".join(row["text"].split()[: 1 + place % 9]) for place, row in enumerate(tiny.rows(23))]
    return classifier.encode_texts(AutoTokenizer.from_pretrained(bert_folder), texts, 8)


def test_texts_are_cut_at_the_length_the_model_reads(ids):
    assert max(map(len, ids)) == 8 and all(row[0] == 2 and row[-1] == 3 for row in ids)


@pytest.mark.parametrize("embeddings", [False, True])
def test_scores_come_in_the_order_given_whatever_the_batch(model, ids, embeddings):
    by = [classifier.run_in_batches(model, ids, 0, size, nullcontext, embeddings=embeddings) for size in (1, 5, 64)]
    assert by[0].shape == (23, 32 if embeddings else 4)
    np.testing.assert_allclose(by[1], by[0], atol=1e-5)
    np.testing.assert_allclose(by[2], by[0], atol=1e-5)


def test_no_rows_have_no_scores(model):
    assert classifier.run_in_batches(model, [], 0, 8, nullcontext).shape == (0, 0)


def test_padding_is_no_token(model, ids):
    batch = classifier.collate_rows(0)([{"input_ids": row, "labels": 1} for row in ids[:5]])
    longest = max(map(len, ids[:5]))
    assert batch["input_ids"].shape == (5, longest) and batch["attention_mask"].sum(1).tolist() == [len(row) for row in ids[:5]]
    assert batch["labels"].tolist() == [1] * 5


LOGITS, TARGETS = torch.randn(6, 3, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2, 0, 0, 1])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_mean_over_the_whole_batch_in_whatever_pieces(smoothing):
    compute = classifier.cross_entropy_loss(None, smoothing)
    whole = torch.nn.functional.cross_entropy(LOGITS, TARGETS, label_smoothing=smoothing)
    torch.testing.assert_close(compute({"logits": LOGITS}, TARGETS), whole)
    pieces = [compute({"logits": LOGITS[part]}, TARGETS[part], num_items_in_batch=6) for part in (slice(0, 4), slice(4, 6))]
    torch.testing.assert_close(sum(pieces), whole)


def test_balanced_weights_are_inverse_to_a_class_and_leave_the_mean_row_its_weight():
    targets = [0] * 6 + [1] * 2 + [3]
    weights = class_scores.class_weights(targets, 4)
    assert weights[0] * 6 == pytest.approx(weights[1] * 2) == pytest.approx(weights[3]) and weights[2] == 0
    assert np.mean([weights[target] for target in targets]) == pytest.approx(1)
    loss = classifier.cross_entropy_loss(torch.tensor(class_scores.class_weights(TARGETS.tolist(), 3), dtype=torch.float32), 0.0)
    plain = torch.nn.functional.cross_entropy(LOGITS, TARGETS, reduction="none")
    scale = torch.tensor([{0: 2 / 3, 1: 1.0, 2: 2.0}[int(target)] for target in TARGETS])
    torch.testing.assert_close(loss({"logits": LOGITS}, TARGETS), (plain * scale).sum() / 6)


def test_each_row_keeps_its_own_and_a_label_never_heard_of_is_wrong_and_unlikely():
    rows = pd.DataFrame(
        {"id": ["x", "y"], "text": ["", ""], "target": ["b", "new"], "slice_half": ["h0", "h1"], "origin": ["s", "s"]}
    )
    said = class_scores.class_probabilities(np.array([[0.0, 2.0], [800.0, 0.0]], np.float32), ("a", "b"))
    found = per_example(rows, said)
    assert list(found.columns) == ["id", "target", "slice_half", "prediction", "correct", "confidence", "log_likelihood"]
    assert found["prediction"].tolist() == ["b", "a"] and found["correct"].tolist() == [1, 0]
    assert found["log_likelihood"].tolist() == pytest.approx([np.log(1 / (1 + np.exp(-2))), np.log(1e-12)])
    assert found["confidence"].tolist() == pytest.approx([1 / (1 + np.exp(-2)), 1.0])
