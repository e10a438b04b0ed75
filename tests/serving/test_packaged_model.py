"""What is stored answers as what was trained, on its own base alone; what was damaged on the way is refused."""

import json
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from configs.errors import InfraError, InputError
from configs.schema import PATTERN_ENTITIES, Decoding, Evaluation, Full, Lora
from tasks.common.bases import find_base
from tasks.data.redaction.key import key_id, redaction_key
from tasks.learning.adapters import save_trainable, trainable_weights
from tasks.learning.network import SPEC, TRAINABLE, build_network, spec_of
from tasks.learning.scoring import score_network, scoring_of
from tasks.problems import problem_of
from tasks.problems.text_classification import classify_texts
from tasks.release import check_reloaded_answers
from tasks.serving.packaged_model import (
    PREPARATION,
    Preparation,
    adopt_base,
    load_package,
    local_base,
    read_preparation,
    save_package,
)
from tasks.serving.predictor import make_ready

LABELS = ("a", "b", "c", "d")
TEXTS = [row["text"] for row in tiny.rows(30)]
PLAIN = Preparation(False, None, None, None, "runs:/base", 8, "fp32")


@pytest.fixture(scope="module")
def network(bert_folder):
    """As after training: every moved weight away from its start."""
    base = find_base(str(bert_folder))
    made = build_network(spec_of("text-classification", Lora(r=4), LABELS, 16, 0, base), base.path)
    draw = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for value in made.model.parameters():
            if value.requires_grad:
                value.add_(torch.randn(value.shape, generator=draw) * 0.3)
    made.model.eval()
    return made


@pytest.fixture
def kept(network, tmp_path):
    """The artifact's folder."""
    (tmp_path / "trained").mkdir()
    save_trainable(network.model, tmp_path / "trained" / TRAINABLE)
    return save_package(tmp_path / "trained", network.spec, PLAIN, tmp_path / "kept")


def test_what_is_stored_answers_as_what_was_trained(network, kept, bert_folder, tmp_path):
    in_memory = classify_texts(network, TEXTS, LABELS, 64, nullcontext)
    found = load_package(kept, bert_folder, tmp_path)
    np.testing.assert_array_equal(
        classify_texts(found.network, TEXTS, LABELS, 64, nullcontext).probabilities, in_memory.probabilities
    )
    answers = found.predict(TEXTS)
    assert answers["label"].tolist() == [LABELS[place] for place in in_memory.probabilities.argmax(1)]
    assert answers["score"].tolist() == in_memory.probabilities.max(1).tolist()
    assert found.predict([]).empty


def test_an_artifact_is_a_few_percent_of_its_base_and_holds_no_weight_of_it(network, kept):
    assert load_file(kept / TRAINABLE).keys() == trainable_weights(network.model).keys()
    assert {file.name for file in kept.iterdir()} == {TRAINABLE, SPEC, PREPARATION, "manifest.json"}


def rewrite(kept, change):
    held = change(load_file(kept / TRAINABLE))
    (kept / TRAINABLE).unlink()
    save_file(held, kept / TRAINABLE)


def reseal(kept):
    """As a faulty writer would leave it: wrong, with hashes that fit."""
    from tasks.common.files import _write_manifest

    (kept / "manifest.json").unlink()
    _write_manifest(kept)


def started_anew(held):
    return {name: torch.randn_like(value) * 0.02 for name, value in held.items()}


def renamed(held):
    return {name.replace("base_model.model.", "base_model.model.model."): value for name, value in held.items()}


@pytest.mark.parametrize("change", [started_anew, renamed])
def test_weights_that_were_changed_since_they_were_stored_are_refused(kept, bert_folder, tmp_path, change):
    rewrite(kept, change)
    with pytest.raises(InfraError, match=f"{TRAINABLE} is damaged"):
        load_package(kept, bert_folder, tmp_path)


def test_weights_stored_under_other_names_do_not_load_whatever_their_hash(kept, bert_folder, tmp_path):
    rewrite(kept, renamed)
    reseal(kept)
    with pytest.raises(ValueError, match="holds other weights than the model trains"):
        load_package(kept, bert_folder, tmp_path)


def test_weights_stored_as_they_were_before_training_answer_otherwise_and_are_refused(network, kept, bert_folder, tmp_path):
    """The silent corruption of a stored LoRA model: it loads, and its attention and head are drawn anew."""
    expected = load_package(kept, bert_folder, tmp_path).predict(TEXTS)
    rewrite(kept, started_anew)
    reseal(kept)
    answered = load_package(kept, bert_folder, tmp_path).predict(TEXTS)
    with pytest.raises(InfraError, match=r"models:/m-1 does not answer as the trained model did: .* Nothing was registered"):
        check_reloaded_answers(expected, answered, "models:/m-1")


def test_answers_are_compared_to_the_last_digit_that_two_processes_share(network, kept, bert_folder, tmp_path):
    expected = load_package(kept, bert_folder, tmp_path).predict(TEXTS)
    check_reloaded_answers(expected, expected.assign(score=expected["score"] + 1e-6), "models:/m-1")
    for wrong in (
        expected.assign(score=expected["score"] + 1e-3),
        expected.assign(score=np.nan),
        expected.assign(label="a"),
        expected.assign(label=expected["label"].where(expected.index != 3, "other")),
    ):
        with pytest.raises(InfraError, match="does not answer as the trained model did"):
            check_reloaded_answers(expected, wrong, "models:/m-1")


def test_fewer_answers_than_questions_are_no_answer(network, kept, bert_folder, tmp_path):
    expected = load_package(kept, bert_folder, tmp_path).predict(TEXTS)
    with pytest.raises(InfraError, match="does not answer as the trained model did"):
        check_reloaded_answers(expected, expected[:-1], "models:/m-1")


def test_texts_are_prepared_as_training_saw_them(network, tmp_path, bert_folder):
    from tasks.data.redaction.redact import Redactor

    key = redaction_key(tmp_path, {})
    preparation = Preparation(False, PATTERN_ENTITIES, None, key_id(key), "runs:/base", 8, "fp32")
    (tmp_path / "trained").mkdir()
    save_trainable(network.model, tmp_path / "trained" / TRAINABLE)
    folder = save_package(tmp_path / "trained", network.spec, preparation, tmp_path / "kept")
    raw = ["  Write to\tanna@example.org or  call ", "anna@example.org"]
    prepared = load_package(folder, bert_folder, tmp_path, {}).prepare(raw)
    assert prepared == Redactor(PATTERN_ENTITIES, key).redact(["Write to anna@example.org or call", "anna@example.org"])
    assert not any("anna" in text for text in prepared) and prepared[1] in prepared[0]


def test_another_redaction_key_is_said(network, tmp_path, bert_folder, caplog):
    preparation = Preparation(False, ("EMAIL_ADDRESS",), None, "another key", "runs:/base", 8, "fp32")
    (tmp_path / "trained").mkdir()
    save_trainable(network.model, tmp_path / "trained" / TRAINABLE)
    load_package(save_package(tmp_path / "trained", network.spec, preparation, tmp_path / "kept"), bert_folder, tmp_path, {})
    assert "is not the one of training, another key" in caplog.text


def test_a_base_is_looked_for_in_the_home_then_by_its_name_and_only_the_right_one_is_taken(network, bert_folder, tmp_path):
    assert local_base(network.spec, tmp_path) == bert_folder
    away = replace(network.spec, base_name=str(tmp_path / "nowhere"))
    assert local_base(away, tmp_path) is None
    adopted = adopt_base(away, bert_folder, tmp_path)
    assert local_base(away, tmp_path) == adopted == adopt_base(away, bert_folder, tmp_path)

    other = shutil.copytree(bert_folder, tmp_path / "other")
    (other / "config.json").write_text((other / "config.json").read_text().replace('"gelu"', '"relu"'))
    assert local_base(replace(network.spec, base_name=str(other)), tmp_path / "empty home") is None
    with pytest.raises(InputError, match=r"the base stored for .* has digest .* refused"):
        adopt_base(network.spec, other, tmp_path)


def test_a_base_that_others_are_reading_is_not_taken_away_by_one_who_adopts_it_too(network, bert_folder, tmp_path):
    adopted = adopt_base(network.spec, bert_folder, tmp_path)
    before = adopted.stat().st_ino
    assert adopt_base(network.spec, bert_folder, tmp_path) == adopted
    assert adopted.stat().st_ino == before


def test_the_reloading_process_has_its_network_cut():
    script = (
        "import socket, urllib.request\nfrom tasks.serving.reload_check import cut_network\ncut_network()\n"
        "for ask in (lambda: socket.create_connection(('127.0.0.1', 9)), lambda: urllib.request.urlopen('http://127.0.0.1:9'),\n"
        "            lambda: socket.socket().connect_ex(('127.0.0.1', 9))):\n"
        "    try: ask()\n    except OSError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.count("the network is cut here, and something asked for") == 3


def test_the_preparation_is_readable_json(kept):
    assert json.loads((kept / PREPARATION).read_text())["base_uri"] == "runs:/base"


@pytest.mark.parametrize(
    "decoding",
    [Decoding(), Decoding(beams=3, no_repeat_ngram_size=2), Decoding(temperature=0.8, top_p=0.9, seed=5)],
    ids=["greedy", "beams", "draws"],
)
@pytest.mark.parametrize("problem", ["text-generation", "translation"])
def test_a_stored_model_writes_to_its_users_what_was_scored(request, tmp_path, problem, decoding):
    folder = request.getfixturevalue("llama_folder" if problem == "text-generation" else "bart_folder")
    base, rows = find_base(str(folder)), tiny.pairs(12)
    network = build_network(spec_of(problem, Full(), (), 24, 0, base), base.path)
    evaluation = Evaluation(max_new_tokens=8, batch_size=5, decoding=decoding)
    scored = score_network(problem_of(problem), network, rows, scoring_of(evaluation, "fp32")).frame["prediction"].tolist()
    (tmp_path / "trained").mkdir()
    save_trainable(network.model, tmp_path / "trained" / TRAINABLE)
    preparation = Preparation(True, None, None, None, "runs:/base", 8, "fp32", decoding)
    package = load_package(save_package(tmp_path / "trained", network.spec, preparation, tmp_path / "kept"), folder, tmp_path)
    assert package.preparation == preparation and package.network.spec == network.spec
    assert package.predict(rows["text"].tolist())["text"].tolist() == scored
    ready = make_ready("1", package)
    assert [answer.prediction for text in rows["text"] for answer in ready.answers([text])] == scored


def test_a_package_of_before_names_no_decoding_and_opens_and_one_that_stands_at_its_defaults_is_written_alike(kept):
    values = json.loads((kept / PREPARATION).read_text())
    assert "decoding" not in values and read_preparation(kept) == PLAIN and PLAIN.decoding == Decoding()
    assert replace(PLAIN, decoding=Decoding(beams=4)).values()["decoding"] == {"beams": 4}
