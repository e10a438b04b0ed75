"""Two at once, killed anywhere, asked to stop: one run, one version, the same weights."""

import json
import signal
import time

import forks
import pytest

from tasks.ledger.pipeline_lock import hold_pipeline
from tasks.ledger.promotions import ledger_history

KILLS = [  # of all places, which `benchmarks/kills.py` goes through, those where one thing is done and the next is not
    ("tasks.data.snapshot.snapshot", "write_snapshot"),
    ("tasks.learning.fit", "_finish"),
    ("tasks.tracking.client", "Tracking.register"),
    ("flows.judge", "record_decision"),
]


def said(process):
    return json.loads(process.said.with_suffix(".json").read_text())


def waits(process):
    file = process.said.with_suffix(".txt")
    return file.is_file() and "is held by process" in file.read_text()


@pytest.mark.slow
def test_of_two_at_once_one_trains_and_the_other_waits_and_skips(keep):
    with hold_pipeline(
        keep.home.path, "tiny", lambda _: None
    ):  # until both are there: else one may have ended before the other came
        both = [keep.fork(), keep.fork()]
        deadline = time.monotonic() + 60
        while not all(map(waits, both)) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert all(map(waits, both))
    assert not any(forks.was_killed(process) for process in both)
    outcomes = [said(process) for process in both]
    assert sorted(outcome["skipped"] for outcome in outcomes) == [False, True]
    assert {**outcomes[0], "skipped": None} == {**outcomes[1], "skipped": None}
    assert len(keep.runs()) == 1 and keep.versions() == {"1"}


@pytest.mark.parametrize("kills", [KILLS[2:3], pytest.param(KILLS, marks=pytest.mark.slow)], ids=["one", "each"])
def test_killed_before_any_step_and_run_again_there_is_one_run_one_version_and_one_promotion(keep, kills):
    for kill in kills:
        assert forks.was_killed(keep.fork(kill=kill)), kill
    done = keep.retrain()
    assert done["verdict"] == "PROMOTE" and not done["skipped"] and keep.champion() == "1" and keep.versions() == {"1"}
    (run,) = keep.runs()
    assert run.info.status == "FINISHED" and run.data.tags["tunekeeper.weights_sha256"] == done["weights_sha256"]
    assert [row.kind for row in ledger_history(keep.ledger, "tiny")] == ["FIRST"]
    assert {"train/loss", "validation/loss"} <= run.data.metrics.keys()
    for name in run.data.metrics:
        steps = [metric.step for metric in keep.tracking.client.get_metric_history(run.info.run_id, name)]
        assert steps and len(steps) == len(set(steps))


@pytest.mark.slow
def test_killed_after_its_last_word_it_is_whole_and_what_it_left_is_cleared(keep):
    assert forks.was_killed(keep.fork(kill=("flow_child", "InProcessHelper.close")))
    assert list(keep.home.path.glob("work/*"))
    done = keep.retrain()
    assert done["skipped"] and [run.info.status for run in keep.runs()] == ["FINISHED"] and keep.champion() == "1"
    assert not list(keep.home.path.glob("work/*"))


def stopped(process):
    """What a command that was asked to stop says last: how to go on, and nothing of what it was in the middle of."""
    process.join(120)
    text = process.said.with_suffix(".txt").read_text()
    assert process.exitcode == 128 + signal.SIGTERM and text.count("error: ") == 1, text
    assert not any(word in text for word in ("Traceback", "Crash", "TerminationSignal", "StoppedEarlyError")), text
    assert process.said.with_suffix(".json").read_text() == ""
    return text[text.index("error: ") :]


@pytest.mark.slow
def test_asked_to_stop_it_leaves_a_clean_state_and_goes_on_when_asked_again(keep):
    in_preparation = keep.fork("training.epochs=20", kill=("tasks.data.snapshot.snapshot", "write_snapshot", signal.SIGTERM))
    said_last = stopped(in_preparation)
    assert said_last == "error: stopped by SIGTERM; what was finished is kept: run the same command to go on\n"
    assert "is kept: run the same command" in stopped(
        keep.fork("training.epochs=20", kill=("tasks.tracking.metric_log", "MetricLog.log", signal.SIGTERM))
    )
    assert [run.info.status for run in keep.runs()] == ["KILLED"] and keep.versions() == set()
    done = keep.retrain("training.epochs=20")
    assert [run.info.status for run in keep.runs()] == ["FINISHED"] and keep.versions() == {"1"} and not done["skipped"]
    assert "going on from checkpoint-" in keep.said
