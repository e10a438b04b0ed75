"""multi-label-classification: metrics held to scikit-learn, thresholds chosen on held-out rows, a fit that learns two labels."""

import json
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import tiny
from sklearn import metrics as sk

from configs.schema import Evaluation, Full, Lora, Supervised, Training
from tasks.common.bases import find_base
from tasks.data.label_sets import label_flags, labels_of
from tasks.learning.fit import Listener
from tasks.learning.network import TRAINABLE, build_network, read_spec, spec_of
from tasks.learning.objectives.run import TrainingMaterial, train_network
from tasks.learning.scoring import score_network, score_opponents, scoring_of
from tasks.problems import problem_of
from tasks.problems.baselines import multi_label as baselines
from tasks.problems.metrics import label_set_metrics
from tasks.problems.metrics.multi_label import row_f1
from tasks.problems.types import Writing

PROBLEM = problem_of("multi-label-classification")
SILENT = Listener(lambda *_: None, lambda *_: None, lambda _: None)
HOW = scoring_of(Evaluation(batch_size=16), "fp32")
ROWS = tiny.label_set_rows(700)


@pytest.fixture(scope="module")
def spec(bert_folder):
    base = find_base(str(bert_folder))
    blank = spec_of("multi-label-classification", Lora(r=4), (), 40, 0, base)
    return PROBLEM.with_targets(blank, ROWS["target"].tolist())


@pytest.fixture(scope="module")
def tuned(bert_folder, spec, tmp_path_factory):
    material = TrainingMaterial(spec, bert_folder, ROWS[:500], ROWS[500:560])
    training = Training(epochs=12, batch_size=16, learning_rate=1e-2, precision="fp32")
    done = train_network(material, Supervised(), training, tmp_path_factory.mktemp("run"), SILENT, None)
    assert len(done.thresholds) == len(spec.labels)
    return build_network(read_spec(done.folder), bert_folder, done.folder / TRAINABLE)


def test_metrics_are_those_of_scikit_learn():
    draw = np.random.default_rng(0)
    targets, answers = draw.random((200, 5)) < 0.4, draw.random((200, 5)) < 0.4
    targets[:, 0] |= ~targets.any(axis=1)  # scikit-learn calls an empty row wrong
    found = label_set_metrics(targets, answers)
    assert found == pytest.approx(
        {
            "f1_rows": sk.f1_score(targets, answers, average="samples"),
            "subset_accuracy": sk.accuracy_score(targets, answers),
            "f1_micro": sk.f1_score(targets, answers, average="micro"),
            "f1_macro": sk.f1_score(targets, answers, average="macro"),
            "precision_micro": sk.precision_score(targets, answers, average="micro"),
            "recall_micro": sk.recall_score(targets, answers, average="micro"),
        },
        abs=1e-12,
    )
    assert row_f1(np.zeros((1, 3), bool), np.zeros((1, 3), bool)).tolist() == [1.0]
    with pytest.raises(ValueError):
        label_set_metrics(np.zeros((2, 3), bool), np.zeros((2, 4), bool))


def test_labels_and_their_shares_are_of_the_training_rows_and_the_head_begins_with_them(spec, bert_folder):
    assert spec.labels == tuple(sorted({label for target in ROWS["target"] for label in labels_of(target)}))
    network = build_network(spec, bert_folder)
    assert network.model.head.bias.tolist() == pytest.approx(np.log(spec.shares / (1 - np.array(spec.shares))).tolist(), abs=1e-5)
    assert PROBLEM.encode_target(spec, json.dumps([spec.labels[1], "never seen"])) == [0.0, 1.0, *[0.0] * (len(spec.labels) - 2)]


def test_a_fit_learns_several_labels_of_one_text(tuned):
    test = ROWS[560:].reset_index(drop=True)
    scored = score_network(PROBLEM, tuned, test, HOW)
    untuned = build_network(replace(tuned.spec, adapter=Full().model_dump(mode="json")), find_base(tuned.spec.base_name).path)
    opponents = score_opponents(PROBLEM, untuned, ROWS[:560], test, PROBLEM.fit_lexical(ROWS[:560], test), HOW)
    assert [each.name for each in opponents.each] == [
        baselines.COMMONEST, "TF-IDF + logistic regression of each label", "nearest training row",
    ]  # fmt: skip
    best = max(each.metrics["f1_rows"] for each in opponents.each)
    assert scored.metrics["f1_rows"] > best + 0.1 and scored.metrics["subset_accuracy"] > 0.5
    assert np.array_equal(PROBLEM.primary_scores(scored.frame), row_f1(*both(scored.frame)))


def both(frame):
    labels = sorted({label for name in ("target", "prediction") for target in frame[name] for label in labels_of(target)})
    return label_flags(frame["target"], labels), label_flags(frame["prediction"], labels)


def test_an_answer_hangs_on_its_text_alone_and_its_score_is_of_the_whole_set(tuned):
    texts = ROWS["text"].tolist()[:20]
    alone, together = (PROBLEM.answer_texts(tuned, texts, Writing(0), size, nullcontext) for size in (1, 20))
    assert [answer.prediction for answer in alone] == [answer.prediction for answer in together]
    assert all(0 <= answer.score <= 1 for answer in together)
    spec = replace(tuned.spec, labels=("a", "b"), thresholds=(0.5, 0.9))
    (answer,) = PROBLEM.read_logits(spec, np.log(np.array([[3.0, 4.0]], np.float32)))  # 0.75 and 0.8
    assert answer.prediction == '["a"]' and answer.score == pytest.approx(0.75 * 0.2)


def test_thresholds_are_chosen_on_held_out_rows_and_few_of_them_choose_none():
    draw = np.random.default_rng(1)
    flags = draw.random((400, 3)) < [0.5, 0.3, 0.02]
    logits = np.where(flags, 0.0, -4.0).astype(np.float32) + draw.normal(size=flags.shape).astype(np.float32) - 1
    chosen = PROBLEM.fit_thresholds(logits, flags.astype(float).tolist())
    likely = 1 / (1 + np.exp(-logits))
    assert row_f1(flags, likely >= np.array(chosen)).mean() > row_f1(flags, likely >= 0.5).mean() + 0.1
    assert PROBLEM.fit_thresholds(logits[:10], flags[:10].astype(float).tolist()) == (0.5, 0.5, 0.5)


def test_the_threshold_of_equals_is_the_one_nearest_to_a_half():
    assert baselines.best_threshold(np.array([[0.99, 0.01]]), np.array([[True, False]])) == 0.5
