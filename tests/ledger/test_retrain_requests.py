"""Requests for a retraining: many are made, few run, and what a dead process left behind blocks nobody."""

import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from configs.errors import InfraError, InputError
from configs.schema import Data, Model, Pipeline, Schedule
from tasks.ledger.pipeline_lock import hold_pipeline
from tasks.ledger.retrain_history import last_seen, requests_of, waited_before, waits_under
from tasks.ledger.retrain_requests import SETTLE_SECONDS, RetrainCause, admit_request, refusal_of
from tasks.ledger.store import Ledger

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
NEW, SAME = {"skipped": False, "verdict": "HOLD"}, {"skipped": True}


class Clock:
    """Time that passes only when somebody sleeps or says so."""

    def __init__(self):
        self.time = START

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.time += timedelta(seconds=seconds)

    def hours(self, number):
        self.time += timedelta(hours=number)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(tmp_path, clock):
    return Ledger(f"sqlite:///{tmp_path}/ledger.db", now=clock.now, sleep=clock.sleep)


def pipeline(**schedule):
    data, model = Data(source="rows.csv"), Model(base="here")
    return Pipeline(name="tiny", problem="text-classification", data=data, model=model, schedule=Schedule(**schedule))


def ask(tmp_path, ledger, why="drift", asked=None, outcome=NEW, **schedule):
    """Make a request and, where it runs, let it end at once; what it was answered."""
    with admit_request(tmp_path, pipeline(**schedule), ledger, RetrainCause(why, asked), lambda _: None) as turn:
        if turn.refusal is None:
            turn.ended(outcome)
    return turn.state


def test_a_request_keeps_the_look_that_asked_for_it(tmp_path, ledger):
    with admit_request(tmp_path, pipeline(), ledger, RetrainCause("drift", look="v1-8"), lambda _: None) as turn:
        turn.ended(NEW)
    assert ask(tmp_path, ledger, "person") == "done"
    assert [each.payload.get("look") for each in requests_of(ledger, "tiny")] == ["v1-8", None]


def test_no_row_of_the_ledger_holds_a_password_of_an_address(tmp_path, ledger):
    with (
        pytest.raises(ValueError, match="h/d"),
        admit_request(tmp_path, pipeline(), ledger, RetrainCause("person"), lambda _: None),
    ):
        raise ValueError("no answer from postgresql://me:Zqsecret1@h/d")
    (request,) = requests_of(ledger, "tiny")
    assert request.payload["reason"] == "ValueError: no answer from postgresql://***@h/d"
    assert b"Zqsecret1" not in (tmp_path / "ledger.db").read_bytes()


def test_after_a_triggered_retraining_no_trigger_starts_another_before_the_cooldown_is_over(tmp_path, ledger, clock):
    assert ask(tmp_path, ledger) == "done"
    clock.hours(23)
    assert ask(tmp_path, ledger, "new-data") == "refused"
    assert "cooldown_hours=24" in requests_of(ledger, "tiny")[-1].payload["reason"] and refusal_of(ledger, pipeline())
    assert ask(tmp_path, ledger, "person") == "done" and ask(tmp_path, ledger, "schedule") == "done"
    clock.hours(1)
    assert refusal_of(ledger, pipeline()) is None and ask(tmp_path, ledger, "decay") == "done"


def test_a_run_under_a_clock_that_was_far_ahead_holds_no_later_request_up(tmp_path, ledger, clock):
    clock.hours(24 * 365)
    with admit_request(tmp_path, pipeline(), ledger, RetrainCause("drift"), lambda _: None) as turn:
        turn.saw("rows of another year")
        turn.ended(NEW)
    clock.hours(-24 * 365)
    assert refusal_of(ledger, pipeline()) is None and last_seen(ledger, "tiny") is None
    with admit_request(tmp_path, pipeline(), ledger, RetrainCause("drift"), lambda _: None) as turn:
        turn.saw("rows of today")
        turn.ended(NEW)
    assert turn.state == "done" and last_seen(ledger, "tiny") == "rows of today" and len(requests_of(ledger, "tiny")) == 2
    clock.hours(-0.1)  # of a machine whose clock is a little behind
    assert "cooldown_hours=24" in str(refusal_of(ledger, pipeline()))


def test_a_week_has_its_budget_and_what_changed_nothing_costs_none_of_it(tmp_path, ledger, clock):
    settings = {"cooldown_hours": 0, "retrains_per_week": 2}
    said = []
    for outcome in (NEW, SAME, NEW, NEW):
        clock.hours(24)
        said.append(ask(tmp_path, ledger, outcome=outcome, **settings))
    assert said == ["done", "skipped", "done", "refused"]
    assert "retrains_per_week=2" in requests_of(ledger, "tiny")[-1].payload["reason"]
    assert ask(tmp_path, ledger, "person", **settings) == "done"
    clock.hours(24 * 5 + 1)
    assert ask(tmp_path, ledger, **settings) == "done"


def test_a_request_is_served_by_a_run_that_began_after_it_and_not_by_one_that_began_before(tmp_path, ledger, clock):
    asked = clock.now()
    clock.hours(1)
    assert ask(tmp_path, ledger, "schedule", outcome=SAME) == "skipped"
    assert ask(tmp_path, ledger, asked=asked) == "coalesced"
    within = clock.now() - timedelta(seconds=SETTLE_SECONDS / 2)  # events up to here may have been left to this one to tell
    assert ask(tmp_path, ledger, asked=within) == "done"


def test_a_run_that_failed_serves_nobody_and_starts_no_cooldown(tmp_path, ledger, clock):
    asked = clock.now()
    clock.hours(1)
    for error, seen in ((InfraError("the disk is full"), None), (InputError("broken rows"), "rows as they were")):
        with pytest.raises(type(error)), admit_request(tmp_path, pipeline(), ledger, RetrainCause("drift"), lambda _: None) as turn:
            turn.saw("rows as they were")
            raise error
        failed = requests_of(ledger, "tiny")[-1]
        assert failed.state == "failed" and failed.payload["reason"] == f"{type(error).__name__}: {error}"
        assert last_seen(ledger, "tiny") == seen  # the same rows would break again, another try may find room on the disk
    assert ask(tmp_path, ledger, asked=asked) == "done"


def test_a_triggered_run_looks_at_nothing_before_its_burst_is_over(tmp_path, ledger, clock):
    asked = clock.now()
    assert ask(tmp_path, ledger, asked=asked) == "done"
    (only,) = requests_of(ledger, "tiny")
    assert datetime.fromisoformat(only.payload["began"]) == asked + timedelta(seconds=SETTLE_SECONDS)
    clock.hours(48)
    ask(tmp_path, ledger, asked=clock.now() + timedelta(days=1))  # another machine's clock is a day ahead
    assert clock.now() == START + timedelta(seconds=2 * SETTLE_SECONDS, hours=48)


@pytest.mark.parametrize("cooldown", [24, 0])
def test_fifty_requests_while_one_runs_lead_to_one_more_turn_at_most(tmp_path, ledger, clock, cooldown):
    """The first runs, one waits, the others are coalesced; when its turn comes, the cooldown decides about the one."""
    said, waits = [], threading.Event()

    def one():
        with admit_request(
            tmp_path, pipeline(cooldown_hours=cooldown), ledger, RetrainCause("drift", START), lambda _: waits.set()
        ) as turn:
            if turn.refusal is None:
                turn.ended(SAME if "done" in said else NEW)
            said.append(turn.state)

    with admit_request(
        tmp_path, pipeline(cooldown_hours=cooldown), ledger, RetrainCause("decay", START - timedelta(hours=1)), lambda _: None
    ) as first:
        clock.hours(1)
        threads = [threading.Thread(target=one) for _ in range(50)]
        for thread in threads:
            thread.start()
        assert waits.wait(20)
        while len(said) < 49:
            threads[0].join(0.05)
        assert set(said) == {"coalesced"}
        first.ended(NEW)
    for thread in threads:
        thread.join()
    assert said[-1] == ("refused" if cooldown else "done") and len(requests_of(ledger, "tiny")) == 51


CHILD = """
import sys
from pathlib import Path
from tests_pipeline import pipeline
from tasks.ledger.store import Ledger
from tasks.ledger.retrain_requests import RetrainCause, admit_request
home, why = Path(sys.argv[1]), sys.argv[2]
ledger = Ledger(f"sqlite:///{home}/ledger.db", sleep=lambda _: None)
with admit_request(home, pipeline, ledger, RetrainCause(why), lambda said: print("waits", flush=True)) as turn:
    turn.saw("newer rows")
    print("runs", flush=True)
    sys.stdin.read()
"""


def test_one_that_was_killed_while_it_ran_or_waited_blocks_nobody(tmp_path, ledger, clock):
    (tmp_path / "tests_pipeline.py").write_text(
        "from configs.schema import Data, Model, Pipeline\n"
        "pipeline = Pipeline(name='tiny', problem='text-classification', data=Data(source='r.csv'), model=Model(base='b'))\n"
    )
    clock.time = datetime.now(UTC)
    with ExitStack() as stack:
        where = {"cwd": tmp_path, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        children = []
        for words in ("runs", "waits"):  # one has its turn, one the seat of those who wait
            command = [sys.executable, "-c", CHILD, str(tmp_path), "drift"]
            children.append(stack.enter_context(subprocess.Popen(command, **where)))
            assert children[-1].stdout.readline().strip() == words
        assert ask(tmp_path, ledger) == "coalesced"
        for child in children:
            child.send_signal(signal.SIGKILL)
    clock.time = datetime.now(UTC)
    assert ask(tmp_path, ledger) == "done"
    by_state = {request.state: request for request in requests_of(ledger, "tiny")}
    assert by_state.keys() == {"coalesced", "failed", "done"} and "without a word" in by_state["failed"].payload["reason"]
    assert last_seen(ledger, "tiny") is None  # what a dead run looked at, nobody has seen
    with (
        hold_pipeline(tmp_path, "tiny", lambda _: None, timeout=0),
        hold_pipeline(tmp_path, "tiny.next", lambda _: None, timeout=0),
    ):
        pass


def test_a_run_that_waits_has_seen_the_data_serves_who_asked_before_it_and_costs_no_budget(tmp_path, ledger, clock):
    asked = clock.now()
    clock.hours(1)
    with admit_request(tmp_path, pipeline(), ledger, RetrainCause("schedule"), lambda _: None) as turn:
        turn.saw("renamed labels")
        turn.waits("`Billing` and `billing` differ", "contract 1")
    assert turn.refusal == "`Billing` and `billing` differ" and turn.outcome()["request"]["state"] == "waiting"
    assert last_seen(ledger, "tiny") == "renamed labels" and waits_under(ledger, "tiny") == "contract 1"
    assert not waited_before(ledger, "tiny") and refusal_of(ledger, pipeline()) is None
    assert ask(tmp_path, ledger, asked=asked) == "coalesced"  # it would wait for the same
    with admit_request(tmp_path, pipeline(), ledger, RetrainCause("drift"), lambda _: None) as turn:
        turn.waits("`Billing` and `billing` differ", "contract 1")
    assert waited_before(ledger, "tiny")
    clock.hours(1)
    assert ask(tmp_path, ledger) == "done" and waits_under(ledger, "tiny") is None and not waited_before(ledger, "tiny")
