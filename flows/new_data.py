"""A look for new data, which deployments run: it emits an event where the source holds data that no retraining has seen."""

from __future__ import annotations

from prefect import get_run_logger

from configs.schema import Pipeline
from tasks.common.home import find_home, settle_environment
from tasks.common.orchestration import emit_event, flow
from tasks.context import open_ledger
from tasks.contract import contract_settings
from tasks.data.sources import changes
from tasks.ledger.pipeline_lock import StillHeldError, hold_pipeline
from tasks.ledger.retrain_history import fail_dead_requests, last_seen, waits_under
from tasks.ledger.retrain_requests import refusal_of

NEW_DATA = "tunekeeper.new-data"


@flow(name="watch", flow_run_name="new data for {pipeline.name}?")
def watch(pipeline: Pipeline) -> str:
    """Emit `tunekeeper.new-data` where the source holds data that no run has read, and a retraining would not be refused now.

    It compares with what runs read, not with its own last look: an event that is refused, dropped or killed is emitted again. A run
    that waits, because the data broke their contract, has read them; under another contract they are new.
    """
    home = find_home()
    settle_environment(home)
    ledger, logger = open_ledger(home), get_run_logger()
    try:
        with hold_pipeline(home.path, pipeline.name, lambda _: None, timeout=0, ledger=ledger):
            fail_dead_requests(ledger, pipeline.name)
            last_digest, contract = last_seen(ledger, pipeline.name), waits_under(ledger, pipeline.name)
    except StillHeldError:
        logger.info("a run of %s is under way: the next look will tell whether it saw all", pipeline.name)
        return "busy"
    digest = changes.digest_now(pipeline, home)
    if digest == last_digest and contract in (None, contract_settings(pipeline)):
        return "nothing new"
    if reason := refusal_of(ledger, pipeline):
        logger.info("new data, but %s", reason)
        return "refused"
    emit_event(
        NEW_DATA,
        resource={"prefect.resource.id": f"tunekeeper.pipeline.{pipeline.name}", "prefect.resource.name": pipeline.name},
        payload={"pipeline": pipeline.name, "sources": digest},
    )
    return "new data"
