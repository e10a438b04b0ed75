"""Preference: pairs of answers as TRL's DPOTrainer learns from them, and models measured by which answer they find likelier."""

import math
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from fit_parts import losses

from configs.schema import AnchoredPreference, Evaluation, Full, Lora, Pipeline, Preference, Supervised, Training
from tasks.common.bases import find_base
from tasks.learning.fit import Listener
from tasks.learning.network import TRAINABLE, build_network, read_spec, spec_of
from tasks.learning.objectives import measure_of, objective_of
from tasks.learning.objectives.run import TrainingMaterial, train_network
from tasks.learning.scoring import score_network, score_opponents, scoring_of
from tasks.problems import problem_of
from tasks.problems.padding import IGNORED

PROBLEM = "text-generation"
ROWS, HELD_OUT = tiny.preferences(44), tiny.preferences(20, 1).assign(id=lambda rows: "h" + rows["id"])
MEASURE = measure_of(Preference(), PROBLEM)
QUIET = scoring_of(Evaluation(decode_rows=0), "fp32")


@pytest.fixture
def fit(llama_folder, tmp_path):
    def _fit(adapter=None, objective=None, run="run", rows=ROWS, start=None, **settings):
        spec = spec_of(PROBLEM, adapter or Lora(r=4), (), 24, 0, find_base(str(llama_folder)))
        said = []
        listener = Listener(lambda *_: None, lambda *_: None, said.append)
        training = Training(**{"epochs": 3, "batch_size": 8, "learning_rate": 3e-3, "precision": "fp32", **settings})
        material = TrainingMaterial(spec, llama_folder, rows, HELD_OUT)
        trained = train_network(material, objective or Preference(), training, tmp_path / run, listener, start)
        return trained, build_network(read_spec(trained.folder), llama_folder, trained.folder / TRAINABLE)

    return _fit


@pytest.fixture(scope="module")
def network(llama_folder):
    return build_network(spec_of(PROBLEM, Lora(r=4), (), 24, 0, find_base(str(llama_folder))), llama_folder)


def accuracy(network, rows=HELD_OUT):
    return score_network(MEASURE, network, rows, QUIET).metrics["preference_accuracy"]


# --- training -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", [Lora(r=4), Full()], ids=["lora", "full"])
def test_what_was_preferred_becomes_likelier(fit, network, adapter):
    trained, better = fit(adapter, epochs=6)
    assert losses(trained)[0] == pytest.approx(math.log(2), abs=0.02), "it starts at its reference"
    assert losses(trained)[-2] < 0.6 and accuracy(network) < 0.8 and accuracy(better) == 1.0
    assert {name.partition("rewards/")[0] for entry in trained.history for name in entry if "rewards" in name} == {"", "eval_"}


def test_the_reference_is_the_network_that_training_starts_from(fit):
    trained, _ = fit(run="first")
    again, _ = fit(run="second", start=trained.folder, epochs=1, learning_rate=1e-7)
    assert losses(again)[0] == pytest.approx(math.log(2), abs=1e-3), "not the base, which is far from it by now"


@pytest.mark.parametrize(
    ("objective", "untrained"),
    [
        (Preference(loss="ipo"), 25.0),
        (Preference(loss="hinge"), 1.0),
        (AnchoredPreference(loss="apo_zero"), 1.0),
        (AnchoredPreference(loss="apo_down"), 1.0),
    ],
    ids=lambda value: getattr(value, "loss", ""),
)
def test_a_loss_is_the_one_that_was_asked_for(fit, objective, untrained):
    trained, better = fit(objective=objective, epochs=2)
    assert losses(trained)[0] == pytest.approx(untrained, rel=0.1) and accuracy(better) > 0.9


def test_in_smaller_pieces_the_same_is_learned(fit, tmp_path):
    _, whole = fit(run="whole", epochs=1)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "micro").write_text("2")
    trained, parts = fit(run="parts", epochs=1)
    assert trained.micro == 2
    both = [dict(each.model.named_parameters()) for each in (whole, parts)]
    for name, value in both[0].items():
        torch.testing.assert_close(value, both[1][name], atol=2e-3, rtol=0)


def test_what_is_kept_is_the_adapter_alone(fit):
    trained, _ = fit(epochs=1)
    from safetensors.torch import load_file

    names = list(load_file(trained.folder / TRAINABLE))
    assert names and all(".default." in name and "lora_" in name for name in names), "and no copy of it as the reference"


def test_a_pair_is_both_answers_behind_one_prompt_as_they_are_scored(network):
    (pair,) = objective_of(Preference()).encode_rows(network.tokenizer, network.spec, ROWS[:1])
    for side, column in (("chosen", "target"), ("rejected", "rejected")):
        (alone,) = problem_of(PROBLEM).encode_rows(network.tokenizer, network.spec, ROWS[:1].assign(target=ROWS[column]))
        assert pair[f"{side}_input_ids"] == alone["input_ids"] and pair[f"{side}_labels"] == alone["labels"]
        assert alone["labels"][0] == IGNORED and alone["labels"][-1] == network.tokenizer.eos_token_id
    assert len(pair["input_ids"]) == max(len(pair["chosen_input_ids"]), len(pair["rejected_input_ids"]))


# --- measure --------------------------------------------------------------------------------------------------------------


def test_a_margin_is_how_much_likelier_the_preferred_answer_is_token_for_token(network):
    scored = score_network(MEASURE, network, HELD_OUT, scoring_of(Evaluation(decode_rows=3), "fp32"))
    for place in (0, 7, 19):
        margins = []
        for column in ("target", "rejected"):
            (row,) = problem_of(PROBLEM).encode_rows(
                network.tokenizer, network.spec, HELD_OUT[place : place + 1].assign(target=HELD_OUT[column])
            )
            ids = torch.tensor([row["input_ids"]], device=network.model.device)
            with torch.inference_mode():
                likely = torch.log_softmax(network.model.eval()(input_ids=ids).logits[0].double(), -1)
            answer = [n for n, label in enumerate(row["labels"]) if label != IGNORED]
            margins.append(float(np.mean([float(likely[n - 1, row["labels"][n]]) for n in answer])))
        assert scored.frame["margin"][place] == pytest.approx(margins[0] - margins[1], abs=1e-4)
    np.testing.assert_array_equal(MEASURE.primary_scores(scored.frame), scored.frame["margin"])
    assert scored.metrics["preference_accuracy"] == (scored.frame["margin"] > 0).mean()
    assert scored.metrics["preference_margin"] == pytest.approx(scored.frame["margin"].mean())
    assert {"perplexity", "exact_match"} <= scored.metrics.keys() and scored.frame["prediction"].notna().sum() == 3
    assert "rejected" not in scored.frame


def test_of_equal_answers_none_is_preferred(network):
    same = score_network(MEASURE, network, HELD_OUT.assign(rejected=HELD_OUT["target"]), QUIET)
    assert same.metrics["preference_accuracy"] == 0.0 and not same.frame["margin"].any()


def test_pairs_of_one_prompt_count_as_one_unless_the_data_name_groups(network):
    rows = HELD_OUT[:4].assign(text=["kan lon", "kan lon", "lon", "mist"], id=list("abcd"))
    groups = score_network(MEASURE, network, rows, QUIET).frame["group"]
    assert groups[0] == groups[1] and groups[2:].isna().all()
    named = score_network(MEASURE, network, rows.assign(group=["x", "y", "y", None]), QUIET).frame["group"]
    assert named[:3].tolist() == ["x", "y", "y"] and pd.isna(named[3])


def test_the_baseline_is_the_base_as_it_is(network):
    (base,) = score_opponents(MEASURE, network, ROWS, HELD_OUT, (), scoring_of(Evaluation(decode_rows=9), "fp32")).each
    assert base.name == MEASURE.trivial_baseline and "exact_match" not in base.metrics
    assert base.metrics["preference_margin"] == pytest.approx(base.scores.mean())
    assert base.metrics["preference_accuracy"] == accuracy(network)


def test_other_objectives_are_measured_by_their_problem():
    assert type(measure_of(Supervised(), PROBLEM)) is type(problem_of(PROBLEM))


# --- settings ----------------------------------------------------------------------------------------------------------------


def pipeline(problem=PROBLEM, data=None, objective=None, **given):
    data = {"source": "a.csv", "rejected": "worse"} if data is None else data
    objective = {"kind": "preference", **(objective or {})}
    return Pipeline(name="p", problem=problem, data=data, model={"base": "b"}, objective=objective, **given)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"problem": "text-classification"}, "preference: text-classification has no pairs of texts"),
        ({"problem": "text2text-generation"}, "preference: text2text-generation has no pairs of texts"),
        ({"data": {"source": "a.csv"}}, r"set data\.rejected to the column .* or data\.feedback=true"),
        ({"objective": {"kind": "supervised"}}, r"data\.rejected: objective\.kind supervised reads no rejected answers"),
        ({"adapter": {"kind": "lora", "dropout": 0.1}}, r"adapter\.dropout 0\.1: .*set it to 0"),
        ({"objective": {"loss": "ipo", "label_smoothing": 0.1}}, r"label_smoothing is of loss=sigmoid, and loss is ipo"),
        ({"objective": {"loss": "apo_zero", "label_smoothing": 0.1}}, r"label_smoothing is of loss=sigmoid, and loss is apo_zero"),
        ({"objective": {"loss": "apo"}}, r"'sigmoid', 'ipo', 'hinge', 'apo_zero', 'apo_down'"),
    ],
)
def test_what_makes_no_sense_together_is_refused_with_its_reason(given, why):
    with pytest.raises(ValueError, match=why):
        pipeline(**given)


def test_an_objective_says_what_its_models_are_compared_by():
    facts = pipeline().facts
    assert (facts.primary.name, facts.primary.unit, facts.metrics[0]) == ("preference_margin", "number", facts.primary)
    assert pipeline(data={"source": "a.csv", "feedback": True}).objective.needs_pairs


def test_no_pairs_have_no_likelihoods(network):
    examples = objective_of(Preference()).encode_rows(network.tokenizer, network.spec, ROWS[:0])
    assert examples == [] and problem_of(PROBLEM).log_likelihoods(network, [], 4, nullcontext).shape == (0, 2)
