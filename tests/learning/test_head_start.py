"""A head that begins as a logistic regression: the network answers as that does before its first step, and learns on from there."""

import numpy as np
import pytest
import tiny
import torch
from sklearn.linear_model import LogisticRegression

from configs.schema import Pipeline, Supervised
from tasks.learning.head_start import INVERSE_PENALTY, logistic_head, set_head
from tasks.problems.classifier import build_classifier

WIDTH = 6


def clusters(classes, each=12, seed=0):
    """Vectors (n, WIDTH) around a point of each class, and their classes."""
    draw = np.random.default_rng(seed)
    targets = np.repeat(np.arange(classes), each)
    points = draw.normal(size=(classes, WIDTH)) * 2
    return (points[targets] + draw.normal(size=(len(targets), WIDTH))).astype(np.float32), targets


def answers_of(head, vectors):
    return (vectors @ head.weight.T + head.bias).argmax(1)


@pytest.mark.parametrize("classes", [2, 5])
def test_its_answers_are_those_of_scikit_learns_regression(classes):
    vectors, targets = clusters(classes)
    head = logistic_head(vectors, targets, classes)
    logits = vectors @ head.weight.T + head.bias
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    peer = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000).fit(vectors, targets).predict_proba(vectors)
    np.testing.assert_allclose(shares, peer, atol=1e-3)


def test_a_class_without_a_row_is_never_the_answer():
    vectors, targets = clusters(4, each=2)
    head = logistic_head(vectors, targets + 1, 6)  # classes 0 and 5 have no row
    assert head.weight.shape == (6, WIDTH) and set(answers_of(head, vectors)) <= {1, 2, 3, 4}


def test_it_is_put_into_a_classifier():
    vectors, targets = clusters(3)
    head = logistic_head(vectors, targets, 3)
    model = build_classifier(torch.nn.Identity(), WIDTH, 3, "mean")
    set_head(model, head)
    answers = model.head(torch.from_numpy(vectors)).argmax(1).numpy()
    assert (answers == answers_of(head, vectors)).all() and (answers == targets).mean() > 0.8


def test_a_training_begins_there_and_not_again_where_it_goes_on(train):
    """Its first loss is far below that of a new head, which is the logarithm of the number of classes."""
    rows = tiny.frame(60)
    began = {head: train(head, rows=rows, objective=Supervised(head=head), learning_rate=1e-9) for head in ("new", "logistic")}
    first = {head: next(entry["loss"] for entry in trained.history if "loss" in entry) for head, trained in began.items()}
    assert first["logistic"] < first["new"] - 0.2
    onward = train("onward", rows=rows, objective=Supervised(head="logistic"), start=began["new"].folder, learning_rate=1e-9)
    assert next(entry["loss"] for entry in onward.history if "loss" in entry) == pytest.approx(first["new"], abs=0.05)


def test_it_is_of_problems_with_classes():
    with pytest.raises(ValueError, match=r"objective\.head is of problems with one class a row"):
        Pipeline.model_validate(
            {"name": "a", "problem": "text-regression", "model": {"base": "b"}, "data": {"source": "a.csv"},
             "objective": {"head": "logistic"}}
        )  # fmt: skip
