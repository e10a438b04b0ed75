"""The train task alone, on a worker of another pool: sent there as references, waited for, its result checked and taken in."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Crashed, Failed

from configs.errors import InfraError, InputError
from configs.schema import Pipeline
from flows.deploy.deployments import DeploymentSpec, apply_deployment
from tasks import remote_training, train
from tasks.common.home import Home, find_home, settle_environment
from tasks.common.orchestration import flow
from tasks.common.terminal import print_notice
from tasks.context import TrainingRun
from tasks.remote_training import RemoteJob
from tasks.tracking.client import Tracking

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

    from tasks.learning.fit import TrainingResult

POLL_SECONDS = 2.0
SILENT_SECONDS = 120.0  # a machine that trains sends a beat every ten
ATTEMPTS = 3  # of one run on machines that die; each goes on where the one before it stopped
AT_FAULT = "InputAtFault"  # the name of a state: this input cannot be trained, on any machine
FLOW_RUN = "elsewhere.flow_run"  # a tag of the MLflow run


@flow(name="train-elsewhere")
def train_elsewhere(order: dict[str, Any]) -> State[Any]:
    """Do the training of an order, with nothing but the addresses of MLflow and Prefect, and a home of this machine's own."""
    home = find_home()
    settle_environment(home)
    try:
        returned = remote_training.train_order(RemoteJob(**order), home, Tracking(home))
    except InputError as error:
        return Failed(name=AT_FAULT, message=str(error))
    return Completed(message=f"the result is in run {order['run_id']}", data={"returned": returned})


def pool_job(pool: str) -> DeploymentSpec:
    """The deployment of a pool that trains; its workers need no folder of the project, only its packages."""
    return DeploymentSpec(
        entrypoint="flows.train_remote.train_elsewhere",
        name=pool,
        pool=pool,
        tags=("tunekeeper",),
        description=f"Trains where training.work_pool is {pool}; its workers need MLFLOW_TRACKING_URI and PREFECT_API_URL.",
    )


def train_there(
    pipeline: Pipeline, home: Home, tracking: Tracking, run: TrainingRun, start: str | None, pool: str
) -> TrainingResult:
    """Train this key on a worker of `pool`, or take the training over where it is done, or under way, already.

    A run that ends while it waits leaves the training alone: the next one finds it. Where the other machine dies, a worker of the
    pool goes on from its last checkpoint there. Raises InputError where this input cannot be trained.
    """
    run_id = run.run_id
    done = remote_training.collect_result(home, tracking, run.key, run_id)
    if done is None:
        job = remote_training.write_order(pipeline, home, tracking, run, start)
        with get_client(sync_client=True) as client:
            for _ in range(ATTEMPTS):
                flow_run = _find_or_create_run(client, job, tracking, pipeline.name, pool)
                if _wait_until_completed(client, flow_run, tracking, run_id, pool):
                    break
        done = remote_training.collect_result(home, tracking, run.key, run_id)
    if done is None:
        raise InfraError(
            f"pool {pool} left no trained model in run {run_id}, tried {ATTEMPTS} times at most: see its workers' logs"
        )
    train.record_training(tracking, run_id, done)
    return done


def _find_or_create_run(client: SyncPrefectClient, job: RemoteJob, tracking: Tracking, name: str, pool: str) -> FlowRun:
    """The flow run that trains this job: the one under way, else a new one; repeated calls make no second one."""
    last = tracking.tags(job.run_id).get(FLOW_RUN)
    run = _read_run(client, last)
    if run is not None and run.state is not None and not run.state.is_final():
        print_notice(f"going on with the training that flow run {run.name} does in pool {pool}")
        return run
    deployment = apply_deployment(client, pool_job(pool))
    run = client.create_flow_run_from_deployment(
        deployment,
        name=f"train {name} {job.key[:8]}",
        parameters={"order": asdict(job)},
        tags=["tunekeeper", name],
        idempotency_key=f"{job.run_id}-after-{last or 'none'}",
    )
    tracking.tag(job.run_id, {FLOW_RUN: str(run.id)})
    print_notice(f"training goes to pool {pool}: flow run {run.name}")
    return run


def _wait_until_completed(client: SyncPrefectClient, run: FlowRun, tracking: Tracking, run_id: str, pool: str) -> bool:
    """Wait for its end; False where it died, which its missing beat in the MLflow run shows: its state in Prefect does not."""
    beat, heard, notified = "", time.monotonic(), False
    while True:
        state = run.state
        if state is None or state.is_scheduled() or state.is_pending():
            heard = time.monotonic()
            if not notified:
                print_notice(
                    f"no worker of pool {pool} has taken it yet: `prefect worker start --pool {pool} --type process` starts one"
                )
            notified = True
        elif state.is_completed():
            return True
        elif state.is_crashed():
            print_notice(f"flow run {run.name} in pool {pool} crashed: {state.message}")
            return False
        elif state.is_final():
            _raise_failure(state, run, pool)
        elif (now := remote_training.touch_run(tracking, run_id)) != beat:
            beat, heard = now, time.monotonic()
        elif time.monotonic() - heard > SILENT_SECONDS:
            silent = f"its machine has been silent for {SILENT_SECONDS:.0f} s, and is taken for dead"
            client.set_flow_run_state(run.id, Crashed(message=silent), force=True)
        time.sleep(POLL_SECONDS)
        run = client.read_flow_run(run.id)


def _raise_failure(state: State[object], run: FlowRun, pool: str) -> None:
    if state.name == AT_FAULT:
        raise InputError(str(state.message))
    raise InfraError(
        f"training in pool {pool} ended as {state.name} (flow run {run.name}): {state.message or 'see its log'}; run again to go on"
    )


def _read_run(client: SyncPrefectClient, id: str | None) -> FlowRun | None:
    if id is None:
        return None
    try:
        return client.read_flow_run(UUID(id))
    except ObjectNotFound:
        return None
