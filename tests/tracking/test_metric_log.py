"""Every (name, step) once in MLflow, through kills and outages."""

import shutil
import time
from itertools import pairwise

import pytest
from requests import ConnectionError as NoAnswer

from configs.errors import InfraError
from tasks.common.home import Home
from tasks.tracking import metric_log
from tasks.tracking.client import Tracking
from tasks.tracking.metric_log import MetricLog


@pytest.fixture
def tracking(tmp_path, empty_database, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(metric_log, "FLUSH_SECONDS", 0.02)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return Tracking(Home(tmp_path), pause=lambda _: None)


@pytest.fixture
def run(tracking):
    return tracking.open_run("tiny", "key", "first", {})


@pytest.fixture
def said():
    return []


@pytest.fixture
def opened(tracking, run, said, tmp_path):
    """The log as each new process opens it."""
    return lambda: MetricLog(tracking, run, tmp_path / "run" / "metrics.jsonl", said.append)


def history(tracking, run, name="loss"):
    return [(metric.step, metric.value) for metric in tracking.client.get_metric_history(run, name)]


def steps(log, some):
    for step in some:
        log.log(step, {"loss": step / 10, "grad_norm": 1.0})


def test_metrics_arrive_while_training_runs_and_all_of_them_at_its_end(opened, tracking, run):
    log = opened()
    with log.uploading():
        steps(log, range(5))
        deadline = time.monotonic() + 20
        while len(history(tracking, run)) < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(history(tracking, run)) == 5
        steps(log, range(5, 1200))
    assert history(tracking, run) == [(step, step / 10) for step in range(1200)]
    assert len(history(tracking, run, "grad_norm")) == 1200


def test_a_resumed_training_logs_its_steps_again_and_each_is_there_once(opened, tracking, run):
    first = opened()
    with first.uploading():
        steps(first, range(8))
    killed = opened()  # wrote to its journal, uploaded a part, and was killed
    steps(killed, range(8, 12))
    tracking.upload(run, killed.entries[:10])
    third = opened()
    with third.uploading():
        steps(third, range(6, 20))
    for name in ("loss", "grad_norm"):
        assert [step for step, _ in history(tracking, run, name)] == list(range(20))


def test_a_line_that_a_kill_cut_short_is_cut_off_and_its_step_logged_anew(opened, tracking, run):
    steps(opened(), range(3))
    journal = opened().journal
    text = journal.read_text()
    journal.write_text(text[:-9])
    again = opened()
    with again.uploading():
        steps(again, range(2, 5))
    assert [step for step, _ in history(tracking, run, "grad_norm")] == [0, 1, 2, 3, 4]
    assert len(journal.read_text().splitlines()) == 10


class Outage:
    """An upload that fails while `on`."""

    def __init__(self, tracking, monkeypatch):
        self.on, self.tried = True, 0
        upload = tracking.upload

        def tried(*given):
            self.tried += 1
            if self.on:
                raise NoAnswer("connection refused")
            upload(*given)

        monkeypatch.setattr(tracking, "upload", tried)


def wait_for(holds):
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()


def test_damaged_lines_are_left_out_and_said_and_the_others_arrive(opened, tracking, run, said):
    steps(opened(), range(4))
    journal = opened().journal
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], b"\xff" * 9 + b"\n", b"[1]\n", *lines[4:]]))
    log = opened()
    assert len(said) == 1 and "2 damaged lines" in said[0] and str(journal) in said[0]
    with log.uploading():
        steps(log, [4])
    assert [step for step, _ in history(tracking, run)] == [0, 2, 3, 4]
    opened()
    assert len(said) == 1


def test_training_goes_on_through_an_outage_that_is_said_once_and_what_was_kept_arrives(opened, tracking, run, said, monkeypatch):
    outage, log = Outage(tracking, monkeypatch), opened()
    with log.uploading():
        steps(log, range(4))
        wait_for(lambda: outage.tried >= 3)
        assert len(said) == 1 and "MLflow does not answer (connection refused): training goes on" in said[0]
        outage.on = False
        wait_for(lambda: history(tracking, run))
        outage.on = True
        steps(log, range(4, 8))
        wait_for(lambda: len(said) == 2)
        outage.on = False
    assert [step for step, _ in history(tracking, run)] == list(range(8))


def test_an_outage_that_outlasts_training_ends_in_an_error_and_the_next_run_uploads(opened, tracking, run, monkeypatch):
    with monkeypatch.context() as while_away:
        Outage(tracking, while_away)
        log = opened()
        with pytest.raises(InfraError, match="uploading metrics failed"), log.uploading():
            steps(log, range(4))
    assert history(tracking, run) == []
    again = opened()
    with again.uploading():
        pass
    assert [step for step, _ in history(tracking, run)] == list(range(4))


def test_a_training_that_fails_leaves_its_last_losses_to_be_looked_at(opened, tracking, run, monkeypatch):
    monkeypatch.setattr(metric_log, "FLUSH_SECONDS", 60.0)
    log = opened()
    with pytest.raises(ZeroDivisionError), log.uploading():
        steps(log, range(4))
        raise ZeroDivisionError
    assert [step for step, _ in history(tracking, run)] == list(range(4))


def test_times_are_those_of_the_first_telling(opened, tracking, run):
    with opened().uploading():
        pass
    log = opened()
    with log.uploading():
        steps(log, range(3))
    times = [metric.timestamp for metric in tracking.client.get_metric_history(run, "loss")]
    assert all(one <= other for one, other in pairwise(times))


def test_how_busy_the_machine_was_is_kept_step_by_step_through_a_kill_and_nothing_waits_for_it(
    tracking, run, said, tmp_path, monkeypatch
):
    monkeypatch.setattr(metric_log, "SAMPLE_SECONDS", 0.0)
    values = iter(range(1000))

    def opened():
        sample = lambda: {"system/cpu": float(next(values))}  # noqa: E731
        return MetricLog(tracking, run, tmp_path / "run" / "metrics.jsonl", said.append, sample)

    for least in (2, 4):  # a second process goes on counting
        log = opened()
        with log.uploading():
            deadline = time.monotonic() + 20
            while len(history(tracking, run, "system/cpu")) < least and time.monotonic() < deadline:
                time.sleep(0.02)
            log.log(least, {"loss": 1.0})
    kept = history(tracking, run, "system/cpu")
    assert [step for step, _ in kept] == list(range(len(kept))) and len(kept) >= 4 and said == []
    assert history(tracking, run) == [(2, 1.0), (4, 1.0)]


def test_a_machine_that_cannot_be_read_is_said_once_and_training_goes_on(tracking, run, said, tmp_path, monkeypatch):
    monkeypatch.setattr(metric_log, "SAMPLE_SECONDS", 0.0)
    asked = []

    def broken():
        asked.append(1)
        raise RuntimeError("driver mismatch")

    log = MetricLog(tracking, run, tmp_path / "run" / "metrics.jsonl", said.append, broken)
    with log.uploading():
        deadline = time.monotonic() + 20
        while not said and time.monotonic() < deadline:
            time.sleep(0.02)
        steps(log, range(3))
    assert len(asked) == 1 and len(said) == 1 and "driver mismatch" in said[0] and len(history(tracking, run)) == 3


def test_the_machine_s_curve_is_counted_while_nobody_adds_to_what_was_logged(opened, said):
    log = opened()

    class Watched(set):
        def __iter__(self):
            assert log.writing.locked()
            return super().__iter__()

    log.seen, log.sample = Watched(), lambda: {"system/cpu": 1.0}
    for _ in range(3):
        log._sample_machine()
    assert said == [] and [entry[:2] for entry in log.entries] == [(step, "system/cpu") for step in range(3)]
