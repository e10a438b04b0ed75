"""The notice of a run that failed or waits: in the log, as an artifact, and to people through a Prefect notification block."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import get_client

from configs.credentials import without_credentials
from configs.errors import InputError
from tasks.common.home import find_home, settle_environment
from tasks.common.orchestration import create_markdown_artifact, flow
from tasks.context import open_ledger
from tasks.ledger import approvals
from tasks.ledger.retrain_history import waited_before
from tasks.tracking.client import Tracking
from tasks.tracking.registry import Registry

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

WAITING = "Waiting"  # the name of a flow run's state, as of a request (tasks/ledger/retrain_history.py)


@flow(name="notice", flow_run_name="notice of {pipeline}")
def notice(pipeline: str, run: str) -> str:
    """Say that a run failed or waits: in the log, as an artifact, and through the notification block that TUNEKEEPER_NOTIFY names.

    A run that waits for the same reason as the run before it goes to the log and the artifact alone. The notice carries no tag of
    the pipeline, or a notice that fails would cause another.
    """
    with get_client(sync_client=True) as client:
        ended = client.read_flow_run(UUID(run.rpartition(".")[2]))
        page = client.api_url.host
    sentence = without_credentials(_approval_sentence(pipeline, ended.parameters) or _failure_sentence(ended))
    get_run_logger().error("%s: %s", pipeline, sentence)
    create_markdown_artifact(f"**{pipeline}**: {sentence}\n\nFlow run `{ended.id}` on {page}.", key=f"notice-{pipeline}")
    if (block := os.environ.get("TUNEKEEPER_NOTIFY")) and not _was_notified(pipeline, ended):
        _send_notification(block, f"tunekeeper: {pipeline}", sentence)
    return sentence


def _was_notified(pipeline: str, run: FlowRun) -> bool:
    """Whether a run waits for the same reason as the run before it, of which people were notified."""
    if run.state is None or run.state.name != WAITING:
        return False
    home = find_home()
    settle_environment(home)
    return waited_before(open_ledger(home), pipeline)


def _failure_sentence(run: FlowRun) -> str:
    state = run.state
    return f"{run.name} ended as {state.name if state else 'unknown'}: {(state.message if state else '') or 'see its log'}"


def _approval_sentence(pipeline: str, parameters: dict[str, Any]) -> str | None:
    """The state of an approval whose form was not filled in, as a sentence; None for runs that are no approval."""
    home = find_home()
    settle_environment(home)
    ledger = open_ledger(home)
    approval = approvals.find_approval(ledger, pipeline, parameters["decision"]) if "decision" in parameters else None
    if approval is None:
        return None
    now = approvals.approval_state(ledger, Registry(Tracking(home, may_begin=False), approval.alias), approval)
    return approvals.write_approval(ledger, now).sentence


def _send_notification(name: str, subject: str, text: str) -> None:
    """Send through a Prefect notification block, TYPE/NAME."""
    from prefect.blocks.abstract import NotificationBlock
    from prefect.blocks.core import Block

    block = Block.load(name)
    if not isinstance(block, NotificationBlock):
        raise InputError(f"TUNEKEEPER_NOTIFY={name} is no notification block: name one as TYPE/NAME, such as slack-webhook/ops")
    block.notify(text, subject=subject)  # type: ignore[unused-coroutine]  # Prefect runs it where nothing awaits
