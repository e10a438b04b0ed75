"""What is looked at in a model that was fine-tuned elsewhere, and what is refused, with the remedy, before anything is done."""

import json
import os
import re
import shutil
from contextlib import nullcontext

import pytest
import torch

from configs.errors import InputError
from tasks.data.label_sets import write_label_set
from tasks.learning.adapters import save_trainable
from tasks.learning.finetuned import read_finetuned
from tasks.learning.network import TRAINABLE, build_network, read_spec, save_spec
from tasks.problems import classifier, problem_of
from tasks.problems.types import Writing

CLASSES = ("no", "yes", "perhaps")
TEXTS = ["north kan lora", "red mist tele kan", "blue"]


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory, bert_folder, llama_folder):
    """An encoder and a decoder with heads of their own, as AutoModelForSequenceClassification wrote them."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    out = {}
    names = {"id2label": dict(enumerate(CLASSES)), "label2id": {name: code for code, name in enumerate(CLASSES)}}
    for kind, base in (("bert", bert_folder), ("llama", llama_folder)):
        out[kind] = tmp_path_factory.mktemp(f"{kind}-classifier")
        torch.manual_seed(1)
        model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3, **names)
        model.save_pretrained(out[kind])
        AutoTokenizer.from_pretrained(base).save_pretrained(out[kind])
    return out


@pytest.fixture
def folder(classifiers, tmp_path):
    return shutil.copytree(classifiers["bert"], tmp_path / "model")


def configure(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def refused(folder, problem="text-classification", max_length=32):
    with pytest.raises(InputError) as caught:
        read_finetuned(folder, problem, max_length)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_a_model_with_a_head_of_its_own_answers_as_transformers_itself_does_padded_or_alone(classifiers, tmp_path, kind):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = classifiers[kind]
    model = read_finetuned(folder, "text-classification", 32)
    assert model.labels == CLASSES
    save_spec(model.spec("text-classification", 32), tmp_path)
    network = build_network(read_spec(tmp_path), folder)
    assert (network.spec.head, network.spec.base_name) == ("own", f"adopted:{model.base.digest[:16]}")
    ids = classifier.encode_texts(network.tokenizer, TEXTS, 32)
    found = classifier.run_in_batches(network.model, ids, network.pad_id, 3, torch.inference_mode)
    theirs, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for row, text in enumerate(TEXTS):
        with torch.inference_mode():
            wanted = theirs(**tokenizer(text, return_tensors="pt")).logits[0]
        assert torch.allclose(torch.tensor(found[row]), wanted, atol=1e-5)
    vectors = classifier.run_in_batches(network.model, ids, network.pad_id, 3, torch.inference_mode, embeddings=True)
    assert vectors.shape == (3, 32)


def test_no_weight_of_an_adopted_model_moves_and_none_is_stored_beside_its_base(folder, tmp_path):
    spec = read_finetuned(folder, "text-classification", 32).spec("text-classification", 32)
    network = build_network(spec, folder)
    assert not [value for value in network.model.parameters() if value.requires_grad]
    save_trainable(network.model, tmp_path / TRAINABLE)
    assert (tmp_path / TRAINABLE).stat().st_size < 100
    build_network(spec, folder, tmp_path / TRAINABLE)


def test_the_classes_of_a_model_are_spelled_as_those_of_data_are(folder):
    configure(folder, id2label={"0": "0.0", "1": "True", "2": "yes"})
    assert read_finetuned(folder, "text-classification", 32).labels == ("0", "true", "yes")


def test_a_decoder_is_read_as_a_model_that_writes(llama_folder):
    model = read_finetuned(llama_folder, "text-generation", 32)
    assert model.labels == () and build_network(model.spec("text-generation", 32), llama_folder).spec.head == "own"


def test_a_lora_model_is_refused_as_adapter_and_read_once_it_is_merged(classifiers, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    base = AutoModelForSequenceClassification.from_pretrained(classifiers["bert"])
    adapted = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"]))
    adapted.save_pretrained(tmp_path / "adapter")
    assert "merge_and_unload().save_pretrained" in refused(tmp_path / "adapter")
    adapted.merge_and_unload().save_pretrained(tmp_path / "merged")
    AutoTokenizer.from_pretrained(classifiers["bert"]).save_pretrained(tmp_path / "merged")
    assert read_finetuned(tmp_path / "merged", "text-classification", 32).labels == CLASSES


def test_pickled_weights_are_not_opened(folder):
    weights = folder / "model.safetensors"
    weights.rename(folder / "pytorch_model.bin")
    said = refused(folder)
    assert "only pytorch_model.bin, which can run code" in said and "save_pretrained" in said


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_pipe_in_a_folder_is_no_file_of_it_and_is_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert re.search(rf"(has|holds) no {name}", refused(folder))


def test_what_a_trainer_leaves_beside_the_weights_does_no_harm(folder):
    (folder / "training_args.bin").write_bytes(b"not opened")
    assert read_finetuned(folder, "text-classification", 32).labels == CLASSES


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"auto_map": {"AutoModel": "mine.Mine"}}, "asks for code of its own"),
        ({"quantization_config": {"load_in_4bit": True}}, "its weights are quantised"),
        ({"architectures": ["BertModel"]}, "BertModel, which is no model for text-classification"),
        ({"architectures": None}, "no architecture, which is no model for text-classification"),
        ({"problem_type": "multi_label_classification"}, "its problem_type is multi_label_classification"),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}}, "its classes have no names (LABEL_0, LABEL_1...)"),
        ({"id2label": {"0": "no", "1": "no", "2": "yes"}}, "two of its classes have one name"),
        ({"id2label": {"0": "1", "1": "1.0", "2": "2"}}, "two of its classes have one name"),
        ({"id2label": {"0": "only"}}, "names no two classes"),
        ({"model_type": "unheard-of"}, "does not load"),
        ({"vocab_size": 20}, "write the folder anew"),
    ],
)
def test_a_config_that_cannot_be_adopted_is_refused_by_what_is_wrong_with_it(folder, changes, says):
    configure(folder, **changes)
    said = refused(folder)
    assert says in said and said.startswith(f"--model {folder}")


def test_a_model_without_its_tokenizer_is_refused(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink(missing_ok=True)
    assert "has no tokenizer" in refused(folder)


def test_a_head_whose_weights_are_not_there_is_refused(folder, bert_folder):
    shutil.copy(bert_folder / "model.safetensors", folder / "model.safetensors")
    assert "of its weights are missing, among them classifier" in refused(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a git-LFS pointer"), (b"", "does not load")],
)
def test_weights_that_are_a_pointer_or_cut_short_are_refused(folder, content, message):
    (folder / "model.safetensors").write_bytes(content)
    assert message in refused(folder)


def test_a_model_that_cannot_read_as_many_tokens_as_it_may_be_given_is_refused(folder):
    assert "cannot read 65 tokens" in (said := refused(folder, max_length=65)) and "lower model.max_length" in said
    read_finetuned(folder, "text-classification", 64)


def test_an_encoder_is_no_model_that_writes(tmp_path, bert_folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoModelForCausalLM.from_pretrained(bert_folder).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    tokenizer.save_pretrained(tmp_path)
    assert "a token that comes later changes what it says before" in refused(tmp_path, "text-generation")


@pytest.mark.parametrize("content", [None, "{", "[1", "[1]"])
def test_a_folder_that_is_none_of_a_model_is_named(tmp_path, content):
    assert "no such folder" in refused(tmp_path / "nowhere")
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    assert ("is no JSON" if content else "has no config.json") in refused(tmp_path)


def test_equal_files_make_the_same_base_wherever_they_lie(folder, classifiers):
    one, other = (read_finetuned(place, "text-classification", 32) for place in (folder, classifiers["bert"]))
    assert one.base.digest == other.base.digest
    (folder / "README.md").write_text("not part of it")
    assert read_finetuned(folder, "text-classification", 32).base.digest == one.base.digest
    configure(folder, id2label=dict(enumerate(("a", "b", "c"))))
    assert read_finetuned(folder, "text-classification", 32).base.digest != one.base.digest


def test_a_network_that_was_stored_before_heads_were_told_apart_has_a_head_of_ours(folder, tmp_path):
    save_spec(read_finetuned(folder, "text-classification", 32).spec("text-classification", 32), tmp_path)
    stored = json.loads((tmp_path / "network.json").read_text())
    del stored["head"]
    (tmp_path / "network.json").write_text(json.dumps(stored))
    assert read_spec(tmp_path).head == "new"


@pytest.mark.parametrize(
    ("problem", "kind", "outputs"),
    [
        ("text-regression", "regression", 1),
        ("text-ranking", "regression", 1),
        ("multi-label-classification", "multi_label_classification", 3),
    ],
)
def test_a_head_for_numbers_and_one_for_many_labels_answer_as_they_were_made_to(tmp_path, bert_folder, problem, kind, outputs):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    names = {} if outputs == 1 else {"id2label": dict(enumerate(CLASSES)), "label2id": {name: n for n, name in enumerate(CLASSES)}}
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(bert_folder, num_labels=outputs, problem_type=kind, **names)
    model.save_pretrained(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(bert_folder)
    tokenizer.save_pretrained(tmp_path / "model")
    read = read_finetuned(tmp_path / "model", problem, 32)
    network = build_network(read.spec(problem, 32), read.base.path)
    answers = [answer.prediction for answer in problem_of(problem).answer_texts(network, TEXTS, Writing(0), 2, nullcontext)]
    with torch.inference_mode():
        logits = model.eval()(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
    if outputs == 1:
        expected = torch.sigmoid(logits) if problem == "text-ranking" else logits
        assert [float(answer) for answer in answers] == pytest.approx(expected[:, 0].tolist(), abs=1e-5)
        assert "train from it: model.base=" in refused(tmp_path / "model", "text-retrieval")
    else:
        expected = [write_label_set(name for name, flag in zip(CLASSES, row, strict=True) if flag) for row in (logits > 0).tolist()]
        assert answers == expected
    configure(tmp_path / "model", problem_type="single_label_classification")
    assert "its problem_type is single_label_classification" in refused(tmp_path / "model", problem)
