"""Killed at any moment and started again, a training ends with the weights of one that nobody disturbed, bit for bit."""

import json
import os
import signal
import time

import pytest
import tiny
from fit_child import KINDS, outcome, start

from tasks.learning.memory import MICRO

MOMENTS = (
    "step",
    "log",
    "before _write_manifest",
    "after _write_manifest",
    "before flush_to_disk",
    "before keep_newest",
    "after keep_newest",
)
STOPPING = {"epochs": 12, "early_stopping": 1, "learning_rate": 2e-2, "checkpoint_every": 6}  # every epoch ends in a checkpoint


@pytest.fixture(scope="module")
def undisturbed(bert_folder, tmp_path_factory):
    return "lora", outcome(bert_folder, tmp_path_factory.mktemp("whole"), kind="lora")


def spread(moments):
    """The number of a moment of each kind, from early ones of the first to late ones of the last."""
    places = [[n for n, name in enumerate(moments, 1) if name.startswith(kind)] for kind in MOMENTS]
    return [found[(len(found) - 1) * (2 * turn + 1) // (2 * len(MOMENTS))] for turn, found in enumerate(places)]


def number_of(moments, name, occurrence=0):
    return [n for n, moment in enumerate(moments, 1) if moment == name][occurrence]


def logged(run):
    """(name, step) -> the values that any attempt logged; times and speeds, which may differ, are left out."""
    found = {}
    for step, values in map(json.loads, (run / "journal.jsonl").read_text().splitlines()):
        for name in ("loss", "eval_loss", "grad_norm", "learning_rate"):
            if name in values:
                found.setdefault((name, step), set()).add(values[name])
    return found


@pytest.mark.parametrize("first", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_moments_of_every_kind_and_resumed_the_weights_are_the_same(undisturbed, bert_folder, tmp_path, first):
    kind, whole = undisturbed
    for moment in spread(whole["moments"])[first::2]:
        run = tmp_path / str(moment)
        assert outcome(bert_folder, run, kind=kind, last=moment) is None
        again = outcome(bert_folder, run, kind=kind)
        assert (again["weights"], again["steps"]) == (whole["weights"], 18), whole["moments"][moment - 1]
        assert not list((run / "fit").glob(".*.tmp"))


@pytest.mark.slow
def test_killed_on_every_attempt_it_still_arrives_and_no_step_is_told_two_losses(undisturbed, bert_folder, tmp_path):
    kind, whole = undisturbed
    for _ in range(12):
        done = outcome(bert_folder, tmp_path, kind=kind, last=49)
        if done is not None:
            break
    assert done is not None and done["weights"] == whole["weights"]
    assert all(len(values) == 1 for values in logged(tmp_path).values())


def test_killed_between_two_epochs_the_next_epochs_order_and_dropout_are_the_same(undisturbed, bert_folder, tmp_path):
    kind, _ = undisturbed
    every_epoch = {"checkpoint_every": 6}
    whole = outcome(bert_folder, tmp_path / "whole", kind=kind, settings=every_epoch)
    saved = number_of(whole["moments"], "after keep_newest", 1)  # the checkpoint of step 12, where epoch 2 ends
    assert outcome(bert_folder, tmp_path / "cut", kind=kind, settings=every_epoch, last=saved) is None
    assert outcome(bert_folder, tmp_path / "cut", kind=kind, settings=every_epoch)["weights"] == whole["weights"]


@pytest.mark.slow
def test_killed_in_the_midst_of_an_epoch_taken_in_smaller_pieces_it_goes_on_with_the_next_piece(bert_folder, tmp_path):
    for run in ("whole", "cut"):
        (tmp_path / run / "fit").mkdir(parents=True)
        (tmp_path / run / "fit" / MICRO).write_text("2")  # as after want of memory: four pieces a batch
    whole = outcome(bert_folder, tmp_path / "whole")
    for moment in (number_of(whole["moments"], "step 5"), 20, 45):
        assert outcome(bert_folder, tmp_path / "cut", last=moment) is None
    assert outcome(bert_folder, tmp_path / "cut")["weights"] == whole["weights"]


ON_A_DECODER, ON_ANOTHER = (
    ("decoder", "pairs", "anchored", "odds ratio", "simple preference", "thumbs", "chain"),
    {"chats": tiny.chat_llama, "seq2seq": tiny.seq2seq},
)  # than an encoder


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lora"])
def test_every_kind_of_training_that_was_killed_is_resumed_to_the_same_weights(kind, bert_folder, llama_folder, tmp_path):
    base = ON_ANOTHER[kind](tmp_path / "base") if kind in ON_ANOTHER else llama_folder if kind in ON_A_DECODER else bert_folder
    whole = outcome(base, tmp_path / "whole", kind=kind)
    assert whole["error"] is None
    for moment in spread(whole["moments"])[::3]:
        run = tmp_path / str(moment)
        assert outcome(base, run, kind=kind, last=moment) is None
        assert outcome(base, run, kind=kind)["weights"] == whole["weights"]


@pytest.mark.slow
def test_killed_after_it_stopped_early_it_does_not_start_over_to_learn(bert_folder, tmp_path):
    whole = outcome(bert_folder, tmp_path / "whole", settings=STOPPING)
    assert any("stopped early" in sentence for sentence in whole["said"]) and whole["steps"] < 72
    saved = [n for n, name in enumerate(whole["moments"], 1) if name == "after keep_newest"]
    for moment in (saved[0], saved[-1]):  # the last one: its checkpoint was written after the decision to stop
        run = tmp_path / str(moment)
        assert outcome(bert_folder, run, settings=STOPPING, last=moment) is None
        again = outcome(bert_folder, run, settings=STOPPING)
        assert (again["weights"], again["steps"]) == (whole["weights"], whole["steps"])


def test_asked_to_stop_it_keeps_a_checkpoint_and_goes_on_from_there(undisturbed, bert_folder, tmp_path):
    kind, whole = undisturbed
    step = number_of(whole["moments"], "step 7")
    asked = outcome(bert_folder, tmp_path, kind=kind, last=step, send=signal.SIGTERM)
    assert "StoppedEarlyError: stopped by a signal at step 7; a checkpoint is kept" in asked["error"] and asked["weights"] is None
    assert (tmp_path / "fit" / "checkpoint-7").is_dir() and not (tmp_path / "fit" / "trained").exists()
    again = outcome(bert_folder, tmp_path, kind=kind)
    assert "going on from checkpoint-7" in again["said"] and again["weights"] == whole["weights"]


def test_asked_to_stop_in_the_last_step_it_stops_once_the_training_is_kept(undisturbed, bert_folder, tmp_path):
    kind, whole = undisturbed
    step = number_of(whole["moments"], "step 18")
    asked = outcome(bert_folder, tmp_path, kind=kind, last=step, send=signal.SIGTERM)
    assert "StoppedEarlyError: stopped by a signal; the training is done and kept" in asked["error"]
    again = outcome(bert_folder, tmp_path, kind=kind)
    assert again["weights"] == whole["weights"] and "step 1" not in again["moments"]


@pytest.mark.slow
def test_killed_at_no_chosen_moment_it_arrives_all_the_same(undisturbed, bert_folder, tmp_path):
    kind, whole = undisturbed
    for wait in (0.3, 0.45, 0.6):
        process = start(bert_folder, tmp_path, kind=kind)
        time.sleep(wait)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
    assert outcome(bert_folder, tmp_path, kind=kind)["weights"] == whole["weights"]


@pytest.mark.parametrize(
    ("kind", "room", "settings"),
    [("full", 1_000, {}), ("lora", 40_000, {}), ("lora", 1_000, {"early_stopping": 1, "checkpoint_every": 100})],
    ids=["the weights do not fit", "the optimizer's state does not fit", "the best weights do not fit"],
)
def test_a_full_disk_is_an_error_that_says_so_and_with_room_it_goes_on(kind, room, settings, bert_folder, tmp_path):
    stuck = outcome(bert_folder, tmp_path, kind=kind, settings=settings, room=room)
    assert stuck["error"].startswith(f"InfraError: could not write to {tmp_path / 'fit'}") and "free some space" in stuck["error"]
    assert not any((tmp_path / "fit").iterdir())
    assert outcome(bert_folder, tmp_path, kind=kind, settings=settings)["weights"]
