"""text-regression: metrics held to scikit-learn, targets in their own unit, a fit that learns, baselines that are what they say."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import tiny
from scipy.stats import spearmanr
from sklearn import metrics as sk

from configs.schema import Evaluation, Lora, Supervised, Training
from tasks.common.bases import find_base
from tasks.data.numbers import LARGEST
from tasks.learning.fit import Listener
from tasks.learning.network import TRAINABLE, build_network, read_spec, spec_of
from tasks.learning.objectives.run import TrainingMaterial, train_network
from tasks.learning.scoring import fit_lexical, score_network, score_opponents, scoring_of
from tasks.problems import problem_of
from tasks.problems.baselines import regression as baselines
from tasks.problems.metrics import regression_metrics
from tasks.problems.types import Writing
from tasks.stats.intervals import mean_interval

PROBLEM = problem_of("text-regression")
SILENT = Listener(lambda *_: None, lambda *_: None, lambda _: None)
HOW = scoring_of(Evaluation(batch_size=16), "fp32")


@pytest.fixture(scope="module")
def rows():
    return tiny.number_rows(600)


@pytest.fixture(scope="module")
def spec(bert_folder, rows):
    base = find_base(str(bert_folder))
    return PROBLEM.with_targets(spec_of("text-regression", Lora(r=4), (), 24, 0, base), rows["target"].tolist())


@pytest.fixture(scope="module")
def tuned(bert_folder, rows, spec, tmp_path_factory):
    material = TrainingMaterial(spec, bert_folder, rows[:400], rows[400:450])
    training = Training(epochs=8, batch_size=16, learning_rate=1e-2, precision="fp32")
    done = train_network(material, Supervised(), training, tmp_path_factory.mktemp("run"), SILENT, None)
    return build_network(read_spec(done.folder), bert_folder, done.folder / TRAINABLE)


def test_metrics_are_those_of_scikit_learn_and_scipy():
    draw = np.random.default_rng(0)
    targets = draw.lognormal(size=200)
    answers = targets + draw.normal(size=200)
    found = regression_metrics(targets, answers)
    assert found == pytest.approx(
        {
            "mae": sk.mean_absolute_error(targets, answers),
            "rmse": sk.root_mean_squared_error(targets, answers),
            "r2": sk.r2_score(targets, answers),
            "rank_correlation": spearmanr(targets, answers).statistic,
        }
    )
    flat = regression_metrics(np.ones(3), np.array([1.0, 2.0, 3.0]))
    assert flat["r2"] == flat["rank_correlation"] == 0.0
    for wrong in ((np.ones(2), np.ones(3)), (np.array([np.nan]), np.ones(1)), (np.empty(0), np.empty(0))):
        with pytest.raises(ValueError):
            regression_metrics(*wrong)


def test_targets_are_learned_in_units_of_their_deviation_and_answered_in_their_own(spec, rows):
    numbers = rows["target"].astype(float)
    assert spec.location == numbers.median() and spec.spread == pytest.approx((numbers - numbers.median()).abs().mean())
    assert PROBLEM.encode_target(spec, "100") == pytest.approx((100 - spec.location) / spec.spread)
    assert [answer.prediction for answer in PROBLEM.read_logits(spec, np.zeros((1, 1), np.float32))] == [f"{spec.location:g}"]
    assert PROBLEM.with_targets(spec, ["5", "5"]).spread == 1.0  # all alike: nothing is divided by nothing


def test_a_fit_learns_what_counted_words_cannot_tell(tuned, rows):
    test = rows[450:].reset_index(drop=True)
    scored = score_network(PROBLEM, tuned, test, HOW)
    assert list(scored.frame["error"]) == pytest.approx(
        list(scored.frame["prediction"].astype(float) - test["target"].astype(float))
    )
    assert np.array_equal(PROBLEM.primary_scores(scored.frame), -scored.frame["error"].abs())
    lexical = PROBLEM.fit_lexical(rows[:450], test)
    untuned = build_network(replace(tuned.spec, adapter=Lora(r=4).model_dump(mode="json")), find_base(tuned.spec.base_name).path)
    opponents = score_opponents(PROBLEM, untuned, rows[:450], test, lexical, HOW)
    assert [each.name for each in opponents.each] == [
        "mean of the training rows", baselines.MEDIAN, "TF-IDF + ridge regression", "base embeddings + ridge regression",
    ]  # fmt: skip
    assert scored.metrics["mae"] < 0.5 * min(each.metrics["mae"] for each in opponents.each)
    assert scored.metrics["rank_correlation"] > 0.8
    assert opponents.points is not None and opponents.points.shape == (len(test), 32)


def test_an_answer_hangs_on_its_text_alone(tuned, rows):
    texts = rows["text"].tolist()[:20]
    alone, together = (
        [float(answer.prediction) for answer in PROBLEM.answer_texts(tuned, texts, Writing(0), size, nullcontext)]
        for size in (1, 20)
    )
    assert alone == pytest.approx(together, rel=1e-4)


def test_the_gates_scale_is_of_the_targets_alone_and_far_ones_do_not_stretch_it():
    plain = [str(number) for number in range(1000)]
    scale = PROBLEM.difference_scale(plain)
    assert scale.scale == pytest.approx(250) and scale.largest == pytest.approx(980, abs=2)
    far = PROBLEM.difference_scale([*plain, "1e12"])
    assert far.largest is not None and far.largest < 1000
    assert PROBLEM.difference_scale(["5"] * 10).largest == 1.0


def test_ridge_regression_finds_words_that_tell_and_a_far_target_does_not_break_it():
    texts = [f"item {'cheap' if n % 2 else 'dear'} {n % 7}" for n in range(300)]
    numbers = np.array([1.0 if n % 2 else 9.0 for n in range(300)])
    numbers[0] = 1e9
    found = baselines.tfidf_ridge(texts[:200], numbers[:200], texts[200:])
    assert np.abs(found.predictions - numbers[200:]).mean() < 1.0
    again = baselines.tfidf_ridge(texts[:200], numbers[:200], texts[200:])
    assert np.array_equal(found.predictions, again.predictions)
    assert len(baselines.tfidf_ridge(texts[:1], numbers[1:2], texts[200:]).predictions) == 100


@pytest.mark.parametrize(("unit", "offset"), [(1e18, 0.0), (1e-200, 0.0), (1.0, 1e15)])
def test_ridge_regression_is_as_good_in_any_unit_and_far_from_nought(unit, offset):
    vectors = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    numbers = vectors @ np.array([3.0, -2.0, 1.0, 0.0])
    plain = baselines.embedding_ridge(vectors[:200], numbers[:200], vectors[200:]).predictions
    moved = baselines.embedding_ridge(vectors[:200], unit * numbers[:200] + offset, vectors[200:]).predictions
    np.testing.assert_allclose((moved - offset) / unit, plain, rtol=0.01, atol=0.2)


@pytest.mark.filterwarnings("error")
def test_the_largest_numbers_that_are_read_have_metrics_and_an_interval():
    targets = np.array([LARGEST, -LARGEST] * 20 + [1.0])
    assert np.isfinite(list(regression_metrics(targets, -targets).values())).all()
    interval = mean_interval(np.abs(targets - np.roll(targets, 1)))
    assert interval.low is not None and interval.low <= interval.value <= interval.high


def test_the_lexical_baselines_come_from_a_snapshots_files(rows, tmp_path):
    for name, part in (("train", rows[:100]), ("test", rows[100:120])):
        part.to_parquet(tmp_path / f"{name}.parquet")
    found = fit_lexical(Supervised(), "text-regression", [tmp_path / "train.parquet"], tmp_path / "test.parquet")
    assert [len(each.scores) for each in found] == [20, 20, 20] and all((each.scores <= 0).all() for each in found)
