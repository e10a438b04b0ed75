"""text2text-generation: likelihoods held to a plain calculation, targets with a tokenizer of their own, a fit that learns."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from configs.errors import InputError
from configs.schema import Evaluation, Full, Lora, Pipeline, Supervised, Training
from tasks.common.bases import find_base
from tasks.learning.base_check import check_base
from tasks.learning.fit import Listener
from tasks.learning.network import TRAINABLE, build_network, read_spec, spec_of
from tasks.learning.objectives.run import TrainingMaterial, train_network
from tasks.learning.scoring import score_network, score_opponents, scoring_of
from tasks.problems import problem_of
from tasks.problems.types import Writing

PROBLEM = "text2text-generation"
ROWS = tiny.pairs(40)
G2P = Path(__file__).parents[3] / "shared" / "data" / "bart_g2p"
SILENT = Listener(lambda *_: None, lambda *_: None, lambda _: None)


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    return tiny.seq2seq(tmp_path_factory.mktemp("t5"), "T5")


@pytest.fixture(scope="module", params=["t5", "bart_folder"])
def network(request):
    base = find_base(str(request.getfixturevalue(request.param)))
    return build_network(spec_of(PROBLEM, Lora(r=4), (), 24, 0, base), base.path)


@pytest.fixture(scope="module")
def encoded(network):
    return problem_of(PROBLEM).encode_rows(network.tokenizer, network.spec, ROWS)


def naive(model, row, start):
    """Token by token, the row alone, without a batch."""
    ids, decoder = torch.tensor([row["input_ids"]]), [start]
    chosen = []
    with torch.inference_mode():
        for token in row["labels"]:
            logits = model(input_ids=ids.to(model.device), decoder_input_ids=torch.tensor([decoder], device=model.device)).logits
            chosen.append(float(torch.log_softmax(logits[0, -1].double(), -1)[token]))
            decoder.append(token)
    return sum(chosen), len(chosen)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_likelihoods_are_those_of_a_plain_calculation_row_by_row(network, encoded, size):
    found = problem_of(PROBLEM).log_likelihoods(network, encoded[:9], size, nullcontext)
    wanted = [naive(network.model.eval(), row, network.tokenizer.start) for row in encoded[:9]]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_target_ends_with_its_end_token_and_both_sides_are_cut(network):
    end, spec = network.tokenizer.eos_token_id, replace(network.spec, max_length=5)
    long = ROWS.assign(text=" ".join(tiny.FILLERS), target=" ".join(tiny.FILLERS))
    for row in problem_of(PROBLEM).encode_rows(network.tokenizer, spec, long):
        assert len(row["input_ids"]) == len(row["labels"]) == 5 and row["labels"][-1] == end
    assert problem_of(PROBLEM).encode_rows(network.tokenizer, spec, ROWS[:0]) == []


def test_an_answer_is_the_same_whatever_its_batch_and_every_time(network):
    texts = ROWS["text"].tolist()[:12]
    alone, together, again = (
        [answer.prediction for answer in problem_of(PROBLEM).answer_texts(network, texts, Writing(8), size, nullcontext)]
        for size in (1, 5, 5)
    )
    assert alone == together == again and len(alone) == 12


@pytest.mark.parametrize("adapter", [Full(), Lora(r=8)], ids=["full", "lora"])
def test_a_fit_learns_its_pairs_and_is_the_same_every_time(bart_folder, tmp_path, adapter):
    base = find_base(str(bart_folder))
    spec = spec_of(PROBLEM, adapter, (), 24, 0, base)
    training = Training(epochs=4, batch_size=8, learning_rate=1e-2, precision="fp32")
    held_out = tiny.pairs(30, 2)

    def fit(run):
        return train_network(
            TrainingMaterial(spec, base.path, tiny.pairs(200), held_out), Supervised(), training, tmp_path / run, SILENT
        )

    one = fit("one")
    better = build_network(read_spec(one.folder), base.path, one.folder / TRAINABLE)
    before = score_network(problem_of(PROBLEM), build_network(spec, base.path), held_out, scoring_of(Evaluation(), "fp32"))
    after = score_network(problem_of(PROBLEM), better, held_out, scoring_of(Evaluation(), "fp32"))
    assert after.metrics["nll_per_token"] < before.metrics["nll_per_token"] - 1
    assert after.metrics.keys() >= {"exact_match", "chrf", "rouge_l"} and after.frame["chrf"].between(0, 1).all()
    last = [entry["eval_loss"] for entry in one.history if "eval_loss" in entry][one.epoch - 1]
    assert last == pytest.approx(after.metrics["nll_per_token"], rel=1e-4), "what is watched is what is scored"
    assert fit("again").weights == one.weights


def test_the_base_answers_too_beside_counts_of_tokens(network):
    evaluation = Evaluation(decode_rows=4, max_new_tokens=6)
    found = score_opponents(problem_of(PROBLEM), network, ROWS, tiny.pairs(10, 3), (), scoring_of(evaluation, "fp32")).each
    assert [each.name for each in found] == ["unigram", "bigram", "base model", "copy of the source"]
    assert found[2].metrics.keys() >= {"exact_match", "chrf"} and found[0].metrics.keys() == {"nll_per_token", "perplexity"}
    assert found[3].scores is None and found[3].metrics.keys() == {"exact_match", "rouge_l", "chrf"}, "texts, and no likelihood"


# --- which bases ---


def test_encoder_decoders_fit_and_other_networks_are_refused(t5, bart_folder, bert_folder, llama_folder):
    for folder in (t5, bart_folder):
        assert check_base(find_base(str(folder)), PROBLEM, 24, Lora(r=2)) == ()
    for folder in (bert_folder, llama_folder):
        with pytest.raises(InputError, match=r"text2text-generation needs an encoder-decoder.*name a base such as BART"):
            check_base(find_base(str(folder)), PROBLEM, 24, Lora(r=2))


def test_a_base_that_names_no_first_token_of_a_target_is_refused_with_its_remedy(tmp_path):
    folder = tiny.seq2seq(tmp_path, "T5", decoder_start_token_id=None)
    with pytest.raises(InputError, match=r"names no decoder_start_token_id.*add the one"):
        check_base(find_base(str(folder)), PROBLEM, 24, Lora(r=2))


# --- a tokenizer of its own for targets ---


@pytest.fixture
def paired(tmp_path):
    folder = tiny.seq2seq(tmp_path / "base")
    tiny.tokenizer(folder / "shouted", wrap=True, eos_token="[SEP]")
    file = folder / "shouted" / "tokenizer.json"
    settings = json.loads(file.read_text())
    settings["normalizer"] = None
    settings["model"]["vocab"] = {word.replace("kan", "KAN"): place for word, place in settings["model"]["vocab"].items()}
    file.write_text(json.dumps(settings))
    return folder


def test_targets_are_read_and_written_by_their_own_tokenizer_and_its_files_are_the_bases(paired, tmp_path):
    plain, both = find_base(str(paired)), find_base(str(paired), target_tokenizer="shouted")
    assert plain.digest != both.digest and both.bytes > plain.bytes
    spec = spec_of(PROBLEM, Full(), (), 24, 0, both)
    network = build_network(spec, both.path)
    (row,) = problem_of(PROBLEM).encode_rows(network.tokenizer, spec, ROWS[:1].assign(text="kan lon", target="KAN lon"))
    assert row["input_ids"][1:-1] == row["labels"][1:-1], "the same ids, other characters"
    assert network.tokenizer.target.decode(row["labels"], skip_special_tokens=True) == "KAN lon"


def test_a_target_tokenizer_that_is_not_there_or_not_asked_for_is_refused(paired):
    with pytest.raises(InputError, match=r"model.target_tokenizer loud: .* has no folder of that name"):
        find_base(str(paired), target_tokenizer="loud")
    values = {"name": "a", "data": {"source": "a.csv"}, "model": {"base": "b", "target_tokenizer": "shouted"}}
    with pytest.raises(ValueError, match=r"text-generation has one tokenizer, its base's own: drop it"):
        Pipeline.model_validate({**values, "problem": "text-generation"})
    with pytest.raises(ValueError, match=r"target_tokenizer"):
        Pipeline.model_validate({**values, "problem": PROBLEM, "model": {"base": "b", "target_tokenizer": "../up"}})


def test_a_target_tokenizer_with_more_tokens_than_the_network_or_no_end_is_refused_before_any_work(paired):
    file = paired / "shouted" / "tokenizer.json"
    settings = json.loads(file.read_text())
    settings["model"]["vocab"]["beyond"] = 999
    file.write_text(json.dumps(settings))
    with pytest.raises(InputError, match=r"shouted: its network has embeddings for .* its tokenizer gives ids up to 999"):
        check_base(find_base(str(paired), target_tokenizer="shouted"), PROBLEM, 24, Lora(r=2))
    tiny.tokenizer(paired / "shouted", wrap=True)
    with pytest.raises(InputError, match=r"shouted: its tokenizer has no end token"):
        check_base(find_base(str(paired), target_tokenizer="shouted"), PROBLEM, 24, Lora(r=2))


# --- real weights ---


@pytest.mark.skipif(not G2P.is_dir(), reason="the pretrained pair of letters and phonemes is not beside the project")
def test_a_pretrained_pair_writes_in_characters_that_it_does_not_read():
    base = find_base(str(G2P / "us"), target_tokenizer="target_tokenizer")
    network = build_network(spec_of(PROBLEM, Full(), (), 40, 0, base), base.path)
    answers = problem_of(PROBLEM).answer_texts(network, ["pipeline", "language"], Writing(40), 2, nullcontext)
    assert [answer.prediction for answer in answers] == ["pˈIplˌIn", "lˈæŋɡwɪʤ"]
