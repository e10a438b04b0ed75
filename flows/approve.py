"""A person says whether a challenger is promoted: a flow run that is suspended, without a process, until its form is filled in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run as this_run
from prefect.states import Completed
from pydantic import Field

from configs.errors import InputError
from configs.schema import Plain
from tasks import assets
from tasks.collect.links import REPORT
from tasks.common.home import find_home, settle_environment
from tasks.common.orchestration import create_markdown_artifact, flow
from tasks.common.terminal import print_notice
from tasks.context import PipelineContext, TrainingRun, open_ledger
from tasks.ledger import approvals
from tasks.ledger.approvals import Approval
from tasks.ledger.promotions import Ledger
from tasks.tracking.client import Tracking
from tasks.tracking.registry import Registry

LEAST_SECONDS = 60  # a form that a worker opens late is open for a moment all the same


class ApprovalForm(RunInput):
    """The form."""

    answer: Literal["approve", "reject"] = Field(description="approve: this version becomes champion")
    who: Plain = Field(min_length=1, description="your name; the ledger keeps it")
    reason: Plain = Field("", description="why; the ledger keeps it too")


@flow(name="approve", flow_run_name="approve {pipeline} v{version}")
def approve(pipeline: str, version: str, decision: str) -> State[Any]:
    """Wait for a person's answer about a decision, then do as it says.

    It runs twice: to open the form, and again from the top once that was answered. In between the question lives in the databases
    of ledger and Prefect alone.
    """
    home = find_home()
    settle_environment(home)
    ledger, tracking = open_ledger(home), Tracking(home, may_begin=False)
    approval = approvals.find_approval(ledger, pipeline, decision)
    if approval is None:
        raise InputError(f"no approval of {pipeline} version {version} was asked for under {decision}: `tunekeeper retrain` asks")
    registry = Registry(tracking, approval.alias)
    now = approvals.approval_state(ledger, registry, approval)
    if now.state in ("pending", "expired"):
        form = _filled_form(now, tracking)
        now = approvals.answer_approval(ledger, registry, approval, form.answer == "approve", form.who, form.reason)
    if now.state == "approved":
        assets.record_alias(pipeline, version, approval.alias)
    tracking.tag_version(pipeline, version, now.tags)
    return Completed(name=now.state.capitalize(), message=now.sentence, data=now.account)


def ask_person(
    context: PipelineContext, version: str, against: str | None, training: TrainingRun, decision_key: str, report: str
) -> Approval:
    """Ask a person to promote a version, once per decision; earlier open questions about this model are closed."""
    pipeline, ledger, registry = context.pipeline, context.ledger, context.registry
    request = approvals.ApprovalRequest(decision_key, version, against, training.run_id, training.key, report)
    approval, superseded = approvals.ask_approval(ledger, pipeline, request)
    approval = approval if approval.form else open_form(ledger, approval)
    for question in (*superseded, *approvals.settle_approvals(ledger, registry, pipeline.name)):
        close_form(question)
    print_notice(approval.sentence)
    return approval


def open_question(ledger: Ledger, registry: Registry, model: str, decision_key: str) -> Approval | None:
    """The approval of a decision now, if one was asked for; a form that a kill or a server away had prevented is opened."""
    approval = approvals.find_approval(ledger, model, decision_key)
    if approval is None:
        return None
    now = approvals.approval_state(ledger, registry, approval)
    return open_form(ledger, now) if now.state == "pending" and not now.form else now


def open_form(ledger: Ledger, approval: Approval) -> Approval:
    """Start the flow run with the form, once, where `tunekeeper deploy` made it known; returns the approval with the form's id."""
    name, version = approval.model, approval.version
    with get_client(sync_client=True) as client:
        try:
            deployed = client.read_deployment_by_name(f"approve/approve-{name}")
        except ObjectNotFound:
            return approval
        run = client.create_flow_run_from_deployment(
            deployed.id,
            name=f"approve {name} v{version}",
            parameters={"pipeline": name, "version": version, "decision": approval.decision_key},
            tags=["tunekeeper", name],
            idempotency_key=f"approve-{approval.run_id}-{approval.decision_key}",
        )
    return approvals.write_approval(ledger, replace(approval, form=str(run.id)))


def close_form(approval: Approval) -> None:
    """End the flow run of an approval that was closed without its form; where the server is away, print a notice."""
    if not approval.form:
        return
    ended: State[Any] = Completed(name=approval.state.capitalize(), message=approval.sentence)
    try:
        with get_client(sync_client=True) as client:
            run = client.read_flow_run(UUID(approval.form))
            if run.state is not None and not run.state.is_final():
                client.set_flow_run_state(run.id, ended, force=True)
    except ObjectNotFound:
        return  # a person deleted it
    except HTTPError as error:
        print_notice(f"the form of `approve {approval.model} v{approval.version}` stays open: Prefect does not answer ({error})")


def _filled_form(approval: Approval, tracking: Tracking) -> ApprovalForm:
    """The form as a person filled it in; raises Prefect's Pause the first time, which suspends the flow run."""
    left = (datetime.fromisoformat(approval.until) - datetime.now(UTC)).total_seconds()
    text = _question_text(approval, tracking)
    if this_run.run_count <= 1:
        create_markdown_artifact(
            text, key=f"approval-{approval.model}", description=f"approve {approval.model} v{approval.version}?"
        )
    form = ApprovalForm.with_initial_data(description=text)
    return suspend_flow_run(wait_for_input=form, timeout=int(max(left, LEAST_SECONDS)), key="answer")


def _question_text(approval: Approval, tracking: Tracking) -> str:
    link = tracking.page_of(approval.model, approval.run_id, REPORT, tracking.home.locate_page(approval.report))
    champion = f"version {approval.against}" if approval.against else "no champion yet"
    return (
        f"# {approval.model}: shall version {approval.version} be `{approval.alias}`?\n\n"
        f"The gate's verdict is **PROMOTE** ({approval.rule}); champion now: {champion}.\n\n"
        f"[Report with all the evidence]({link})\n\n"
        f"Without an answer until {approval.until[:16].replace('T', ' ')} UTC it is not promoted. "
        f"From a terminal: `tunekeeper promote CONFIG --version {approval.version}`.\n"
    )
