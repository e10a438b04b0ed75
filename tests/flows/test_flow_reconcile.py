"""What died is found and put right; what lives is left alone."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.reconcile import mend_leftovers, put_right
from tasks.common.files import atomic_folder
from tasks.common.home import Home
from tasks.common.workspace import workspace
from tasks.ledger.promotions import Ledger, PromotionEvidence, PromotionRequest, ledger_history, promote
from tasks.recovery import flow_runs, run_evidence
from tasks.recovery.leftovers import find_leftovers, spent_checkpoints
from tasks.recovery.records import half_models
from tasks.recovery.run_evidence import Machine, Process, SeenRun, judge_flow_run
from tasks.tracking.client import Tracking
from tasks.tracking.registry import Registry

NOW = 1_000_000.0
LONG_AGO = NOW - 7200


def run(**changed):
    return SeenRun(**{"id": "r", "name": "retrain/tiny", "state": "RUNNING", "since": LONG_AGO, "started": LONG_AGO, **changed})


def holding(born, *pipelines):
    return Machine(processes=(Process(1, born, frozenset(pipelines)),))


ELSEWHERE = Machine(own=False)
OF_TINY = {"pipeline": "tiny", "holds": True}


@pytest.mark.parametrize(
    ("seen", "machine", "verdict"),
    [
        (run(), Machine(), "dead"),
        (run(since=NOW - 3, started=NOW - 3), Machine(), "alive"),  # it has only begun
        (run(since=NOW - 40, started=NOW - 40), Machine(), "dead"),  # here a run has a process before it says Running
        (run(since=NOW - 40, started=NOW - 40, beat=None, **OF_TINY), ELSEWHERE, "alive"),
        (run(), Machine(runs=frozenset({"r"})), "alive"),  # a worker's process carries its id
        (run(beat=NOW - 30), ELSEWHERE, "alive"),
        (run(beat=NOW - 30), Machine(), "dead"),  # here the process would be seen: the heartbeat was its last
        (run(**OF_TINY), holding(LONG_AGO - 9, "tiny"), "alive"),  # it holds the lock, or waits for it
        (run(**OF_TINY), holding(LONG_AGO + 60, "tiny"), "dead"),  # that one came later: it is another run
        (run(**OF_TINY), holding(LONG_AGO - 9, "other"), "dead"),
        (run(), holding(LONG_AGO - 9), "alive"),  # of a flow that holds nothing, any process of ours may be it
        (run(), ELSEWHERE, "unknown"),
        (run(beat=LONG_AGO), ELSEWHERE, "dead"),  # its heartbeats stopped
        (run(**OF_TINY), ELSEWHERE, "dead"),  # it needs what nobody holds
        (run(**OF_TINY), Machine(own=False, held=lambda _: True), "unknown"),  # it may be the one that does, or wait for it
        (run(**OF_TINY, beat=LONG_AGO), Machine(own=False, held=lambda _: True), "unknown"),
    ],
)
def test_a_run_is_dead_only_where_nothing_speaks_for_it(seen, machine, verdict):
    assert judge_flow_run(seen, machine, NOW) == verdict


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEKEEPER_HOME", str(tmp_path))
    for name in ("MLFLOW_TRACKING_URI", "TUNEKEEPER_LEDGER_URL"):
        monkeypatch.delenv(name, raising=False)
    return Home(tmp_path)


def age(folder: Path) -> Path:
    for place in (*folder.rglob("*"), folder):
        os.utime(place, (1e9, 1e9))
    return folder


def names(strays):
    return {stray.name for stray in strays}


def act(strays):
    for stray in list(strays):
        stray.mend()


def test_what_killed_writers_left_goes_and_what_living_ones_hold_stays(home):
    left = [home.path / "work" / "run-x", home.snapshots / "sealing-y", home.path / "scores" / ".abc.17.tmp"]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "part").write_text("half")
        age(folder)
    young = home.path / "scores" / ".def.18.tmp"
    young.mkdir()
    with workspace(home.path / "work", "prepare-") as mine, atomic_folder(home.run("key") / "trained") as aside:
        left[0].mkdir(exist_ok=True)  # a workspace sweeps what has its own prefix alone
        held = [age(mine), age(aside)]
        found = list(find_leftovers(home))
        assert names(found) == {folder.relative_to(home.path).as_posix() for folder in left}
        act(found)
        assert all(folder.is_dir() for folder in (*held, young)) and not any(folder.exists() for folder in left)


def test_a_persons_copy_of_the_redaction_key_stays_and_a_key_half_made_goes(home):
    home.path.mkdir(exist_ok=True)
    for name in ("redaction.key", "redaction.key.bak", "redaction.key.2026-11-29", "redaction.key.4711.0a1b2c3d"):
        (home.path / name).write_text("ab" * 32)
        age(home.path / name)
    found = list(find_leftovers(home))
    assert names(found) == {"redaction.key.4711.0a1b2c3d"}
    act(found)
    assert len(list(home.path.glob("redaction.key*"))) == 3


def test_a_folder_taken_up_again_after_it_was_found_is_not_removed(home):
    folder = home.path / "work" / "run-x"
    folder.mkdir(parents=True)
    (folder / ".lock").touch()
    (found,) = find_leftovers(home) if age(folder) else ()
    with (folder / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found.mend()
        assert folder.is_dir()


def test_checkpoints_go_once_their_training_has_a_whole_result_and_never_before(home):
    for key in ("done", "damaged", "going-on"):
        for part in ("checkpoint-5", "checkpoint-10", "best"):
            (home.run(key) / part).mkdir(parents=True)
            (home.run(key) / part / "weights").write_text("w")
    for key in ("done", "damaged"):
        with atomic_folder(home.run(key) / "trained") as aside:
            (aside / "training.json").write_text("{}")
    (home.run("damaged") / "trained" / "training.json").write_text("{ ")
    found = list(spent_checkpoints(home))
    assert names(found) == {"runs/done"}
    act(found)
    assert [path.name for path in home.run("done").iterdir()] == ["trained"]
    assert {path.name for path in home.run("damaged").iterdir()} == {"checkpoint-5", "checkpoint-10", "best", "trained"}


@pytest.fixture
def tracked(home, empty_database):
    shutil.copy(empty_database, home.path / "mlflow.db")
    return Tracking(home)


def test_an_mlflow_run_is_closed_when_nobody_holds_its_pipeline(home, tracked, server):
    runs = {name: tracked.open_run(name, "key", name, {}) for name in ("dead", "living")}
    (home.path / "locks").mkdir()
    with (home.path / "locks" / "living.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        seen = put_right(None, dry_run=True, quiet=True)
        assert [one["name"].partition("/")[0] for one in seen["found"] if one["kind"] == "MLflow run"] == ["dead"]
        assert tracked.client.get_run(runs["dead"]).info.status == "RUNNING"
        done = put_right(None, dry_run=False, quiet=True)
    assert done["ok"], done
    assert {name: tracked.client.get_run(run).info.status for name, run in runs.items()} == {"dead": "KILLED", "living": "RUNNING"}


def test_a_model_that_a_kill_left_half_stored_goes_and_none_that_anybody_may_need(home, tracked):
    from mlflow.entities import LoggedModelStatus

    def stored(run, *ends):
        experiment = tracked.client.get_run(run).info.experiment_id
        model = tracked.client.create_logged_model(experiment, name="model", source_run_id=run).model_id
        for status in ends:
            tracked.client.finalize_logged_model(model, status)
        return model

    dead, living = (tracked.open_run(name, "key", name, {}) for name in ("dead", "living"))
    others = tracked.client.create_run(tracked.experiment("dead")).info.run_id  # somebody's own, in our experiment
    half = {stored(dead), stored(dead, LoggedModelStatus.FAILED)}
    gone = tracked.open_run("dead", "another key", "gone", {})
    stay = {stored(dead, LoggedModelStatus.READY), stored(living), stored(others), stored(gone)}
    tracked.client.delete_run(gone)
    (home.path / "locks").mkdir()
    with (home.path / "locks" / "living.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = list(half_models(home, tracked, None))
        assert names(found) == {f"dead/{model}" for model in half}
        finished = next(iter(half))
        tracked.client.finalize_logged_model(finished, LoggedModelStatus.READY)  # its writer lived after all
        act(found)
    where = [tracked.experiment(name) for name in ("dead", "living")]
    assert {model.model_id for model in tracked.client.search_logged_models(where)} == stay | {finished}


@pytest.mark.parametrize(("damage", "fault"), [(Path.unlink, "is gone"), (lambda file: file.write_text("none"), "cannot be read")])
def test_a_database_that_is_gone_or_damaged_is_said_once_and_not_made_anew(home, tracked, damage, fault):
    run = tracked.open_run("tiny", "key", "run", {})
    tracked.log_text(run, "kept", "note.txt")
    Ledger(home.ledger_url).read(lambda _: None)
    damage(home.path / "mlflow.db")
    _, blind = mend_leftovers(home, None, dry_run=True)
    (said,) = [error for error in blind if "mlflow.db" in error]
    assert fault in said and "restore it from a copy" in said
    assert not (home.path / "mlflow.db").exists() or (home.path / "mlflow.db").read_text() == "none"


class KilledError(Exception):
    pass


def killed_at(point):
    def step(name):
        if name == point:
            raise KilledError

    return step


def test_an_interrupted_promotion_is_finished_by_its_only_alias_and_otherwise_wants_the_config(home, tracked, server):
    ledger = Ledger(home.ledger_url)
    for model, alias in (("tiny", "production"), ("two", "champion")):
        tracked.client.create_registered_model(model)
        for _ in range(2):
            tracked.client.create_model_version(model, source=str(home.path))
        registry = Registry(tracked, alias)
        promote(
            ledger,
            registry,
            model,
            PromotionRequest("1", expected=None, evidence=PromotionEvidence("PROMOTE", "better"), who="test"),
        )
        with pytest.raises(KilledError):
            promote(
                ledger,
                registry,
                model,
                PromotionRequest("2", expected="1", evidence=PromotionEvidence("PROMOTE", "better"), who="test"),
                step=killed_at("intended"),
            )
    tracked.client.set_registered_model_alias("two", "second", "1")
    found = {one["name"]: one for one in put_right(None, dry_run=False, quiet=True)["found"] if one["kind"] == "ledger"}
    assert found["tiny"]["done"] is True and Registry(tracked, "production").champion("tiny") == "2"
    assert [row.state for row in ledger_history(ledger, "tiny")] == ["applied", "applied"]
    assert found["two"]["done"] is None and "reconcile CONFIG" in found["two"]["remedy"]
    assert ledger_history(ledger, "two")[-1].state == "intended"


def test_flow_runs_without_a_process_are_crashed_or_scheduled_again_and_a_living_one_goes_on(home, server, monkeypatch):
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelling, Pending, Running

    monkeypatch.setenv("PREFECT_API_URL", server)
    monkeypatch.setattr("flows.reconcile._is_own", lambda _: True)
    monkeypatch.setattr(run_evidence, "OWN_MOMENT_SECONDS", 0.0)
    monkeypatch.setattr(flow_runs, "PENDING_SECONDS", 0.0)

    @flow(name="watched")
    def watched():
        """Only its name is used."""

    with get_client(sync_client=True) as client:
        states = {"dead": Running(), "living": Running(), "stopping": Cancelling(), "waiting": Pending()}
        made = {
            name: client.create_flow_run(watched, name=name, state=state, tags=["tunekeeper", "reconciled"]).id
            for name, state in states.items()
        }
        others = client.create_flow_run(watched, name="somebody else's", state=Running()).id
        alive = subprocess.Popen(  # one that a worker began
            [sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, "PREFECT__FLOW_RUN_ID": str(made["living"])}
        )
        time.sleep(0.1)
        try:
            found, blind = mend_leftovers(home, None, dry_run=False)
        finally:
            alive.kill()
            alive.wait()
        put_right = (one.leftover.name for one in found if one.done)
        mended = {name for name in put_right if name.startswith("watched/")}  # other tests left theirs
        assert not blind and mended == {"watched/dead", "watched/stopping", "watched/waiting"}
        after = {name: client.read_flow_run(run).state.name for name, run in made.items()}
        assert after == {"dead": "Crashed", "living": "Running", "stopping": "Cancelled", "waiting": "Crashed"}
        assert client.read_flow_run(others).state.name == "Running"
        client.set_flow_run_state(made["living"], Running(), force=True)
