"""What a network reads of placeholders, and how it spells labels: today's, and as versions of before were trained."""

import json
import random
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tiny

from configs.schema import Data, Evaluation, Full, Lora, Supervised, Training
from tasks.common.bases import find_base
from tasks.data.preparation.load import loaded_source
from tasks.data.preparation.prepare import prepare_rows
from tasks.data.preparation.split import SPLITS
from tasks.data.redaction.placeholders import TAGGED, VIEW, network_view
from tasks.data.redaction.redact import Redactor
from tasks.data.snapshot.snapshot import write_snapshot
from tasks.learning import fit
from tasks.learning.network import SPEC, build_network, read_spec, save_spec, spec_of
from tasks.learning.objectives import run as training_run
from tasks.learning.scoring import score_network, scoring_of
from tasks.problems import class_scores, problem_of

QUICK = Training(epochs=2, batch_size=8, learning_rate=3e-3, precision="fp32")


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """A tiny BERT that reads letter by letter, so that no tag is an unknown word like the others."""
    import string

    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("letters")
    words = (*tiny.SPECIAL, *string.printable)
    core = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    core.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    PreTrainedTokenizerFast(tokenizer_object=core, **names).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), **shape, max_position_embeddings=96)).save_pretrained(folder)
    return folder


def _scored(network, rows, **given):
    return score_network(problem_of(network.spec.problem), network, rows, scoring_of(Evaluation(**given), "fp32"))


def write_rows(path, n=120):
    draw = random.Random(0)
    texts = [f"{' '.join(draw.choices(tiny.FILLERS, k=4))} call 030 1234{i % 70:03} or u{i % 30}@example.com" for i in range(n)]
    rows = [{"n": f"r{i:03}", "text": text, "label": ("red", "blue")["ka" in text]} for i, text in enumerate(texts)]
    pd.DataFrame(rows).to_csv(path, index=False)


def fitted(letters, folder, key, view):
    """Rows redacted under a key to a trained network's weights and its metrics on the test rows."""
    folder.mkdir()
    write_rows(folder / "rows.csv")
    data = Data(source=str(folder / "rows.csv"), id="n", deduplicate={"enabled": False})
    with loaded_source(data, "text-classification", folder) as raw:
        snapshot = write_snapshot(prepare_rows(raw, data, Redactor(data.redact.entities, key)), folder, {}, None)
    train, held_out, test = (snapshot.frame(split) for split in SPLITS)
    base = find_base(str(letters))
    spec = replace(spec_of("text-classification", Full(), ("blue", "red"), 96, 0, base), text_view=view)
    silent = fit.Listener(lambda *_: None, lambda *_: None, lambda _: None)
    trained = training_run.train_network(
        training_run.TrainingMaterial(spec, base.path, train, held_out), Supervised(), QUICK, folder / "run", silent
    )
    network = build_network(read_spec(trained.folder), base.path, trained.folder / "trainable.safetensors")
    return trained.weights, _scored(network, test).metrics, read_spec(trained.folder)


def test_two_installations_train_the_same_weights_whatever_their_redaction_keys(letters, tmp_path):
    one, other = (fitted(letters, tmp_path / name, name.encode() * 32, VIEW) for name in ("a", "b"))
    assert one == other and one[2].text_view == VIEW
    tagged = [fitted(letters, tmp_path / f"old {name}", name.encode() * 32, TAGGED)[0] for name in ("a", "b")]
    assert len({one[0], *tagged}) == 3, "with tags they would not be the same, or the test shows nothing"


def test_a_network_of_before_reads_tags_and_one_of_today_reads_kinds(letters, tmp_path):
    base = find_base(str(letters))
    spec = spec_of("text-classification", Lora(r=4), ("a", "b"), 96, 0, base)
    save_spec(spec, tmp_path)
    assert read_spec(tmp_path) == spec and spec.text_view == VIEW
    values = json.loads((tmp_path / SPEC).read_text())
    (tmp_path / SPEC).write_text(json.dumps({k: v for k, v in values.items() if k not in ("text_view", "spellings")}))
    old = read_spec(tmp_path)
    assert old.text_view == TAGGED
    tagged = pd.DataFrame(
        {"id": ["1", "2"], "text": [f"call <PHONE_NUMBER:{tag}>" for tag in ("1f3a9c2b", "00000000")], "target": "a"}
    )
    seen = {}
    for name, each in (("old", old), ("new", spec)):
        network = build_network(each, base.path)
        seen[name] = _scored(network, tagged).class_scores.probabilities
    assert abs(np.subtract(*seen["old"])).max() > 1e-7 > abs(np.subtract(*seen["new"])).max()
    assert problem_of(spec.problem).read_rows(spec, tagged)["text"].tolist() == ["call <PHONE_NUMBER>"] * 2


def test_a_generator_learns_and_is_asked_for_kinds(llama_folder):
    base = find_base(str(llama_folder))
    spec = spec_of("text-generation", Lora(r=4), (), 32, 0, base)
    rows = pd.DataFrame({"id": ["1"], "text": ["kan <PHONE_NUMBER:1f3a9c2b>"], "target": ["lon <EMAIL_ADDRESS:00000000>"]})
    read = problem_of(spec.problem).read_rows(spec, rows)
    assert read.loc[0, ["text", "target"]].tolist() == ["kan <PHONE_NUMBER>", "lon <EMAIL_ADDRESS>"]
    network = build_network(spec, base.path)
    likely = [_scored(network, each, decode_rows=1).frame["log_likelihood"] for each in (rows, read)]
    assert likely[0].equals(likely[1])


# --- labels of earlier versions ---------------------------------------------------------------------------------------------


def spelled(folder, spec, labels):
    save_spec(replace(spec, labels=tuple(labels), text_view=TAGGED), folder)
    return read_spec(folder)


def test_a_champion_whose_labels_were_spelled_otherwise_is_compared_by_todays_and_answers_with_its_own(bert_folder, tmp_path):
    base = find_base(str(bert_folder))
    plain = spec_of("text-classification", Lora(r=4), ("0", "1"), 16, 0, base)
    old = spelled(tmp_path, plain, ("0.0", "1.0"))
    assert old.labels == ("0", "1") and old.answers == ("0.0", "1.0") and plain.answers == plain.labels
    save_spec(old, tmp_path)
    assert read_spec(tmp_path) == old
    rows = tiny.frame(40).assign(target=["0", "1"] * 20)
    networks = [build_network(each, base.path) for each in (old, plain)]
    frames = [_scored(network, rows).frame for network in networks]
    assert frames[0]["correct"].sum() == frames[1]["correct"].sum() == (frames[1]["prediction"] == rows["target"]).sum() > 0


def test_a_label_that_an_old_network_has_in_two_spellings_is_one_with_both_probabilities(bert_folder, tmp_path):
    spec = spec_of("text-classification", Lora(r=4), ("a",), 16, 0, find_base(str(bert_folder)))
    old = spelled(tmp_path, spec, ("1", "1.0", "2"))
    assert old.labels == ("1", "1", "2")
    said = class_scores.class_probabilities(np.log(np.array([[0.3, 0.3, 0.4]], dtype=np.float32)), old.labels)
    assert said.labels == ("1", "2") and said.probabilities[0] == pytest.approx([0.6, 0.4])


def test_the_view_of_a_text_is_what_the_tfidf_baseline_reads(tmp_path):
    from tasks.learning.scoring import fit_lexical

    draw = random.Random(1)
    rows = [{"text": f"kan <PHONE_NUMBER:{draw.randrange(16**8):08x}> lon {i % 2}", "target": f"c{i % 2}"} for i in range(80)]
    found = []
    for name, texts in (("tagged", lambda t: t), ("read", lambda t: network_view([t])[0])):
        for part in ("train", "test"):
            pd.DataFrame([{**row, "text": texts(row["text"])} for row in rows]).to_parquet(tmp_path / f"{name}-{part}.parquet")
        train, test = (tmp_path / f"{name}-{part}.parquet" for part in ("train", "test"))
        found.append(fit_lexical(Supervised(), "text-classification", [train], test))
    for one, other in zip(*found, strict=True):
        assert "log_loss" in one.metrics and one.metrics == other.metrics and np.array_equal(one.scores, other.scores)
