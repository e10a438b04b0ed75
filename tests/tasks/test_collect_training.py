"""What a training shows of itself: the losses of its epochs, of the fit that chose the weights."""

from dataclasses import replace

import pytest
from test_train import trained

from configs.schema import Pipeline
from tasks.collect.training import curves_of, training_sentence


def epochs(losses, validation=(), first=0):
    """The log of a fit: the losses of each epoch's steps, then what its validation rows had."""
    out, step = [], first
    for epoch, each in enumerate(losses, 1):
        for place, loss in enumerate(each, 1):
            step += 1
            out.append({"step": float(step), "epoch": epoch - 1 + place / len(each), "loss": loss})
        if validation:
            held_out = {"eval_loss": validation[epoch - 1], "eval_calibrated_loss": validation[epoch - 1] - 0.1}
            out.append({"step": float(step), "epoch": float(epoch), **held_out})
    return tuple(out)


def points(history):
    return {curve.name: curve.points for curve in curves_of(trained(history=history))}


def test_each_epoch_has_the_mean_of_its_steps_and_its_validation_losses():
    found = points(epochs([[4.0, 2.0], [1.0, 0.0]], [2.0, 1.0]))
    assert found == {
        "training": ((1.0, 3.0), (2.0, 0.5)),
        "validation": ((1.0, 2.0), (2.0, 1.0)),
        "validation, calibrated": ((1.0, 1.9), (2.0, 0.9)),
    }
    assert {curve.by for curve in curves_of(trained(history=epochs([[1.0]])))} == {"epoch"}


@pytest.mark.parametrize("later", [epochs([[9.0], [8.0]], first=10), ()])
def test_of_a_training_begun_again_the_fit_that_chose_the_weights_is_shown(later):
    wrong, right = epochs([[7.0], [7.0]], [7.0, 7.0]), epochs([[3.0], [2.0]], [2.0, 1.0], first=2)
    found = points((*wrong, *right, *later))  # a refit comes last, and has no validation rows
    assert found["training"] == ((1.0, 3.0), (2.0, 2.0)) and found["validation"] == ((1.0, 2.0), (2.0, 1.0))


def test_without_validation_rows_there_is_a_curve_of_training_and_without_a_log_none():
    assert points(epochs([[3.0], [2.0]])) == {"training": ((1.0, 3.0), (2.0, 2.0))}
    assert curves_of(replace(trained(), history=())) == ()


def pipeline(**sections):
    values = {"name": "a", "problem": "text-classification", "model": {"base": "b"}, "data": {"source": "a.csv"}, **sections}
    return Pipeline.model_validate(values)


def test_a_chain_says_which_objectives_there_were_and_whose_epochs_are_shown():
    chain = pipeline(objective=[{"kind": "contrastive"}, {"head": "logistic"}])
    sentence = training_sentence(replace(trained(), epoch=2), chain)
    assert sentence.startswith("Trained by contrastive, then supervised; what follows is of the last. Weights of epoch 2")
    assert training_sentence(replace(trained(), epoch=2), pipeline()).startswith("Weights of epoch 2")


def test_where_nothing_was_trained_no_epoch_is_named():
    idle = pipeline(objective={"kind": "zero-shot"}, adapter={"kind": "frozen"})
    sentence = training_sentence(replace(trained(), epoch=0, temperature=1.25), idle)
    assert sentence == "No weight was trained; calibrated with a temperature of 1.25."
