"""Preference without a reference: ORPO and SimPO learn from pairs, by the formulas of their papers."""

from contextlib import nullcontext

import numpy as np
import pytest
import tiny
from fit_parts import losses

from configs.schema import Evaluation, Full, Lora, OddsRatioPreference, Pipeline, Preference, SimplePreference, Training
from tasks.common.bases import find_base
from tasks.learning.fit import Listener
from tasks.learning.network import TRAINABLE, build_network, read_spec, spec_of
from tasks.learning.objectives import measure_of, objective_of
from tasks.learning.objectives.run import TrainingMaterial, train_network
from tasks.learning.scoring import score_network, scoring_of
from tasks.problems import problem_of

PROBLEM = "text-generation"
ROWS, HELD_OUT = tiny.preferences(44), tiny.preferences(20, 1).assign(id=lambda rows: "h" + rows["id"])
ORPO, SIMPO = OddsRatioPreference(loss="orpo"), SimplePreference(loss="simpo")
MEASURE = measure_of(Preference(), PROBLEM)
QUIET = scoring_of(Evaluation(decode_rows=0), "fp32")


@pytest.fixture
def fit(llama_folder, tmp_path):
    def _fit(objective, adapter=None, run="run", **settings):
        spec = spec_of(PROBLEM, adapter or Lora(r=4), (), 24, 0, find_base(str(llama_folder)))
        training = Training(**{"epochs": 3, "batch_size": 8, "learning_rate": 3e-3, "precision": "fp32", **settings})
        material = TrainingMaterial(spec, llama_folder, ROWS, HELD_OUT)
        listener = Listener(lambda *_: None, lambda *_: None, lambda _: None)
        trained = train_network(material, objective, training, tmp_path / run, listener)
        return trained, build_network(read_spec(trained.folder), llama_folder, trained.folder / TRAINABLE)

    return _fit


@pytest.fixture(scope="module")
def network(llama_folder):
    return build_network(spec_of(PROBLEM, Lora(r=4), (), 24, 0, find_base(str(llama_folder))), llama_folder)


def held_out(network):
    return score_network(MEASURE, network, HELD_OUT, QUIET).metrics


def token_means(network):
    """(preferred, rejected): the mean log-likelihood a token of each training row's answers."""
    problem, sides = problem_of(PROBLEM), []
    for column in ("target", "rejected"):
        rows = problem.encode_answers(network.tokenizer, network.spec, ROWS.assign(target=ROWS[column]))
        likely = problem.log_likelihoods(network, rows, 8, nullcontext)
        sides.append(likely[:, 0] / likely[:, 1])
    return sides


def log_odds(means):
    return means - np.log1p(-np.exp(means))


@pytest.mark.parametrize("adapter", [Lora(r=4), Full()], ids=["lora", "full"])
@pytest.mark.parametrize("objective", [ORPO, SIMPO], ids=["orpo", "simpo"])
def test_what_was_preferred_becomes_likelier_without_a_reference(fit, network, objective, adapter):
    trained, better = fit(objective, adapter, epochs=6)
    before, after = held_out(network), held_out(better)
    assert before["preference_accuracy"] < 0.8 and after["preference_accuracy"] == 1.0
    assert after["preference_margin"] > before["preference_margin"] + 0.1 and losses(trained)[-2] < losses(trained)[0]
    assert any("rewards/margins" in entry for entry in trained.history)


def test_the_odds_ratio_is_beside_the_likelihood_of_the_preferred_answer(fit, network):
    _, better = fit(ORPO, epochs=6)
    assert held_out(better)["perplexity"] < 0.9 * held_out(network)["perplexity"]


@pytest.mark.parametrize("objective", [ORPO.model_copy(update={"beta": 0.7}), SIMPO.model_copy(update={"gamma": 0.3})])
def test_the_first_loss_is_that_of_the_paper(fit, network, objective):
    trained, _ = fit(objective, epochs=1, batch_size=len(ROWS), learning_rate=1e-9)
    preferred, rejected = token_means(network)
    if objective.loss == "orpo":
        expected = -preferred + 0.7 * np.log1p(np.exp(log_odds(rejected) - log_odds(preferred)))
    else:
        expected = np.log1p(np.exp(0.3 - objective.beta * (preferred - rejected)))
    assert losses(trained)[0] == pytest.approx(expected.mean(), abs=1e-4)


@pytest.mark.parametrize("objective", [ORPO, SIMPO], ids=["orpo", "simpo"])
def test_in_smaller_pieces_the_same_is_learned_without_a_reference(fit, tmp_path, objective):
    _, whole = fit(objective, run="whole", epochs=1)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "micro").write_text("2")
    trained, parts = fit(objective, run="parts", epochs=1)
    assert trained.micro == 2
    own, other = (dict(each.model.named_parameters()) for each in (whole, parts))
    for name, value in own.items():
        np.testing.assert_allclose(value.detach().numpy(), other[name].detach().numpy(), atol=2e-3)


@pytest.mark.parametrize("objective", [ORPO, SIMPO], ids=["orpo", "simpo"])
def test_a_tokenizer_without_a_pad_token_is_no_obstacle(llama_folder, tmp_path, objective):
    folder = tiny.llama(tmp_path / "base")
    settings = (folder / "tokenizer_config.json").read_text()
    (folder / "tokenizer_config.json").write_text(settings.replace('"pad_token": "[PAD]",', ""))
    spec = spec_of(PROBLEM, Lora(r=4), (), 24, 0, find_base(str(folder)))
    training = Training(epochs=1, batch_size=8, learning_rate=3e-3, precision="fp32")
    listener = Listener(lambda *_: None, lambda *_: None, lambda _: None)
    trained = train_network(TrainingMaterial(spec, folder, ROWS[:8], HELD_OUT), objective, training, tmp_path / "run", listener)
    assert build_network(spec, folder).tokenizer.pad_token is None and np.isfinite(losses(trained)).all()


def test_default_rates_are_those_of_the_papers():
    assert [objective_of(ORPO).learning_rate(adapter) for adapter in (Full(), Lora())] == [8e-6, 8e-5]
    assert [objective_of(SIMPO).learning_rate(adapter) for adapter in (Full(), Lora())] == [1e-6, 1e-5]


@pytest.mark.parametrize(
    ("objective", "why"),
    [
        ({"loss": "orpo", "gamma": 1}, r"gamma is of loss=simpo, and loss is orpo: drop it"),
        ({"loss": "simpo", "label_smoothing": 0.1}, r"label_smoothing is of loss=sigmoid, and loss is simpo"),
        ({"gamma": 1}, r"gamma is of loss=simpo, and loss is sigmoid"),
        ({"loss": "simpo", "gamma": -1}, r"greater than or equal to 0"),
    ],
)
def test_a_setting_of_another_loss_is_refused(objective, why):
    with pytest.raises(ValueError, match=why):
        Pipeline(
            name="p", problem=PROBLEM, data={"source": "a.csv", "rejected": "worse"}, model={"base": "b"},
            objective={"kind": "preference", **objective},
        )  # fmt: skip
