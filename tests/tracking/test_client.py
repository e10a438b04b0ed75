"""MLflow as it is, on SQLite: one run a train-key, one version a run, one copy of a base, and patience with bounds."""

import json
import shutil
import socket
from pathlib import Path

import pytest
from requests import ConnectionError as NoAnswer

from configs.errors import InfraError, InputError
from tasks.common.bases import base_files, find_base
from tasks.common.home import Home
from tasks.health.champion_files import experiment_of
from tasks.tracking.client import BASES, Tracking
from tasks.tracking.database import make_database
from tasks.tracking.registry import Registry
from tasks.tracking.run_facts import SplitFacts


@pytest.fixture
def tracking(tmp_path, empty_database, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return Tracking(Home(tmp_path), pause=lambda _: pytest.fail("nothing should have to be tried again"))


def again(tracking):
    """As another process sees it."""
    return Tracking(tracking.home, tracking.pause)


def test_a_database_that_was_never_finished_is_begun_anew_and_nobody_sees_half_of_one(tmp_path, monkeypatch):
    from mlflow.store.db import utils

    def stopped(*_):
        raise OSError("killed here")

    home = Home(tmp_path)
    with monkeypatch.context() as dying:
        dying.setattr(utils, "_upgrade_db", stopped)
        with pytest.raises(OSError, match="killed here"):
            make_database(home)
    half = list(tmp_path.glob(".mlflow.db.*"))
    assert half and not (tmp_path / "mlflow.db").exists()
    tracking = Tracking(home)
    run = tracking.open_run("tiny", "key", "first", {})
    assert again(tracking).has_run(run) and not list(tmp_path.glob(".mlflow.db.*"))


def test_a_command_that_reads_makes_no_database_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/absent/x.db")
    for settings in ({"may_begin": False}, {"only_look": True}):
        registry = Registry(Tracking(Home(tmp_path / "home"), **settings), "champion")
        with pytest.raises(InfraError, match=r"MLFLOW_TRACKING_URI=sqlite:.*/absent/x\.db: there is no database .*: is this"):
            registry.champion("tiny")
    assert not list(tmp_path.iterdir())
    (tmp_path / "absent").mkdir()
    Tracking(Home(tmp_path / "home")).open_run("tiny", "key", "first", {})
    assert Registry(Tracking(Home(tmp_path / "home"), may_begin=False), "champion").champion("tiny") is None


@pytest.mark.parametrize("uri", ["foo", "./mlruns", "localhost:5000", "me:secret@mlflow.example"])
def test_what_is_no_address_of_an_mlflow_is_told_by_its_variable(tmp_path, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(InputError, match=r"MLFLOW_TRACKING_URI=.* is no address of an MLflow: write http") as told:
        Tracking(Home(tmp_path)).open_run("tiny", "key", "first", {})
    assert "secret" not in str(told.value) and not list(tmp_path.iterdir())


def test_a_train_key_has_one_run_whoever_opens_it_and_whatever_became_of_it(tracking):
    run = tracking.open_run("tiny", "key", "first", {"pipeline": "tiny"})
    for status in ("RUNNING", "FAILED", "KILLED", "FINISHED"):
        tracking.close_run(run, status) if status != "RUNNING" else None
        assert again(tracking).open_run("tiny", "key", "again", {}) == run
        assert tracking.client.get_run(run).info.status == "RUNNING"
    assert tracking.open_run("tiny", "other key", "other", {}) != run
    assert tracking.tags(run) == {"pipeline": "tiny", "train_key": "key"}


def test_a_run_that_was_deleted_is_opened_anew(tracking):
    run = tracking.open_run("tiny", "key", "first", {})
    assert tracking.has_run(run) and not tracking.has_run("0" * 32)
    tracking.client.delete_run(run)
    assert not tracking.has_run(run) and tracking.open_run("tiny", "key", "second", {}) != run


def test_parameters_and_metrics_can_be_said_again(tracking):
    run = tracking.open_run("tiny", "key", "first", {})
    for _ in range(2):
        tracking.log_params(run, {"training.epochs": 5, "long": "x" * 7000, "none": None})
        tracking.log_metrics(run, {"recall (class: a, b)": 0.5}, 7)
    data = tracking.client.get_run(run).data
    assert data.params["training.epochs"] == "5" and len(data.params["long"]) == 6000 and data.params["none"] == "None"
    assert data.metrics == {"recall _class: a_ b_": 0.5}


def test_a_value_of_a_step_is_logged_once_and_another_value_or_step_beside_it(tracking):
    run = tracking.open_run("tiny", "key", "first", {})
    for step, value in ((7, 0.5), (7, 0.5), (7, 0.6), (8, 0.6), (8, 0.6)):
        tracking.log_metrics(run, {"accuracy": value}, step)
    history = tracking.client.get_metric_history(run, "accuracy")
    assert sorted((metric.step, metric.value) for metric in history) == [(7, 0.5), (7, 0.6), (8, 0.6)]


def test_what_can_never_work_is_not_tried_again_and_says_what_it_was(tracking):
    run = tracking.open_run("tiny", "key", "first", {})
    tracking.log_params(run, {"a": 1})
    with pytest.raises(InfraError, match=r"MLflow at sqlite:///.*: logging parameters failed \(.*run again"):
        tracking.log_params(run, {"a": 2})


def test_what_somebody_deleted_is_said_with_the_command_that_takes_it_back(tracking):
    run = tracking.open_run("tiny", "key", "first", {})
    number = tracking.experiment("tiny")
    tracking.client.delete_experiment(number)
    with pytest.raises(
        InfraError, match=rf"was deleted; .*MLFLOW_TRACKING_URI=sqlite:.*experiments restore --experiment-id {number}`"
    ):
        tracking.open_run("tiny", "another key", "second", {})
    with pytest.raises(InfraError, match=f"mlflow runs restore --run-id {run}`"):
        tracking.close_run(run)
    (said,) = experiment_of(tracking, "tiny")
    assert said.state == "fail" and f"experiments restore --experiment-id {number}" in said.remedy
    tracking.client.restore_experiment(number)
    tracking.close_run(run)
    assert list(experiment_of(tracking, "tiny")) == list(experiment_of(tracking, "none")) == []


@pytest.mark.parametrize(
    "address", ["htp://mlflow", "foo", "/a/folder", "databricks", "file:///a/folder", "http:/mlflow", "https://"]
)
def test_an_address_that_is_no_mlflow_is_refused_before_it_is_used(tmp_path, monkeypatch, address):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(InputError, match=f"MLFLOW_TRACKING_URI={address} is no address of an MLflow: write .*, or unset it"):
        Tracking(Home(tmp_path))
    assert Tracking(Home(tmp_path), only_look=True).home.path == tmp_path and list(tmp_path.iterdir()) == []


def test_a_download_that_fails_is_said_with_its_cause_and_a_refusal_with_whom_to_ask(tracking):
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, RESOURCE_DOES_NOT_EXIST

    def failing(message, code):
        def call():
            raise MlflowException(message, code)

        return call

    failures = "The following failures occurred while downloading one or more artifacts from s3://b/a:\n##### File x #####\nno room"
    with pytest.raises(InfraError, match=r"artifacts from s3://b/a: no room\): "):
        tracking.attempt("fetching x", failing(failures, RESOURCE_DOES_NOT_EXIST))
    with pytest.raises(InfraError, match=r"\(no\): see that MLFLOW_TRACKING_USERNAME"):
        tracking.attempt("fetching x", failing("no\nmore", PERMISSION_DENIED))


class Away:
    """A client that does not answer `times` times."""

    def __init__(self, client, times):
        self.client, self.left = client, times

    def __getattr__(self, name):
        call = getattr(self.client, name)

        def tried(*given, **named):
            if self.left:
                self.left -= 1
                raise NoAnswer("HTTPConnectionPool: Max retries exceeded\nwith much more")
            return call(*given, **named)

        return tried


@pytest.mark.parametrize(("times", "pauses"), [(1, [1.0]), (3, [1.0, 2.0, 4.0])])
def test_a_server_that_comes_back_is_waited_for(tracking, times, pauses):
    run, waited = tracking.open_run("tiny", "key", "first", {}), []
    tracking.pause, tracking.client = waited.append, Away(tracking.client, times)
    tracking.tag(run, {"x": "y"})
    assert waited == pauses and tracking.tags(run)["x"] == "y"


def test_a_server_that_stays_away_is_given_up_by_its_address_and_without_its_password(tracking, monkeypatch):
    waited = []
    tracking.pause, tracking.client = waited.append, Away(tracking.client, 99)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.example:5000")
    with pytest.raises(InfraError) as told:
        tracking.close_run("any")
    assert waited == [1, 2, 4] and "MLflow at https://***@mlflow.example:5000: closing the run failed" in str(told.value)
    assert "secret" not in str(told.value) and "\n" not in str(told.value)


def test_a_base_is_stored_once_and_only_what_belongs_to_it(tracking, bert_folder, tmp_path):
    copied = shutil.copytree(bert_folder, tmp_path / "base")
    (copied / "notes.txt").write_text("no part of it")
    base = find_base(str(copied))
    uri = tracking.store_base(base)
    assert again(tracking).store_base(base) == uri
    fetched = tracking.fetch(uri, tmp_path / "fetched")
    assert {file.relative_to(fetched) for file in base_files(fetched)} == {file.relative_to(copied) for file in base_files(copied)}
    assert find_base(str(fetched)).digest == base.digest and not (fetched / "notes.txt").exists()


def test_a_base_whose_storing_was_killed_is_stored_whole_in_the_same_run(tracking, bert_folder, monkeypatch):
    base = find_base(str(bert_folder))
    with monkeypatch.context() as killed:
        killed.setattr(Tracking, "log_folder", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tracking.store_base(base)
    uri = tracking.store_base(base)
    assert tracking.store_base(base) == uri
    experiment = tracking.experiment(BASES)
    assert [run.info.status for run in tracking.client.search_runs([experiment])] == ["FINISHED"]


@pytest.fixture
def code(tmp_path):
    file = tmp_path / "echo.py"
    file.write_text(
        "import mlflow, pathlib\nfrom mlflow.models import set_model\n\n"
        "class Echo(mlflow.pyfunc.PythonModel):\n"
        f"    def load_context(self, context):\n        pathlib.Path({str(tmp_path / 'loaded')!r}).touch()\n"
        "    def predict(self, context, model_input, params=None):\n        return model_input\n\nset_model(Echo())\n"
    )
    return file


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_run_has_one_model_and_one_version_however_often_it_is_released(tracking, code, tmp_path):
    import pandas as pd

    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "weights").write_text("w")
    frame = pd.DataFrame({"text": ["a"]})
    run = tracking.open_run("tiny", "key", "first", {})
    uri = tracking.log_model(run, tmp_path / "kept", code, frame, (frame, frame), "v")
    assert again(tracking).log_model(run, tmp_path / "kept", code, frame, (frame, frame), "v") == uri
    assert tracking.client.get_run(run).info.status == "RUNNING" and not (tmp_path / "loaded").exists()
    stored = tracking.client.get_logged_model(uri.removeprefix("models:/"))
    assert (str(stored.status), stored.source_run_id) == ("READY", run)
    version = tracking.register("tiny", uri, run, {"verdict": "HOLD"})
    assert version == again(tracking).register("tiny", uri, run, {"verdict": "HOLD"}) == "1"
    another = tracking.log_model(run, tmp_path / "kept", code, frame, (frame, frame), "of other settings")
    assert another != uri and tracking.log_model(run, tmp_path / "kept", code, frame, (frame, frame), "v") == uri
    for _ in range(2):
        tracking.log_metrics(run, {"test/accuracy": 0.9}, 7, model_uri=uri)
    shown = tracking.client.get_logged_model(uri.removeprefix("models:/"))  # the page of a stored model is made of these
    assert json.loads(shown.tags["mlflow.modelVersions"]) == [{"name": "tiny", "version": 1}]
    assert [(metric.key, metric.value, metric.step, metric.run_id) for metric in shown.metrics] == [("test/accuracy", 0.9, 7, run)]
    assert tracking.client.get_run(run).data.metrics == {"test/accuracy": 0.9}
    other = tracking.open_run("tiny", "other", "second", {})
    stored = tracking.log_model(other, tmp_path / "kept", code, frame, (frame, frame), "v")
    assert tracking.register("tiny", stored, other, {}) == "2"
    tracking.tag_version("tiny", "1", {"verdict": "PROMOTE"})
    found = tracking.version_tags("tiny", "1")
    assert (found["verdict"], found["run_id"]) == ("PROMOTE", run) and found["source"]
    model = Path(tracking.fetch("models:/tiny/1", tmp_path / "fetched"))
    assert next(model.rglob("weights")).read_text() == "w"
    requirements = (model / "requirements.txt").read_text()
    assert "torch==" in requirements and "+" not in requirements


def test_run_version_and_model_are_described_and_what_a_person_wrote_stays(tracking, code, tmp_path):
    import pandas as pd

    (tmp_path / "kept").mkdir()
    frame = pd.DataFrame({"text": ["a"]})
    run = tracking.open_run("tiny", "key", "first", {}, "tunekeeper retrain")
    version = tracking.register("tiny", tracking.log_model(run, tmp_path / "kept", code, frame, (frame, frame), "v"), run, {})
    client = tracking.client

    def said():
        note = client.get_run(run).data.tags["mlflow.note.content"]
        return note, client.get_model_version("tiny", version).description, client.get_registered_model("tiny").description

    tracking.describe(run, "tiny", version, "## HOLD\n\nfrom http://me:Zqsecret1@h")
    assert said() == (
        "## HOLD\n\nfrom http://***@h", "## HOLD\n\nfrom http://***@h",
        "The last decision was on version 1.\n\n## HOLD\n\nfrom http://***@h",
    )  # fmt: skip
    tracking.describe(run, "tiny", version, "## PROMOTE\n" + "a line\n" * 2000)
    assert all("PROMOTE" in each and 4800 < len(each) <= 4990 for each in said())
    client.set_tag(run, "mlflow.note.content", "mine")
    client.update_model_version("tiny", version, "mine")
    client.update_registered_model("tiny", "mine")
    tracking.describe(run, "tiny", version, "## HOLD")
    assert said() == ("mine", "mine", "mine")


def test_a_run_shows_its_data_sets_once_and_who_started_it_with_what(tracking):
    run = tracking.open_run("tiny", "key", "first", {"pipeline": "tiny"}, "tunekeeper retrain")
    splits = [SplitFacts(f"tiny {name}", name, name * 8, "rows.csv", 3, {"text": "string"}) for name in ("training", "test")]
    for _ in range(2):
        tracking.log_datasets(run, splits)
    found = tracking.client.get_run(run)
    shown = [(each.dataset.name, each.dataset.digest[:4], each.tags[0].value) for each in found.inputs.dataset_inputs]
    assert sorted(shown) == [("tiny test", "test", "test"), ("tiny training", "trai", "training")]
    assert found.data.tags["mlflow.source.name"] == "tunekeeper retrain" and found.data.tags["mlflow.user"]
    assert tracking.tags(run) == {"pipeline": "tiny", "train_key": "key"}


def test_the_registry_reads_and_moves_one_alias(tracking):
    registry = Registry(tracking, "champion")
    assert registry.champion("tiny") is None and registry.versions("tiny") == set()
    tracking.client.create_registered_model("tiny")
    assert registry.champion("tiny") is None
    for _ in range(2):
        tracking.client.create_model_version("tiny", source=str(tracking.home.path))
    registry.set_champion("tiny", "2")
    assert registry.champion("tiny") == "2" and registry.versions("tiny") == {"1", "2"}
    assert Registry(tracking, "other").champion("tiny") is None
    tracking.client.delete_model_version("tiny", "2")
    assert registry.champion("tiny") is None and registry.versions("tiny") == {"1"}


def test_a_page_is_mlflows_where_a_server_is_known_and_else_a_file(tracking, tmp_path, monkeypatch):
    assert tracking.page_of("tiny", "r1", "report/report.html", tmp_path / "report.html") == (tmp_path / "report.html").as_uri()
    monkeypatch.setenv("TUNEKEEPER_MLFLOW_PAGES", "http://mlflow.example")
    page = Tracking(Home(tmp_path)).page_of("tiny", "r1", "report/report.html", tmp_path / "report.html")
    assert page.startswith("http://mlflow.example/#/experiments/") and page.endswith("/runs/r1/artifacts/report/report.html")


def test_a_database_server_that_is_away_is_given_up_after_our_own_tries(tmp_path, monkeypatch):
    pytest.importorskip("psycopg2")
    with socket.socket() as held:  # bound, and nobody listens
        held.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg2://somebody:secret@127.0.0.1:{held.getsockname()[1]}/mlflow")
        waited = []
        with pytest.raises(InfraError, match=r"MLflow at postgresql\+psycopg2://\*\*\*@127\.0\.0\.1.*refused") as told:
            Tracking(Home(tmp_path), waited.append).has_run("x")
    assert waited == [1.0, 2.0, 4.0] and "secret" not in str(told.value)
