"""Names by a token-classification model: a tiny one, set by hand to call every capitalised word of its vocabulary a person."""

import pytest

from configs.errors import InputError
from tasks.data.redaction.redact import Redactor

KEY = b"k" * 32
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "call", "Anna", "Bern", "at", "once", "a", "@", "b", ".", "com"]
LABELS = ("O", "B-PER", "I-PER", "B-LOC")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A BERT of one layer whose head reads the word off its embedding: Anna is a person, Bern a place."""
    import torch
    from transformers import BertConfig, BertForTokenClassification, BertTokenizerFast

    folder = tmp_path_factory.mktemp("ner")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), vocab_file=str(folder / "vocab.txt"), do_lower_case=False).save_pretrained(
        folder
    )
    config = BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16,
        max_position_embeddings=32, id2label=dict(enumerate(LABELS)), label2id={name: i for i, name in enumerate(LABELS)},
    )  # fmt: skip
    torch.manual_seed(0)
    network = BertForTokenClassification(config).eval()
    with torch.no_grad():
        silent = ("attention", "intermediate", "output.dense", "position", "token_type")
        for name, parameter in network.named_parameters():
            if "LayerNorm" not in name and any(part in name for part in silent):
                parameter.zero_()
        network.bert.embeddings.word_embeddings.weight.copy_(torch.eye(len(VOCABULARY), 16))
        network.classifier.weight.zero_()
        network.classifier.bias.copy_(torch.tensor([5.0, 0.0, 0.0, 0.0]))
        network.classifier.weight[1, VOCABULARY.index("Anna")] = 10.0
        network.classifier.weight[3, VOCABULARY.index("Bern")] = 10.0
    network.save_pretrained(folder)
    return str(folder)


def test_the_models_labels_become_our_kinds_and_join_the_patterns(model):
    found = Redactor(("EMAIL_ADDRESS", "PERSON", "LOCATION"), KEY, model).redact(
        ["call Anna at Bern", "a@b.com", "", "call at once"]
    )
    assert found[0].startswith("call <PERSON:") and " at <LOCATION:" in found[0]
    assert found[1].startswith("<EMAIL_ADDRESS:") and found[2:] == ["", "call at once"]


def test_only_the_configured_kinds_are_replaced(model):
    assert Redactor(("PERSON",), KEY, model).redact(["Anna at Bern"])[0].endswith("> at Bern")


def test_a_name_beyond_the_models_window_is_found_too(model):
    text = "call at once " * 40 + "Anna"
    assert Redactor(("PERSON",), KEY, model).redact([text])[0].endswith(">")


def test_a_model_that_is_not_there_or_knows_no_such_kind_is_an_input_error(model, tmp_path):
    with pytest.raises(InputError, match="cannot be loaded"):
        Redactor(("PERSON",), KEY, str(tmp_path / "none")).redact(["x"])
    with pytest.raises(InputError, match="none of its labels"):
        Redactor(("ORGANIZATION",), KEY, model).redact(["x"])
