"""What a training keeps: its best epoch, an honest temperature, and, where it went wrong, a second attempt."""

import json

import pandas as pd
import pytest
import tiny
from fit_parts import ROWS, held_out_losses, losses, measured

from configs.errors import InfraError
from configs.schema import Lora
from tasks.learning import collapse, fit
from tasks.learning.best_epoch import best_epoch
from tasks.learning.network import read_spec
from tasks.learning.objectives import run as training_run

SHUFFLED = ROWS.assign(target=lambda frame: frame["target"].sample(frac=1, random_state=0).to_numpy())  # nothing to learn
STEADY = {"schedule": "constant", "warmup": 0.0}


@pytest.fixture
def climbs_back(monkeypatch):
    """The first `times` fits go wrong when their log has so many losses."""

    def at(entry, times=1):
        alarms = []

        def judged(seen, entries, untrained):
            if len(seen) == entry and len(alarms) < times:
                alarms.append(entry)
                return "the loss had fallen to 0.1 and climbed back to 0.7"
            return None

        monkeypatch.setattr(fit, "climbed_back", judged)

    return at


def test_the_epoch_with_the_lowest_validation_loss_is_kept(train):
    trained = train(rows=SHUFFLED, epochs=8, learning_rate=3e-3)
    seen = held_out_losses(trained)
    assert len(seen) == 8 and seen.index(min(seen)) < 7
    assert trained.epoch == seen.index(min(seen)) + 1
    assert measured(trained, trained.temperature) == pytest.approx(min(seen), abs=1e-4)


def test_a_last_epoch_that_is_the_best_is_kept_without_a_copy(train, tmp_path):
    trained = train(epochs=6)
    assert trained.epoch == 6
    assert measured(trained, trained.temperature) == pytest.approx(held_out_losses(trained)[-1], abs=1e-4)


def test_without_held_out_rows_the_last_epoch_and_the_confidence_as_it_is_are_kept(train):
    trained = train(held_out=tiny.frame(1)[:0], epochs=3)
    assert (trained.epoch, trained.temperature) == (3, 1.0)


def test_the_temperature_is_fitted_on_held_out_rows_and_stored_with_the_network(train):
    held_out = tiny.frame(60, 1)
    trained = train(rows=SHUFFLED, held_out=held_out, epochs=8, learning_rate=1e-2)
    assert read_spec(trained.folder).temperature == trained.temperature > 1.2  # it learned noise by heart, and is too sure of it
    assert measured(trained, trained.temperature, held_out) < measured(trained, 1.0, held_out)


def test_a_refit_trains_on_all_rows_for_as_many_epochs_as_were_best(train):
    held_out = tiny.frame(12, 1)
    refitted = train("refitted", rows=SHUFFLED, held_out=held_out, refit=True, epochs=6, learning_rate=1e-2, **STEADY)
    best = best_epoch(refitted.history, collapse.constant_loss(SHUFFLED["target"].astype("category").cat.codes, 4, 0, None))
    assert len(held_out_losses(refitted)) == 6 and refitted.epoch == best < 6
    whole = pd.concat([SHUFFLED, held_out], ignore_index=True)
    plain = train("plain", rows=whole, held_out=held_out[:0], epochs=best, learning_rate=1e-2, **STEADY)
    assert refitted.weights == plain.weights and refitted.steps == 6 * 6 + best * 7
    steps = [entry["step"] for entry in refitted.history if "loss" in entry]
    assert steps == list(range(1, refitted.steps + 1)) and refitted.temperature != 1.0
    assert not (refitted.folder.parent / training_run.SEARCH).exists()


def test_a_refit_without_held_out_rows_is_a_plain_training(train):
    nothing = tiny.frame(1)[:0]
    assert train("refit", held_out=nothing, refit=True).weights == train("plain", held_out=nothing).weights


def test_a_training_that_went_wrong_is_begun_once_more_at_a_quarter_of_its_rate(train, climbs_back):
    lower = train("lower", learning_rate=3e-3 / 4, epochs=4)
    climbs_back(9)
    trained = train("again", learning_rate=3e-3, epochs=4)
    assert trained.weights == lower.weights and trained.learning_rate == 3e-3 / 4 and trained.epoch == lower.epoch
    assert "step 9, learning rate 0.003: the loss had fallen to 0.1 and climbed back to 0.7" in trained.restart
    assert trained.restart in train.said and trained.steps == 9 + lower.steps
    assert [entry["step"] for entry in trained.history if "loss" in entry] == list(range(1, trained.steps + 1))
    assert losses(trained)[-len(losses(lower)) :] == pytest.approx(losses(lower))


def test_a_training_that_went_wrong_twice_leaves_nothing_and_says_both(train, climbs_back, tmp_path):
    climbs_back(9, times=2)
    with pytest.raises(InfraError, match=r"went wrong twice \(step 9, learning rate 0.003: .*; step 9, 0.00075: .* Lower training"):
        train(epochs=4)
    assert not (tmp_path / "run" / "trained").exists()


def test_a_second_attempt_that_is_interrupted_goes_on_as_the_second(train, climbs_back, monkeypatch, tmp_path):
    climbs_back(9)
    whole = train("whole", epochs=4, checkpoint_every=5)
    climbs_back(9)
    finish = fit._finish
    monkeypatch.setattr(fit, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train("cut", epochs=4, checkpoint_every=5)
    monkeypatch.setattr(fit, "_finish", finish)
    assert json.loads((tmp_path / "cut" / training_run.COLLAPSED).read_text())["step"] == 9
    resumed = train("cut", epochs=4, checkpoint_every=5)
    assert (resumed.weights, resumed.restart, resumed.steps) == (whole.weights, whole.restart, whole.steps)


def test_a_rate_far_too_high_is_found_out_and_a_quarter_of_one_that_is_slightly_too_high_learns(train):
    with pytest.raises(InfraError, match="went wrong twice"):
        train("hopeless", adapter=Lora(r=4), epochs=12, learning_rate=30.0)
