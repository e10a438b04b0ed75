"""Where a person has the last word: nothing moves before it, nothing is held or done again while it is waited for."""

import json
from contextlib import suppress
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.flow_runs import resume_flow_run

from configs.load import load
from flows.approve import approve
from flows.deployments import apply, remove
from flows.jobs import jobs_of
from tasks import approvals
from tasks.exclusion import hold
from tasks.ledger import history

MANUAL = ("release.approval=manual",)
TWICE = (*MANUAL, "gate.looks_per_year=4", "training.epochs=4")  # so that a second look can still be won


@pytest.fixture
def forms(keep):
    """The deployment that opens forms is there; its runs are executed here, as a worker would in a process of its own."""
    job = next(job for job in jobs_of(load(keep.config), str(keep.folder)) if job.name == "approve-tiny")
    with get_client(sync_client=True) as client:
        apply(client, job)
        yield client
        remove(client, "approve/approve-tiny")


def work(client, id):
    """What a worker does with a scheduled run; the name of the state it is left in."""
    run = client.read_flow_run(UUID(id))
    with suppress(Pause):
        run_flow(approve, flow_run=run, parameters=run.parameters, return_type="state")
    return client.read_flow_run(run.id).state.name


def test_the_form_promotes_with_the_persons_name_and_waits_without_a_process_or_a_lock(keep, forms):
    asked = keep.retrain(*MANUAL)
    assert (asked["verdict"], asked["approval"]) == ("PROMOTE", "pending") and "waits until" in keep.said
    question = approvals.find(keep.ledger, "tiny", asked["decision_key"])
    assert work(forms, question.form) == "Suspended" and keep.champion() is None
    with hold(keep.home.path, "tiny", lambda _: None, timeout=0):
        pass
    again = keep.retrain(*MANUAL)
    assert again["skipped"] and again["approval"] == "pending" and "waits until" in again["reasons"][0]

    run = forms.read_flow_run(UUID(question.form))
    assert run.name == "approve tiny v1" and set(run.tags) == {"tunekeeper", "tiny"}
    description = json.loads(forms.read_flow_run_input(run.id, "suspended-answer-description"))
    assert "report.html" in description and "promote CONFIG --version 1" in description
    with pytest.raises(RuntimeError, match="Cannot resume"):  # the form is checked: without a name it is none
        resume_flow_run(run.id, run_input={"answer": "approve", "who": ""})
    resume_flow_run(run.id, run_input={"answer": "approve", "who": "Ada", "reason": "better on refunds"})
    assert work(forms, question.form) == "Approved" and keep.champion() == "1"
    (row,) = history(keep.ledger, "tiny")
    assert (row.who, row.reason, row.decision_key) == ("Ada", "better on refunds", asked["decision_key"])
    assert keep.retrain(*MANUAL)["approval"] == "approved" and len(keep.runs()) == 1 and keep.versions() == {"1"}


def test_what_was_rejected_is_not_asked_again_and_a_person_at_a_terminal_may_think_otherwise(keep, forms):
    asked = keep.retrain(*TWICE)
    question = approvals.find(keep.ledger, "tiny", asked["decision_key"])
    assert work(forms, question.form) == "Suspended"
    resume_flow_run(UUID(question.form), run_input={"answer": "reject", "who": "Ada", "reason": "too slow"})
    assert work(forms, question.form) == "Rejected" and keep.champion() is None
    again = keep.retrain(*TWICE)
    assert again["skipped"] and again["verdict"] == "HOLD" and "rejected by Ada: too slow" in again["reasons"][0]
    assert keep.tracking.version_tags("tiny", "1")["approval"] == "rejected"

    other = keep.retrain(*TWICE, "gate.alpha=0.06")  # another question about the same weights
    question = approvals.find(keep.ledger, "tiny", other["decision_key"])
    assert work(forms, question.form) == "Suspended"
    assert keep.command("promote", str(keep.config), "--version", "1", "--reason", "fast enough")[0] == 0
    assert forms.read_flow_run(UUID(question.form)).state.name == "Approved"  # nobody needs to fill it in any more
    settled = keep.retrain(*TWICE)
    assert (settled["verdict"], settled["approval"], settled["approval_reason"]) == ("PROMOTE", "approved", "fast enough")
    assert keep.champion() == "1" and len(keep.runs()) == 1
