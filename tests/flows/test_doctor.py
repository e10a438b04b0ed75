"""What is wrong is found, named and given a remedy; and looking changes nothing."""

import http.server
import json
import os
import sqlite3
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest
import yaml

from configs.load import load_pipeline
from configs.schema import Pipeline
from flows.cli.doctor import run_doctor
from tasks.common.home import Home
from tasks.common.http import HttpAnswer, fetch
from tasks.data.redaction.key import key_id, redaction_key
from tasks.health import machine
from tasks.health import servers as health_servers

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEKEEPER_HOME", str(tmp_path / "home"))
    for name in (
        "MLFLOW_TRACKING_URI",
        "PREFECT_API_URL",
        "TUNEKEEPER_LEDGER_URL",
        "TUNEKEEPER_TRAFFIC_URL",
        "TUNEKEEPER_REDACTION_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path / "home")


class Server(http.server.ThreadingHTTPServer):
    """Answers by path, with a clock that may be off; counts what it is asked."""

    def __init__(self, answers, off=0.0):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.off = answers, off
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = self.server.answers.get(self.path, (404, {}))
        self.send_response_only(status)
        self.send_header("Date", formatdate(time.time() + self.server.off))
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    servers = []

    def start(answers, off=0.0):
        servers.append(Server(answers, off))
        return servers[-1].url

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def said(checks):
    return {check.name: check for check in checks}


def test_a_new_machine_is_well_and_looking_leaves_no_trace(home, tmp_path):
    found = run_doctor(None, quiet=True)
    faults = [check for check in found["checks"] if check["state"] == "fail"]
    assert faults == [] and found["ok"]
    assert list(tmp_path.iterdir()) == []
    names = {check["name"] for check in found["checks"]}
    assert names >= {
        "python",
        "libraries",
        "home",
        "disk",
        "memory",
        "gpu",
        "prefect",
        "mlflow",
        "ledger",
        "traffic",
        "redaction key",
    }


def test_a_check_that_breaks_is_a_fault_and_the_others_are_made(home, monkeypatch):
    def broken(_):
        raise ValueError("no such codec")

    monkeypatch.setattr(machine, "check_redaction", broken)
    found = {check["name"]: check for check in run_doctor(None, quiet=True)["checks"]}
    assert found["redaction key"]["state"] == "fail" and "ValueError: no such codec" in found["redaction key"]["what"]
    assert found["redaction key"]["remedy"] and found["ledger"]["state"] == "ok"


def test_the_pipelines_base_data_and_contract_are_looked_at(home, monkeypatch, tmp_path, bert_folder):
    given = {
        "name": "tiny", "problem": "text-classification", "data": {"source": "rows.csv"}, "contract": {"suite": "none.json"},
        "model": {"base": str(bert_folder), "sha256": "0" * 64},
    }  # fmt: skip
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(given))
    found = run_doctor(load_pipeline(tmp_path / "tiny.yaml"), quiet=True)
    faults = {check["name"]: check["what"] for check in found["checks"] if check["state"] == "fail"}
    assert not found["ok"] and set(faults) == {"base", "data"} and "sha256" in faults["base"] and "rows.csv" in faults["data"]
    (tmp_path / "rows.csv").write_text("text,label\na,b\n")
    faults = {
        check["name"]: check
        for check in run_doctor(load_pipeline(tmp_path / "tiny.yaml"), quiet=True)["checks"]
        if check["state"] == "fail"
    }
    assert set(faults) == {"base", "contract"} and "none.json" in faults["contract"]["what"]


@pytest.mark.parametrize("base", ["../base", "~nobody-of-that-name/base", "an owner/a name!", ""])
def test_a_base_that_is_no_folder_and_no_name_of_a_hub_is_one_fault_among_others(home, base):
    data = {"source": "rows.csv"}
    pipeline = Pipeline(name="tiny", problem="text-classification", data=data, model={"base": base})
    found = {check["name"]: check for check in run_doctor(pipeline, quiet=True)["checks"]}
    assert found["base"]["state"] == "fail" and f"model.base {base}: " in found["base"]["what"]
    assert {"python", "home", "data"} <= set(found)


def test_a_library_beyond_its_bound_is_a_fault_and_one_beside_the_lock_is_said(tmp_path):
    (tmp_path / "requirements.lock").write_text("# lock\npydantic==1.0.0\nnobody-has-this==1.0\n")
    broken = machine.check_libraries(tmp_path / "requirements.lock", ["sqlalchemy<1.0", "nobody-has-this>=1"])
    assert broken.state == "fail" and "sqlalchemy" in broken.what and "nobody-has-this is absent" in broken.what and broken.remedy
    beside = machine.check_libraries(tmp_path / "requirements.lock", [])
    assert beside.state == "warn" and "pydantic" in beside.what and "absent: nobody-has-this" in beside.what


@pytest.mark.parametrize(
    ("given", "state"), [({}, "ok"), ({"DO_NOT_TRACK": "false"}, "warn"), ({"MLFLOW_DISABLE_TELEMETRY": "1"}, "warn")]
)
def test_telemetry_that_somebody_turned_on_is_said(given, state):
    assert machine.check_telemetry(given).state == state


def test_a_redaction_key_that_is_none_or_too_short_or_read_by_others_is_found(home, tmp_path):
    home.path.mkdir()
    file = home.path / "redaction.key"
    assert machine.check_redaction(home, {}).state == "ok"
    assert machine.check_redaction(home, {"TUNEKEEPER_REDACTION_KEY": "short"}).state == "fail"
    file.write_text("ab" * 32)
    file.chmod(0o644)
    assert machine.check_redaction(home, {}).remedy == f"chmod 600 {file}"
    for damaged in (b"half a k", b"\xff" * 64):
        file.write_bytes(damaged)
        assert machine.check_redaction(home, {}).state == "fail"


def test_a_redaction_key_that_is_gone_though_rows_were_redacted_with_it_is_a_fault(home):
    sealed = home.snapshots / "abc"
    sealed.mkdir(parents=True)
    (sealed / "manifest.json").write_text('{"redactor_key_id": null}')
    assert machine.check_redaction(home, {}).state == "ok"
    (sealed / "manifest.json").write_text('{"redactor_key_id": "12ab"}')
    found = machine.check_redaction(home, {})
    assert found.state == "fail" and str(sealed) in found.what and "restore it" in found.remedy
    assert machine.check_redaction(home, {"TUNEKEEPER_REDACTION_KEY": "k" * 16}).state == "ok"


def test_a_redaction_key_that_is_not_the_one_of_the_latest_rows_is_said(home):
    for name in ("abc", "other"):
        (home.snapshots / name).mkdir(parents=True)
    (home.path / "index").mkdir()
    (home.path / "index" / "latest-tiny.json").write_text('{"snapshot": "abc"}')
    (home.path / "redaction.key").write_text("ab" * 32)
    (home.path / "redaction.key").chmod(0o600)
    own = key_id(redaction_key(home.path, {}))
    (home.snapshots / "other" / "manifest.json").write_text('{"redactor_key_id": "12ab"}')  # an earlier one
    (home.snapshots / "abc" / "manifest.json").write_text(json.dumps({"redactor_key_id": own}))
    assert machine.check_redaction(home, {}).state == "ok"
    (home.path / "redaction.key").write_text("cd" * 32)
    for environment in ({}, {"TUNEKEEPER_REDACTION_KEY": "k" * 16}):
        found = machine.check_redaction(home, environment)
        assert found.state == "warn" and f"{own} (of tiny)" in found.what and "earlier key back" in found.remedy
    for latest in ("{", json.dumps({"snapshot": "abc", "redactor_key_id": key_id(redaction_key(home.path, {}))})):
        (home.path / "index" / "latest-tiny.json").write_text(latest)
        assert machine.check_redaction(home, {}).state == "ok"


def test_a_damaged_record_of_runs_is_found_where_no_server_runs_and_so_is_one_that_cannot_be_opened(home, monkeypatch):
    file = home.prefect / "prefect.db"
    home.prefect.mkdir(parents=True)
    file.touch()
    assert said(health_servers.check_prefect(None, home))["prefect"].state == "ok"
    file.write_text("garbage")
    found = said(health_servers.check_prefect(None, home))["prefect"]
    assert found.state == "fail" and f"{file}: file is not a database" in found.what and "Only the record of runs" in found.remedy
    monkeypatch.setattr(health_servers, "sqlite_fault", lambda _: "unable to open database file")
    assert "permissions" in said(health_servers.check_prefect(None, home))["prefect"].remedy


@pytest.mark.parametrize(
    ("fault", "remedy"), [("unable to open database file", "permissions"), ("database is locked", "let that end")]
)
def test_a_whole_database_that_cannot_be_opened_is_not_to_be_replaced_by_a_copy(home, monkeypatch, fault, remedy):
    home.path.mkdir()
    for name in ("mlflow.db", "ledger.db"):
        (home.path / name).touch()
    monkeypatch.setattr(health_servers, "sqlite_fault", lambda *_: fault)
    for check in (*health_servers.check_mlflow(home), *health_servers.check_ledger(home)):
        assert check.state == "fail" and remedy in check.remedy and "copy" not in check.remedy


def test_prefect_away_locked_of_another_version_or_of_another_time_is_told_apart(serve, home):
    assert said(health_servers.check_prefect("http://127.0.0.1:9/api", home))["prefect"].what.startswith(
        "http://127.0.0.1:9/api does not answer"
    )
    locked = serve({"/api/health": (200, True), "/api/admin/version": (401, {})})
    assert "PREFECT_API_AUTH_STRING" in said(health_servers.check_prefect(f"{locked}/api", home))["prefect"].remedy
    other = serve({"/api/health": (200, True), "/api/admin/version": (200, "1.2.3")}, off=90)
    found = said(health_servers.check_prefect(f"{other}/api", home))
    page = serve({"/api/health": (200, "<html>"), "/api/admin/version": (200, {"a page": "of a proxy"})})
    assert said(health_servers.check_prefect(f"{page}/api", home))["prefect"].state == "fail"
    assert found["prefect"].state == "warn" and "1.2.3" in found["prefect"].what and found["prefect clock"].state == "fail"


def test_a_pool_that_is_missing_paused_or_without_a_worker_is_told_apart(serve):
    online = [{"name": "w", "status": "ONLINE"}, {"name": "old", "status": "OFFLINE"}]
    api = serve(
        {
            "/work_pools/paused": (200, {"is_paused": True}),
            "/work_pools/idle": (200, {"is_paused": False}), "/work_pools/idle/workers/filter": (200, online[1:]),
            "/work_pools/busy": (200, {"is_paused": False}), "/work_pools/busy/workers/filter": (200, online),
        }
    )  # fmt: skip
    found = said(health_servers.check_pools(api, {"paused", "idle", "busy", "none"}))
    assert {name.split()[1]: check.state for name, check in found.items()} == {
        "paused": "warn", "idle": "warn", "busy": "ok", "none": "warn"
    }  # fmt: skip
    assert "1 workers: w" in found["pool busy"].what and "resume" in found["pool paused"].remedy


def test_mlflow_that_refuses_this_user_is_no_mlflow_that_is_away(serve, home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", serve({"/health": (200, "OK"), "/api/2.0/mlflow/experiments/search": (401, {})}))
    assert "MLFLOW_TRACKING_USERNAME" in said(health_servers.check_mlflow(home))["mlflow"].remedy
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:word@127.0.0.1:9")
    away = said(health_servers.check_mlflow(home))["mlflow"]
    assert away.state == "fail" and "does not answer" in away.what and "word" not in away.what
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://here")
    assert "postgresql+psycopg2" in said(health_servers.check_mlflow(home))["mlflow"].remedy


def test_no_address_is_shown_with_its_password(home, monkeypatch, capsys):
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "http://me:Zqsecret1@127.0.0.1:9/api")
    for name in ("TUNEKEEPER_LEDGER_URL", "TUNEKEEPER_TRAFFIC_URL"):
        monkeypatch.setenv(name, "postgresql+psycopg2://me:Zqsecret1@127.0.0.1:9/d?password=Zqsecret1")
    found = run_doctor(None, quiet=False)
    checks = {check["name"]: check["what"] for check in found["checks"]}
    assert "http://***@127.0.0.1:9/api" in checks["prefect"] and "http://***@127.0.0.1:9/api" in checks["mlflow"]
    assert "Zqsecret1" not in json.dumps(found) + "".join(capsys.readouterr())


def test_a_ledger_that_is_damaged_or_newer_than_this_is_found(home):
    home.path.mkdir()
    file = home.path / "ledger.db"
    file.write_bytes(b"no database at all, and long enough to be read as one" * 40)
    assert said(health_servers.check_ledger(home))["ledger"].state == "fail"
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("create table ledger_schema (version integer)")
        connection.execute("insert into ledger_schema values (99)")
    connection.close()
    newer = said(health_servers.check_ledger(home))["ledger"]
    assert newer.state == "fail" and "schema 99" in newer.what


def test_a_ledger_that_is_gone_though_mlflow_lists_versions_is_a_fault(home):
    home.path.mkdir()
    with sqlite3.connect(home.path / "mlflow.db") as connection:
        connection.execute("create table model_versions (name text)")
    assert said(health_servers.check_ledger(home))["ledger"].state == "ok"
    connection.execute("insert into model_versions values ('tiny')")
    connection.commit()
    connection.close()
    gone = said(health_servers.check_ledger(home))["ledger"]
    assert gone.state == "fail" and "ledger.db is gone" in gone.what and "restore it from a copy" in gone.remedy


def test_what_in_a_home_cannot_be_written_is_named(home, monkeypatch):
    (home.artifacts / "tiny" / "models").mkdir(parents=True)
    (home.path / "snapshots").mkdir()
    (home.path / "redaction.key").touch(0o400)
    assert said(machine.home_folder(home))["home"].state == "ok"
    locked = {str(home.path / "snapshots"), str(home.artifacts / "tiny" / "models"), str(home.path / "redaction.key")}
    monkeypatch.setattr(machine.os, "access", lambda place, _: str(place) not in locked)
    found = said(machine.home_folder(home))["home"]
    assert found.state == "fail" and "models" in found.what and "snapshots" in found.what and "redaction" not in found.what


def test_a_home_that_is_a_file_is_a_fault(home):
    home.path.touch()
    found = {check["name"]: check for check in run_doctor(None, quiet=True)["checks"]}
    assert found["home"]["state"] == "fail" and "TUNEKEEPER_HOME" in found["home"]["remedy"]


def test_a_home_whose_path_cuts_a_databases_address_short_is_a_fault(tmp_path):
    found = said(machine.home_folder(Home(tmp_path / "why?not")))["home"]
    assert found.state == "fail" and "question mark" in found.what and "TUNEKEEPER_HOME" in found.remedy


def test_what_is_not_looked_at_for_strays_is_said(home, monkeypatch):
    home.path.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    found = {check["name"]: check for check in run_doctor(None, quiet=True)["checks"]}
    assert "without mlflow" in found["strays"]["what"]


def test_a_database_of_mlflow_that_is_not_there_yet_is_no_fault_and_is_not_made(home, tmp_path, monkeypatch):
    home.path.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/absent/x.db")
    found = {check["name"]: check for check in run_doctor(None, quiet=True)["checks"]}
    assert found["strays"]["state"] == found["mlflow"]["state"] == "ok" and not (tmp_path / "absent").exists()


def test_a_home_that_cannot_be_written_is_a_fault(tmp_path):
    if os.getuid() == 0:
        pytest.skip("root writes everywhere")
    tmp_path.chmod(0o500)
    assert said(machine.home_folder(Home(tmp_path / "home")))["home"].state == "fail"


def test_what_is_no_web_address_is_not_asked():
    assert fetch("file:///etc/passwd") == HttpAnswer(0, "file is no web address")
