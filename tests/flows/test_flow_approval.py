"""Where a person has the last word: nothing moves before it, nothing is held or done again while it is waited for."""

import json
from contextlib import suppress
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.flow_runs import resume_flow_run

from configs.load import load_pipeline
from flows.approve import approve
from flows.deploy.deployments import apply_deployment, remove_deployment
from flows.deploy.specs import jobs_of
from tasks.ledger import approvals
from tasks.ledger.pipeline_lock import hold_pipeline
from tasks.ledger.promotions import ledger_history

MANUAL = ("release.approval=manual", "gate.looks_per_year=4", "training.epochs=4")  # good enough to win more than one look


@pytest.fixture
def forms(keep):
    """The deployment that opens forms is there; its runs are executed here, as a worker would in a process of its own."""
    job = next(job for job in jobs_of(load_pipeline(keep.config), str(keep.folder)) if job.name == "approve-tiny")
    with get_client(sync_client=True) as client:
        apply_deployment(client, job)
        yield client
        remove_deployment(client, "approve/approve-tiny")


def work(client, id):
    """What a worker does with a scheduled run; the name of the state it is left in."""
    run = client.read_flow_run(UUID(id))
    with suppress(Pause):
        run_flow(approve, flow_run=run, parameters=run.parameters, return_type="state")
    return client.read_flow_run(run.id).state.name


def asked(keep, *settings):
    """Retrain, and the question that it asked."""
    outcome = keep.retrain(*MANUAL, *settings)
    assert (outcome["verdict"], outcome["approval"]) == ("PROMOTE", "pending") and "waits until" in keep.said
    return approvals.find_approval(keep.ledger, "tiny", outcome["decision_key"])


@pytest.mark.slow
def test_a_person_has_the_last_word_and_nothing_waits_or_is_done_again_until_it_is_said(keep, forms):
    first = asked(keep)
    assert work(forms, first.form) == "Suspended" and keep.champion() is None
    second = asked(keep, "gate.alpha=0.06")  # another question about the same weights takes the place of the first
    assert forms.read_flow_run(UUID(first.form)).state.name == "Superseded"

    assert work(forms, second.form) == "Suspended"
    with pytest.raises(RuntimeError, match="Cannot resume"):  # the form is checked: without a name it is none
        resume_flow_run(UUID(second.form), run_input={"answer": "approve", "who": ""})
    resume_flow_run(UUID(second.form), run_input={"answer": "reject", "who": "Ada", "reason": "too slow"})
    assert work(forms, second.form) == "Rejected" and keep.champion() is None
    again = keep.retrain(*MANUAL, "gate.alpha=0.06")
    assert again["skipped"] and again["verdict"] == "HOLD" and "rejected by Ada: too slow" in again["reasons"][0]
    assert keep.tracking.version_tags("tiny", "1")["approval"] == "rejected"

    third = asked(keep, "gate.alpha=0.07")
    assert work(forms, third.form) == "Suspended"
    with hold_pipeline(keep.home.path, "tiny", lambda _: None, timeout=0):
        pass
    again = keep.retrain(*MANUAL, "gate.alpha=0.07")
    assert again["skipped"] and again["approval"] == "pending" and "waits until" in again["reasons"][0]
    run = forms.read_flow_run(UUID(third.form))
    assert run.name == "approve tiny v1" and set(run.tags) == {"tunekeeper", "tiny"}
    description = json.loads(forms.read_flow_run_input(run.id, "suspended-answer-description"))
    assert "report.html" in description and "promote CONFIG --version 1" in description
    resume_flow_run(run.id, run_input={"answer": "approve", "who": "Ada", "reason": "better on refunds"})
    assert work(forms, third.form) == "Approved" and keep.champion() == "1"
    (row,) = ledger_history(keep.ledger, "tiny")
    assert (row.who, row.reason, row.decision_key) == ("Ada", "better on refunds", third.decision_key)
    assert keep.retrain(*MANUAL, "gate.alpha=0.07")["approval"] == "approved"
    assert len(keep.runs()) == 1 and keep.versions() == {"1"}
