"""Thumbs: answers that are good or bad by themselves as TRL's KTOTrainer learns from them, and models measured by both kinds."""

import numpy as np
import pandas as pd
import pytest
import tiny
from fit_parts import losses

from configs.errors import InfraError
from configs.schema import Evaluation, Full, Lora, Pipeline, Supervised, ThumbPreference, Training
from tasks.common.bases import find_base
from tasks.learning.fit import Listener
from tasks.learning.network import TRAINABLE, build_network, read_spec, spec_of
from tasks.learning.objectives import measure_of, objective_of
from tasks.learning.objectives.chain import train_chain
from tasks.learning.objectives.run import TrainingMaterial
from tasks.learning.objectives.thumbs import _answers_of_others
from tasks.learning.scoring import score_network, score_opponents, scoring_of
from tasks.stats.pairs import pair_scores

PROBLEM, KTO = "text-generation", ThumbPreference(loss="kto")
ROWS, HELD_OUT = tiny.thumbs(44), tiny.thumbs(20, 1).assign(id=lambda rows: "h" + rows["id"])
MEASURE = measure_of(KTO, PROBLEM)
QUIET = scoring_of(Evaluation(decode_rows=0), "fp32")


@pytest.fixture
def fit(llama_folder, tmp_path):
    def _fit(*objectives, adapter=None, run="run", rows=ROWS, **settings):
        spec = spec_of(PROBLEM, adapter or Lora(r=4), (), 24, 0, find_base(str(llama_folder)))
        training = Training(**{"epochs": 3, "batch_size": 8, "learning_rate": 3e-3, "precision": "fp32", **settings})
        listener = Listener(lambda *_: None, lambda *_: None, lambda _: None)
        material = TrainingMaterial(spec, llama_folder, rows, HELD_OUT)
        trained = train_chain(material, objectives or (KTO,), training, tmp_path / run, listener)
        return trained, build_network(read_spec(trained.folder), llama_folder, trained.folder / TRAINABLE)

    return _fit


@pytest.fixture(scope="module")
def network(llama_folder):
    return build_network(spec_of(PROBLEM, Lora(r=4), (), 24, 0, find_base(str(llama_folder))), llama_folder)


def held_out(network):
    return score_network(MEASURE, network, HELD_OUT, QUIET).metrics


# --- training ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", [Lora(r=4), Full()], ids=["lora", "full"])
def test_good_answers_become_likelier_than_bad_ones_without_pairs(fit, network, adapter):
    trained, better = fit(adapter=adapter, epochs=8)
    before, after = held_out(network), held_out(better)
    assert losses(trained)[0] == pytest.approx(0.5, abs=0.02), "it starts at its reference"
    assert after["thumb_margin"] > before["thumb_margin"] + 0.2 and after["thumb_auc"] > before["thumb_auc"] + 0.1
    assert {"kl", "rewards/margins"} <= {name for entry in trained.history for name in entry}


def test_good_and_bad_answers_count_the_same_however_many_there_are(fit):
    few = pd.concat([ROWS[ROWS["thumb"] == "up"][:4], ROWS[ROWS["thumb"] == "down"]], ignore_index=True)
    first = {"rows": few, "epochs": 1, "batch_size": len(few), "learning_rate": 1e-9}
    trained, _ = fit(**first)
    alike, _ = fit(KTO.model_copy(update={"thumb_weights": "none"}), run="b", **first)
    assert losses(trained)[0] == pytest.approx(0.5, abs=1e-3) and losses(alike)[0] == pytest.approx(0.5, abs=1e-3)
    again, _ = fit(rows=few, epochs=2, run="c")
    other, _ = fit(KTO.model_copy(update={"thumb_weights": "none"}), rows=few, epochs=2, run="d")
    assert again.weights != other.weights


def test_each_answer_is_held_against_one_to_another_prompt(network):
    rows = ROWS[:4].assign(text=["kan", "kan", "kan", "lon"], target=list("abcd"))
    assert _answers_of_others(rows) == ["d", "d", "d", "a"]
    assert _answers_of_others(rows.assign(text="kan")) == ["b", "c", "d", "a"], "where there is one prompt alone"
    first, *_ = objective_of(KTO).encode_rows(network.tokenizer, network.spec, ROWS)
    own = [label for label in first["labels"] if label >= 0]
    assert first["label"] is True and first["input_ids"] != first["KL_input_ids"] and own
    start = first["labels"].index(own[0])
    assert first["KL_input_ids"][:start] == first["input_ids"][:start], "behind the same prompt"


def test_what_comes_before_thumbs_learns_good_answers_alone(fit):
    stages = (Supervised(epochs=1, learning_rate=3e-3), ThumbPreference(loss="kto", epochs=1))
    trained, _ = fit(*stages)
    good = ROWS[ROWS["thumb"] == "up"]
    alone, _ = fit(Supervised(), rows=good, run="good", epochs=1)
    assert trained.steps == alone.steps + 6 and len(good) == 22


def test_one_row_in_memory_at_a_time_is_refused_with_its_remedy(fit):
    with pytest.raises(InfraError, match=r"compares answers within a batch.*raise training\.batch_size"):
        fit(batch_size=1, epochs=1)


# --- measure ----------------------------------------------------------------------------------------------------------------


def frame(good, bad):
    likely = np.concatenate([good, bad])
    return pd.DataFrame({"log_likelihood": 4 * likely, "tokens": 4, "thumb": ["up"] * len(good) + ["down"] * len(bad)})


def test_scores_of_rows_have_the_mean_and_the_variance_of_a_difference_of_two_means():
    random = np.random.default_rng(0)
    good, bad = random.normal(-2, 0.5, 180), random.normal(-3, 1.5, 20)
    scores = MEASURE.primary_scores(frame(good, bad))
    assert scores.mean() == pytest.approx(0.2 * (good.mean() - bad.mean()))
    assert scores.var() / 200 == pytest.approx(0.2**2 * (good.var() / 180 + bad.var() / 20))
    balanced = MEASURE.primary_scores(frame(good[:20], bad))
    assert balanced.mean() == pytest.approx(good[:20].mean() - bad.mean())


def test_a_skew_of_the_rarer_kind_is_no_gain_by_being_clipped():
    theirs = MEASURE.primary_scores(frame(np.full(180, -2.0), np.full(20, -3.0)))
    moved = np.r_[np.full(18, -0.2), np.full(2, 1.8)]  # a few bad answers likelier, others less: the same on the whole
    ours = MEASURE.primary_scores(frame(np.full(180, -2.0), moved - 3))
    pairs = pair_scores(ours, theirs, limit=MEASURE.difference_scale([]).largest)
    assert pairs.clipped == 0 and abs(pairs.first_mean - pairs.second_mean) < 1e-9


def test_a_model_that_finds_all_texts_likelier_is_no_better():
    random = np.random.default_rng(1)
    good, bad = random.normal(-2, 0.5, 30), random.normal(-3, 0.5, 10)
    ours, theirs = (MEASURE.primary_scores(frame(good + shift, bad + shift)) for shift in (1.5, 0))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_scores_stand_beside_how_often_a_good_answer_is_likelier(network):
    scored = score_network(MEASURE, network, HELD_OUT, scoring_of(Evaluation(decode_rows=3), "fp32"))
    likely = scored.frame["log_likelihood"] / scored.frame["tokens"]
    good = (HELD_OUT["thumb"] == "up").to_numpy()
    above = np.mean([one > other for one in likely[good] for other in likely[~good]])
    assert scored.metrics.keys() == {"thumb_margin", "thumb_auc"} and scored.metrics["thumb_auc"] == pytest.approx(above)
    assert MEASURE.primary_scores(scored.frame).mean() == pytest.approx(scored.metrics["thumb_margin"])
    (base,) = score_opponents(MEASURE, network, ROWS, HELD_OUT, (), QUIET).each
    assert base.metrics["thumb_auc"] == scored.metrics["thumb_auc"]


def test_of_rows_with_one_kind_of_thumb_none_are_drawn_to_be_scored():
    assert len(MEASURE.draw_rows(HELD_OUT, 12)) == 12
    assert len(MEASURE.draw_rows(HELD_OUT[HELD_OUT["thumb"] == "up"], 99)) == 0


def test_answers_of_one_kind_are_no_measure(network):
    with pytest.raises(ValueError, match="both among the rows"):
        score_network(MEASURE, network, HELD_OUT[HELD_OUT["thumb"] == "up"], QUIET)


# --- settings ----------------------------------------------------------------------------------------------------------------


def pipeline(objective=None, **data):
    objective = {"kind": "preference", "loss": "kto"} if objective is None else objective
    return Pipeline(name="p", problem=PROBLEM, data={"source": "a.csv", **data}, model={"base": "b"}, objective=objective)


@pytest.mark.parametrize(
    ("objective", "data", "why"),
    [
        (None, {}, r"data\.thumb and objective\.loss=kto belong together"),
        ({}, {"thumb": "liked"}, r"data\.thumb and objective\.loss=kto belong together"),
        (None, {"thumb": "liked", "rejected": "worse"}, r"data\.rejected: .* reads no rejected answers"),
        (None, {"thumb": "completion"}, r"completion and thumb are one column"),
        ({"kind": "preference", "loss": "kto", "gamma": 1}, {"thumb": "liked"}, r"gamma is of loss=simpo, and loss is kto"),
        ({"kind": "preference", "thumb_weights": "none"}, {"rejected": "worse"}, r"thumb_weights is of loss=kto"),
    ],
)
def test_thumbs_and_what_reads_them_belong_together(objective, data, why):
    with pytest.raises(ValueError, match=why):
        pipeline(objective, **data)


def test_models_of_thumbs_are_compared_by_good_answers_less_bad_ones():
    made = pipeline([{}, {"kind": "preference", "loss": "kto"}], thumb="liked")
    assert made.facts.primary.name == "thumb_margin"
    assert [metric.name for metric in made.facts.metrics] == ["thumb_margin", "thumb_auc"]
    assert Pipeline.model_validate(made.model_dump(mode="json")) == made
