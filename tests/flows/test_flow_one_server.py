"""One Prefect server per home: a command asks the one that runs, in whatever order it imports what it needs."""

import json
import os

import forks
import pytest
from flow_child import only_this_server


@pytest.fixture
def at_home(keep, monkeypatch):
    """Run a command in a process of its own, in the home whose server runs: its address is in that home alone."""
    from prefect.settings import PREFECT_HOME

    monkeypatch.setenv("TUNEKEEPER_HOME", str(PREFECT_HOME.value().parent))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    def run(*words):
        said = keep.folder / f"said-{len(list(keep.folder.glob('said-*.json')))}"
        process = forks.start(only_this_server, dict(os.environ), [*words, "--json"], str(said))
        process.join(120)
        error = said.with_suffix(".txt").read_text()
        assert process.exitcode == 0 and "Traceback" not in error, error
        return json.loads(said.with_suffix(".json").read_text())

    return run


@pytest.mark.slow
def test_deploy_reconcile_and_doctor_ask_the_server_that_runs_and_start_no_other(keep, at_home):
    name = f"schedule.work_pool=pool-{os.getpid()}"
    done = at_home("deploy", str(keep.config), name)
    assert "retrain/retrain-tiny" in [each["deployment"] for each in done["deployments"]]
    assert at_home("reconcile", "--dry-run")["blind"] == []
    found = {check["name"]: check for check in at_home("doctor", str(keep.config), name)["checks"]}
    assert found["prefect"]["state"] == "ok" and "http://127.0.0.1:" in found["prefect"]["what"]
    assert found[f"pool pool-{os.getpid()}"]["what"].startswith("no worker")
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        for each in client.read_deployments():
            if each.work_pool_name == f"pool-{os.getpid()}":
                client.delete_deployment(each.id)
