"""What a YAML says of schedules and triggers is what Prefect does: no more after a second time, and one run for fifty events."""

import json
import sqlite3
import time
import uuid
from contextlib import closing

import pandas as pd
import pytest
import tiny
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.events import emit_event
from prefect.exceptions import PrefectHTTPStatusError
from prefect.logging import disable_run_logger
from prefect.states import Completed, Failed

from configs.load import load_pipeline
from flows import new_data, notify
from flows.approve import approve
from flows.deploy import run_names
from flows.deploy.run_names import name_planned
from tasks.data.sources import changes
from tasks.ledger import approvals
from tasks.ledger.retrain_requests import RetrainCause, admit_request

SETTINGS = ("schedule.retrain=0 3 * * 1", "schedule.timezone=Europe/Berlin", "schedule.on_new_data_minutes=30")


@pytest.fixture
def pool(keep):
    """A pool of this test's own, for no worker serves it; the pipeline is `tiny` for the whole session's server."""
    name = f"pool-{uuid.uuid4().hex[:8]}"
    yield name
    with get_client(sync_client=True) as client:
        for found in _of(client, pool=name):
            client.delete_deployment(found.id)
        for automation in client.read_automations():
            if automation.name.startswith("tunekeeper tiny: "):
                client.delete_automation(automation.id)


def _of(client, pool):
    return [each for each in client.read_deployments() if each.work_pool_name == pool]


def deploy(keep, pool, *settings):
    code, printed = keep.command("deploy", str(keep.config), f"schedule.work_pool={pool}", *settings, "--json")
    return json.loads(printed) if code == 0 else (code, keep.said)


def test_what_the_yaml_says_is_deployed_once_however_often_and_what_it_says_no_more_is_gone(keep, pool, monkeypatch):
    monkeypatch.chdir(keep.folder)
    deploy(keep, pool, *SETTINGS)
    with get_client(sync_client=True) as client:
        retrain = client.read_deployment_by_name("retrain/retrain-tiny")
        (cron,) = retrain.schedules
        assert (cron.schedule.cron, cron.schedule.timezone, cron.parameters) == ("0 3 * * 1", "Europe/Berlin", {"why": "schedule"})
        assert retrain.parameters["pipeline"]["model"]["max_length"] == 16 and retrain.enforce_parameter_schema
        assert "Pipeline" in retrain.parameter_openapi_schema["definitions"] and set(retrain.tags) == {"tunekeeper", "tiny"}
        assert retrain.pull_steps == [{"prefect.deployments.steps.set_working_directory": {"directory": str(keep.folder)}}]
        client.update_deployment_schedule(retrain.id, cron.id, active=False)

        again = deploy(keep, pool, *SETTINGS)
        names = [each["deployment"] for each in again["deployments"]]
        assert len(names) == len(set(names)) == len(_of(client, pool))
        assert {"retrain/retrain-tiny", "watch/new-data-tiny", "approve/approve-tiny", "reconcile/reconcile"} <= set(names)
        after = client.read_deployment_by_name("retrain/retrain-tiny")
        assert after.id == retrain.id and [each.active for each in after.schedules] == [False]  # paused by hand stays paused
        assert len([each for each in client.read_automations() if each.name.startswith("tunekeeper tiny: ")]) == 2

        gone = deploy(keep, pool, "schedule.on_drift=false")
        assert gone["removed"] == ["watch/new-data-tiny", "tunekeeper tiny: retrain"]
        assert client.read_deployment_by_name("retrain/retrain-tiny").schedules == []
        left = {each.name for each in client.read_automations() if each.name.startswith("tunekeeper tiny: ")}
        assert left == {"tunekeeper tiny: failure"}


@pytest.mark.slow
def test_runs_that_a_schedule_has_planned_carry_their_pipelines_name(keep, pool, monkeypatch):
    monkeypatch.setattr(run_names, "PAGE", 2)  # there are more deployments and runs than one page of the server holds
    deploy(keep, pool, *SETTINGS)
    with get_client(sync_client=True) as client:
        ids = {name: client.read_deployment_by_name(name).id for name in ("retrain/retrain-tiny", "watch/new-data-tiny")}
        for id in ids.values():
            client._client.post(f"/deployments/{id}/schedule", json={"min_runs": 3}).raise_for_status()
        assert name_planned(client, "tunekeeper") >= 6
        for name, id in ids.items():
            planned = [run for run in _runs(client, id) if run.auto_scheduled]
            expected = {f"{name.partition('/')[2]} {run.expected_start_time:%Y-%m-%d %H:%M} UTC" for run in planned}
            assert len(planned) >= 3 and {run.name for run in planned} == expected
        named = {run.id: (run.name, run.updated) for id in ids.values() for run in _runs(client, id)}
        name_planned(client, "tunekeeper")  # another pipeline of this server may have planned runs meanwhile
        assert {run.id: (run.name, run.updated) for id in ids.values() for run in _runs(client, id)} == named


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("schedule.retrain=0 25 * * *", "schedule.retrain = '0 25 * * *' is no cron"),
        ("schedule.monitor=@daily", "five fields"),
        ("schedule.retrain=0 0 31 2 *", "never comes"),
        ("schedule.timezone=Europe/Berln", "did you mean `Europe/Berlin`?"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_before_anything_is_touched(keep, pool, setting, says):
    code, said = deploy(keep, pool, setting)
    assert code == 2 and says in said
    with get_client(sync_client=True) as client:
        assert _of(client, pool) == []


def test_fifty_events_at_once_start_one_run_that_says_why_and_since_when_and_a_failure_is_told_of(keep, pool):
    deploy(keep, pool)
    resource = {"prefect.resource.id": "tunekeeper.pipeline.tiny"}
    with get_client(sync_client=True) as client:
        failed = client.create_flow_run(notify.notice, parameters={"pipeline": "tiny", "run": "-"}, tags=["tunekeeper", "tiny"])
        client.set_flow_run_state(failed.id, Failed(message="no room on the disk"), force=True)
        for number in range(50):
            emit_event(f"tunekeeper.{('drift', 'decay')[number % 2]}", resource=resource, payload={"name": "v1-8"})
        wanted = {name: client.read_deployment_by_name(name).id for name in ("retrain/retrain-tiny", "notice/notice")}
        deadline = time.monotonic() + 120  # seconds; at once on a quiet machine
        while not all(_runs(client, id) for id in wanted.values()) and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(1)
        (run,), (told,) = (_runs(client, id) for id in wanted.values())
        assert run.parameters["why"] in ("drift", "decay") and run.parameters["asked"]
        assert run.parameters["look"] == "v1-8"
        assert set(run.tags) == {"tunekeeper", "tiny"} and set(told.tags) == {
            "tunekeeper"
        }  # a notice that fails is told of by none
        with disable_run_logger():
            assert notify.notice.fn(**told.parameters) == f"{failed.name} ended as Failed: no room on the disk"
        settings = run.parameters["pipeline"]
        secret = {**settings, "data": {**settings["data"], "source": "Postgres+psycopg2://me:Zqsecret1@h/d/t"}}
        for wrong in ({"why": "a whim"}, {"pipeline": {**settings, "nmae": "typo"}}, {"pipeline": secret}):
            with pytest.raises(PrefectHTTPStatusError):  # what a person types into the form is checked as the YAML is
                client.create_flow_run_from_deployment(wanted["retrain/retrain-tiny"], parameters=wrong)


def test_a_run_that_waits_is_told_of_once_for_each_reason(keep, pool, monkeypatch):
    deploy(keep, pool)
    pipeline, sent = load_pipeline(keep.config), []
    monkeypatch.setenv("TUNEKEEPER_NOTIFY", "slack-webhook/ops")
    monkeypatch.setattr(notify, "_send_notification", lambda block, subject, text: sent.append(text))
    with get_client(sync_client=True) as client:
        waits = client.create_flow_run(notify.notice, parameters={"pipeline": "tiny", "run": "-"}, tags=["tunekeeper", "tiny"])
        client.set_flow_run_state(waits.id, Completed(name="Waiting", message="`a` is gone"), force=True)
        notice, deadline = client.read_deployment_by_name("notice/notice").id, time.monotonic() + 30
        while not (told := _runs(client, notice)) and time.monotonic() < deadline:
            time.sleep(0.2)
    for reason in ("`a` is gone", "`a` is gone", "`b` is gone"):
        with admit_request(keep.home.path, pipeline, keep.ledger, RetrainCause("schedule"), lambda _: None) as turn:
            turn.waits(reason, "contract")
        with disable_run_logger():
            assert notify.notice.fn(**told[0].parameters) == f"{waits.name} ended as Waiting: `a` is gone"
    assert len(sent) == 2 and len(told) == 1


def test_the_watch_tells_of_rows_that_no_run_has_looked_at_and_of_none_that_would_be_refused(keep, monkeypatch):
    pipeline, told = load_pipeline(keep.config), []
    monkeypatch.setattr(new_data, "emit_event", lambda event, resource, payload: told.append((event, *resource.values())))

    def look():
        with disable_run_logger():
            return new_data.watch.fn(pipeline)

    def run(why, skipped=False):
        with admit_request(keep.home.path, pipeline, keep.ledger, RetrainCause(why), lambda _: None) as turn:
            turn.saw(changes.digest_now(pipeline, keep.home))
            assert look() == "busy"
            turn.ended({"skipped": skipped})

    assert look() == "new data" and told == [("tunekeeper.new-data", "tunekeeper.pipeline.tiny", "tiny")]
    run("person")
    assert look() == "nothing new"
    (keep.folder / "rows.csv").touch()
    assert look() == "nothing new"
    keep.write(tiny.rows(310))
    assert look() == look() == "new data"  # until a run has looked: an event may be lost
    run("new-data")
    keep.write(tiny.rows(320))
    assert look() == "refused" and len(told) == 3


@pytest.mark.slow
def test_a_table_is_kept_as_a_file_is_and_another_number_of_rows_is_new_data(keep, monkeypatch):
    told = []
    monkeypatch.setattr(new_data, "emit_event", lambda event, resource, payload: told.append(event))
    place = keep.folder / "rows.db"

    def write(n):
        with closing(sqlite3.connect(place)) as database:
            pd.DataFrame(tiny.rows(n)).to_sql("tickets", database, index=False, if_exists="replace")

    def look():
        with disable_run_logger():
            return new_data.watch.fn(load_pipeline(keep.config, [source]))

    write(300)
    source = f"data.source=sqlite:///{place}/tickets"
    first = keep.retrain(source, "training.epochs=4")
    assert first["verdict"] == "PROMOTE" and keep.retrain(source, "training.epochs=4")["skipped"] and look() == "nothing new"
    write(310)
    assert look() == "new data" and told == ["tunekeeper.new-data"]
    assert keep.retrain(source, "training.epochs=4")["snapshot"] != first["snapshot"] and look() == "nothing new"


def test_a_form_that_nobody_filled_in_is_told_of_in_words(keep):
    pipeline = load_pipeline(keep.config, ["release.approval=manual", "release.approval_timeout_hours=0.0000001"])
    request = approvals.ApprovalRequest("why", "1", None, "run", "key", "report.html")
    approvals.ask_approval(keep.ledger, pipeline, request)
    with get_client(sync_client=True) as client:
        form = client.create_flow_run(approve, parameters={"pipeline": "tiny", "version": "1", "decision": "why"})
        client.set_flow_run_state(form.id, Failed(message="The flow was paused and never resumed."), force=True)
    with disable_run_logger():
        said = notify.notice.fn("tiny", f"prefect.flow-run.{form.id}")
    assert "version 1 was not promoted: nobody answered until" in said and "promote CONFIG --version 1" in said
    assert approvals.find_approval(keep.ledger, "tiny", "why").state == "expired"


def _runs(client, deployment):
    return client.read_flow_runs(flow_run_filter=FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment])))
