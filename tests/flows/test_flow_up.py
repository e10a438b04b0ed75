"""Processes kept alive: awaited, started again, ended in order; nobody is left behind, however `up` ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from configs.errors import InfraError, InputError
from flows.local import guard, supervise
from flows.local.logs import rotate_log
from flows.local.services import plan_for
from flows.local.supervise import GuardedProcess, SupervisedProcess, Supervisor
from flows.local.up import run_services, service_state
from tasks.common.home import Home
from tasks.common.http import HttpAnswer
from tasks.common.locks import take_lock

KEEPER = """
import sys
from pathlib import Path
from flows.local.supervise import GuardedProcess, SupervisedProcess, Supervisor
folder = Path(sys.argv[1])
def service(name, code, stage):
    command, log = [sys.executable, "-c", code, str(folder)], folder / f"{name}.log"
    ready = (folder / f"{name}.ready").exists
    return SupervisedProcess(name, "", log, lambda: GuardedProcess(command, {}, log, 5), ready, stage=stage)
kept = [service("worker", (folder / "worker.py").read_text(), 0), service("server", (folder / "server.py").read_text(), 1)]
Supervisor(kept, lambda text: print(text, flush=True)).run(lambda _: print("all ready", flush=True), (6, 2))
"""
# as Prefect's does, it begins its runs in sessions of their own; a run saves when it is asked to end, while the server still stands
WORKER = """
import pathlib, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])
run = '''
import os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def save(*_):
    (folder / "saved").write_text(str((folder / "server.over").exists()))
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
(folder / "run.pid").write_text(str(os.getpid()))
(folder / "worker.ready").touch()
while not (folder / "finish").exists():
    time.sleep(0.05)
(folder / "finished").touch()
'''
if not (folder / "run.pid").exists():
    subprocess.Popen([sys.executable, "-c", run, str(folder)], start_new_session=True)
time.sleep(60)
"""
SERVER = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def over(*_):
    (folder / "server.over").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, over)
(folder / "server.ready").touch()
time.sleep(60)
"""


def eventually(holds, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def living(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or ()
        if str(folder) in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.fixture
def keeper(tmp_path):
    """A process that keeps a worker, which has begun a run, and a server."""
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "server.py").write_text(SERVER)
    with (tmp_path / "said").open("wb") as out:
        process = subprocess.Popen([sys.executable, "-c", KEEPER, str(tmp_path)], stdout=out, stderr=out)
    eventually(lambda: "all ready" in (tmp_path / "said").read_text())
    yield process
    process.kill()
    process.wait()


def test_asked_to_end_its_runs_save_while_the_servers_still_stand_and_nobody_is_left(keeper, tmp_path):
    keeper.terminate()
    assert keeper.wait(10) == 0
    assert (tmp_path / "saved").read_text() == "False" and (tmp_path / "server.over").exists()
    assert living(tmp_path) == []


def test_killed_it_leaves_nobody_behind_for_more_than_seconds(keeper, tmp_path):
    keeper.kill()
    keeper.wait()
    eventually(lambda: living(tmp_path) == [], 8)
    assert (tmp_path / "saved").exists()


def test_a_killed_worker_is_started_again_and_the_run_it_began_is_let_finish(keeper, tmp_path):
    worker = next(p for p in living(tmp_path) if p.cmdline()[1:3] == ["-c", WORKER])
    worker.kill()
    eventually(lambda: "worker was ended by SIGKILL" in (tmp_path / "said").read_text())
    eventually(lambda: "worker is back" in (tmp_path / "said").read_text())
    assert psutil.pid_exists(int((tmp_path / "run.pid").read_text())) and not (tmp_path / "saved").exists()
    (tmp_path / "finish").touch()
    eventually((tmp_path / "finished").exists)


def test_what_keeps_dying_ends_it_with_the_last_lines_of_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr(supervise, "PAUSE_SECONDS", 0.01)
    said, log = [], tmp_path / "broken.log"
    command = [sys.executable, "-c", "import sys; print('no such table: models'); sys.exit(3)"]
    service = SupervisedProcess("broken", "", log, lambda: GuardedProcess(command, {}, log, 1), lambda: False)
    with pytest.raises(InfraError, match=r"(?s)broken ended with code 3 .*5 times in a row.*no such table: models"):
        Supervisor([service], said.append).run(lambda _: None, (1,))
    assert len(said) == supervise.QUICK_DEATHS - 1 and all("starts again in" in sentence for sentence in said)


class Staying:
    """Asked to end, it goes on for others."""

    def __init__(self, process):
        self.pid, self.stays = process.pid, False

    def ended(self):
        return None

    def stop(self):
        self.stays = True

    def over(self):
        return True


def test_what_goes_on_for_others_and_what_was_there_before_are_let_live(tmp_path):
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    before, used = subprocess.Popen(sleeping), []

    def start():
        used.append(subprocess.Popen(sleeping))
        subprocess.Popen(sleeping)  # nobody's
        return Staying(used[0])

    try:
        supervisor = Supervisor([SupervisedProcess("used", "", tmp_path / "log", start, lambda: True)], lambda _: None)
        supervisor.run(lambda _: setattr(supervisor, "asked", 1), (1,))
        assert before.poll() is None and used[0].poll() is None
        assert {process.pid for process in guard.list_offspring()} >= {before.pid, used[0].pid}
        assert not [
            process for process in guard.list_offspring() if process not in supervisor.others and process.pid != used[0].pid
        ]
    finally:
        for process in (before, *used):
            process.kill()
            process.wait()


def test_what_can_never_work_is_not_tried_again(tmp_path):
    log = tmp_path / "refused.log"
    command = [sys.executable, "-c", "import sys; print('error: no such file'); sys.exit(2)"]
    service = SupervisedProcess(
        "service", "", log, lambda: GuardedProcess(command, {}, log, 1), lambda: False, hopeless=frozenset({2})
    )
    with pytest.raises(InfraError, match=r"(?s)service ended with code 2.*error: no such file"):
        Supervisor([service], lambda _: None).run(lambda _: None, (1,))


@pytest.fixture
def alone(tmp_path, monkeypatch):
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "TUNEKEEPER_MLFLOW_PORT", "TUNEKEEPER_PREFECT_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TUNEKEEPER_HOME", str(tmp_path))
    (tmp_path / "prefect").mkdir()
    return Home(tmp_path)


def test_every_port_that_is_taken_is_named_before_anything_starts(alone):
    with socket.socket() as one, socket.socket() as two:
        for taken in (one, two):
            taken.bind(("127.0.0.1", 0))
            taken.listen()
        ports = {"MLflow": one.getsockname()[1], "Prefect": two.getsockname()[1]}
        with pytest.raises(InfraError) as refusal:
            plan_for(alone, None, (), ports)
    for name, port in ports.items():
        assert f"{port} for {name}: taken by process {os.getpid()} (" in str(refusal.value)
        assert f"set TUNEKEEPER_{name.upper()}_PORT" in str(refusal.value)


@pytest.mark.parametrize(
    ("ready", "says"),
    [
        (HttpAnswer(0, "refused"), "looks for its champion"),
        (HttpAnswer(503, '{"registry": "not looked at yet", "alias_names": null}'), "looks for its champion"),
        (HttpAnswer(503, '{"registry": "read", "alias_names": null}'), "waits for a champion: tunekeeper retrain keep.yaml"),
        (HttpAnswer(503, '{"registry": "read", "alias_names": "3"}'), "loads version 3"),
        (HttpAnswer(503, '{"registry": "MLflow is away", "alias_names": null}'), "waits: MLflow is away"),
        (HttpAnswer(503, '{"registry": "read", "alias_names": "3", "refused": "version 3: damaged"}'), "version 3: damaged"),
        (HttpAnswer(200, '{"registry": "read", "alias_names": "3"}'), "answers"),
    ],
)
def test_the_greeting_misses_a_champion_only_where_the_service_has_looked_for_one(ready, says):
    said = service_state(ready, Path("keep.yaml"))
    assert says in said and ("retrain" in said) == ("retrain" in says)


def test_a_port_that_is_none_is_refused_by_the_name_of_its_variable(alone, monkeypatch):
    monkeypatch.setenv("TUNEKEEPER_MLFLOW_PORT", "soon")
    with pytest.raises(InputError, match="TUNEKEEPER_MLFLOW_PORT is `soon`"):
        plan_for(alone, None, (), {})


def test_a_server_that_has_an_address_is_not_started_here(alone, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "https://prefect.example/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    plan = plan_for(alone, None, (), {})
    assert plan.own == frozenset() and plan.mlflow == "https://mlflow.example" and plan.prefect == "https://prefect.example/api"


def test_a_second_one_on_the_same_home_says_where_the_first_one_is(alone):
    (alone.path / "locks").mkdir()
    (alone.path / "up.json").write_text('{"pid": 4711, "addresses": {"MLflow": "http://127.0.0.1:5055"}}')
    with (alone.path / "locks" / "up.lock").open("a") as lock:
        assert take_lock(lock)
        with pytest.raises(InfraError, match=r"(?s)runs already .*process 4711.*MLflow +http://127.0.0.1:5055"):
            run_services(None, (), {})
    assert (alone.path / "up.json").exists()


def test_signals_are_as_before_when_it_has_ended(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    supervisor = Supervisor([], lambda _: None)
    supervisor.asked = 1
    supervisor.run(lambda _: None, (1,))
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("ports", "variable", "says"),
    [
        ({"service": 70_000}, None, "--port is `70000`"),
        ({"service": 0}, None, "--port is `0`"),
        ({"MLflow": -1}, None, "--mlflow-port is `-1`"),
        ({"Prefect": 65_536}, None, "--prefect-port is `65536`"),
        ({}, ("TUNEKEEPER_SERVE_PORT", "99999"), "TUNEKEEPER_SERVE_PORT is `99999`"),
        ({}, ("TUNEKEEPER_MLFLOW_PORT", "\u0661"), "TUNEKEEPER_MLFLOW_PORT is"),
    ],
)
def test_a_port_out_of_range_is_refused_by_the_name_it_was_given_with(alone, monkeypatch, ports, variable, says):
    if variable:
        monkeypatch.setenv(*variable)
    with pytest.raises(InputError, match=says) as refused:
        plan_for(alone, None, (), ports)
    assert "from 1 to 65535" in str(refused.value)


def test_a_log_that_grows_while_its_service_runs_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(supervise, "ROTATE_SECONDS", 0.0)
    monkeypatch.setattr(supervise, "rotate_log", partial(rotate_log, most=10_000))
    log, code = tmp_path / "loud.log", "import time\nwhile True: print('x' * 999, flush=True); time.sleep(0.001)"
    loud = SupervisedProcess("loud", "", log, lambda: GuardedProcess([sys.executable, "-c", code], {}, log, 1), lambda: True)
    supervisor = Supervisor([loud], print)

    def tend(kept):
        Supervisor._update_service(supervisor, kept)
        if log.with_suffix(".old.log").exists():
            supervisor.asked = 1

    monkeypatch.setattr(supervisor, "_update_service", tend)
    supervisor.run(lambda _: None, (5,))
    old = log.with_suffix(".old.log")
    assert old.stat().st_size == 10_000 and set(old.read_text()) == {"x", "\n"}
