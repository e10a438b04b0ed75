"""Where few rows are held out, folds of the training rows help to choose the epoch and the temperature."""

import shutil

import numpy as np
import pandas as pd
import pytest
import tiny
from fit_child import outcome
from fit_parts import ROWS

from configs.schema import Training
from tasks.learning import folds
from tasks.learning.folds import FoldAnswers, folds_of, load_answers, pool_answers
from tasks.learning.objectives import run as training_run
from tasks.learning.temperature import fit_temperature, log_loss

OPEN = Training()
HELD_OUT = tiny.frame(12, 1)


def test_each_row_is_answered_once_by_a_network_that_did_not_learn_from_it():
    pairs = folds_of(OPEN, ROWS, HELD_OUT)
    answered = [row for _, rows in pairs for row in rows["id"]]
    assert sorted(answered) == sorted(ROWS["id"]) and len(pairs) == 3
    for fitted, rows in pairs:
        assert not set(fitted["id"]) & set(rows["id"]) and len(fitted) + len(rows) == len(ROWS)
        shares = rows["target"].value_counts(normalize=True) - ROWS["target"].value_counts(normalize=True)
        assert shares.abs().max() < 0.1


def test_a_group_is_never_in_two_folds():
    rows = ROWS.assign(group=[f"g{number // 4}" for number in range(len(ROWS))])
    for fitted, answered in folds_of(OPEN, rows, HELD_OUT):
        assert not set(fitted["group"]) & set(answered["group"])


def test_a_row_whose_class_a_fold_never_saw_is_not_answered_there():
    rows = pd.concat([ROWS, pd.DataFrame([{"id": "only", "text": "kan", "target": "rare"}])], ignore_index=True)
    answered = {row for _, rows in folds_of(OPEN, rows, HELD_OUT) for row in rows["id"]}
    assert answered == set(ROWS["id"])


@pytest.mark.parametrize(
    ("settings", "rows", "held_out"),
    [
        ({"epochs": 3}, ROWS, HELD_OUT),
        ({"early_stopping": 1}, ROWS, HELD_OUT),
        ({"start": "champion"}, ROWS, HELD_OUT),  # whose weights may have learned from these rows
        ({}, ROWS, HELD_OUT[:0]),
        ({}, ROWS, tiny.frame(folds.FEW_HELD_OUT, 1)),
        ({}, tiny.frame(folds.MOST_ROWS + 1), HELD_OUT),
        ({}, ROWS[:5], HELD_OUT),
        ({}, ROWS.assign(group="the only one"), HELD_OUT),
        ({}, ROWS.assign(target=[f"t{number}" for number in range(len(ROWS))]), HELD_OUT),
    ],
    ids=["epochs given", "early stopping", "champion", "none held out", "enough", "many rows", "five rows", "group", "rare"],
)  # fmt: skip
def test_where_how_long_is_settled_or_folds_would_say_nothing_there_are_none(settings, rows, held_out):
    assert folds_of(Training(**settings), rows, held_out) == []


def test_folds_and_held_out_rows_choose_epoch_and_temperature_together(train, monkeypatch):
    seen = {}

    def keep(every):
        seen["folds"] = pool_answers(every)
        return seen["folds"]

    monkeypatch.setattr(training_run, "pool_answers", keep)
    trained = train(epochs=None)
    answers = seen["folds"]
    assert answers.logits.shape == (12, 44, 4) and trained.steps == 72
    losses = [entry["eval_calibrated_loss"] for entry in trained.history if "eval_loss" in entry]
    assert trained.epoch == int(np.argmin(losses)) + 1
    # of 56 rows 44 are the folds': the loss that chooses is near theirs
    theirs = [log_loss(each, answers.targets, fit_temperature(each, answers.targets)) for each in answers.logits]
    assert np.corrcoef(theirs, losses)[0, 1] > 0.95
    assert train.moved[-1] == (216, 216) and [step for step, _ in train.moved] == list(range(1, 217))
    assert {step for step, _ in train.logged} <= set(range(73)), "what folds log is no part of the training's curves"
    assert trained.seconds > answers.seconds > 0 and trained.fold_rows == 44
    assert any("3 folds of the training rows" in sentence for sentence in train.said)


def test_pooled_answers_stand_beside_those_of_the_held_out_rows():
    fold = FoldAnswers(np.arange(12.0).reshape(2, 3, 2).astype(np.float32), np.array([0, 1, 1]), 2.0)
    both = pool_answers([fold, fold])
    logits, targets = both.with_held_out(2, np.zeros((1, 2)), [1])
    assert both.seconds == 4.0 and both.logits.shape == (2, 6, 2)
    assert logits.tolist() == [[0, 0], *fold.logits[1].tolist(), *fold.logits[1].tolist()] and targets.tolist() == [
        1,
        0,
        1,
        1,
        0,
        1,
        1,
    ]


@pytest.mark.slow
def test_killed_in_a_fold_it_goes_on_there_to_the_same_weights(bert_folder, tmp_path):
    settings = {"epochs": None, "batch_size": 16, "checkpoint_every": 10}
    whole = outcome(bert_folder, tmp_path / "whole", settings=settings)
    moments = whole["moments"]
    second = next(place for place, name in enumerate(moments, 1) if name == "step 30")  # of 24 steps in each fold
    run = tmp_path / "cut"
    assert outcome(bert_folder, run, settings=settings, last=second) is None
    assert load_answers(run / "fit" / "fold-1") is not None
    shutil.copytree(run / "fit" / "fold-1", run / "fit" / "fold-1-fit")  # killed before it was removed
    again = outcome(bert_folder, run, settings=settings)
    assert (again["weights"], again["history"][-1]["step"]) == (whole["weights"], whole["history"][-1]["step"])
    assert not list((run / "fit").glob("fold-*")), "what is done leaves no folds behind"
