"""Keep a model: prepare > validate > train > evaluate > decide > release, doing only what was not done before."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefect.context import TagsContext
from prefect.states import Completed

from configs.errors import ContractError
from configs.schema import Pipeline
from flows import approve
from flows.judge import judge_challenger
from flows.stages import (
    Challenger,
    Run,
    check_base,
    close_on_error,
    meet_opponent,
    prepare_snapshot,
    start_background,
    warn_before_training,
)
from flows.train_remote import train_there
from tasks import contract, prepare, release, snapshots, train, vocabulary
from tasks.common.home import Home, find_home, settle_environment
from tasks.common.orchestration import flow
from tasks.common.processes import HelperProcess, helper_process
from tasks.common.terminal import print_notice
from tasks.context import TrainingRun, open_ledger
from tasks.data.sources import changes
from tasks.describe_run import describe_run
from tasks.identity.keys import decision_key
from tasks.ledger.decisions import LookTakenError, find_decision
from tasks.ledger.promotions import ChampionMovedError, Ledger
from tasks.ledger.retrain_history import Trigger
from tasks.ledger.retrain_requests import RetrainCause, RetrainRequest, admit_request
from tasks.opponent import Opponent
from tasks.snapshots import PreparedSnapshot
from tasks.tracking.client import Tracking
from tasks.tracking.registry import Registry

if TYPE_CHECKING:
    from tasks.learning.fit import TrainingResult


@flow(name="retrain", flow_run_name="retrain {pipeline.name}: {why}")
def retrain(pipeline: Pipeline, why: Trigger = "person", asked: datetime | None = None, look: str = "") -> dict[str, Any]:
    """Retrain a model where something changed; the outcome is that of `tunekeeper retrain --json`.

    `why` is the trigger, and `asked` its time: triggers may be turned away (retrain_requests.py), people and the cron never. `look`
    is the name of the look whose alarm it was. Where the data break their contract a person gets the error; a schedule or a trigger
    ends as Waiting, with the reason.
    """
    home = find_home()
    settle_environment(home)
    ledger = open_ledger(home)
    with admit_request(home.path, pipeline, ledger, RetrainCause(why, asked, look), print_notice) as turn:
        if turn.refusal is None:
            try:
                # Before each task, Prefect asks its server for a slot of every tag that the task has from its run.
                with TagsContext():
                    outcome = _retrain_alone(pipeline, home, ledger, turn)
            except ContractError as error:
                if why == "person":
                    raise
                turn.waits(str(error), contract.contract_settings(pipeline))
            else:
                turn.ended(outcome)
                return outcome
    print_notice(f"{pipeline.name} is not retrained ({turn.state}): {turn.refusal}")
    unneeded: Any = Completed(name=str(turn.state).capitalize(), message=turn.refusal, data=turn.outcome())
    return unneeded  # type: ignore[no-any-return]  # a state is what Prefect shows, its data what a caller gets


def _retrain_alone(pipeline: Pipeline, home: Home, ledger: Ledger, turn: RetrainRequest) -> dict[str, Any]:
    """Do what was not done before, alone with the pipeline."""
    prepare.clear_leftovers(home)
    tracking = Tracking(home)
    registry = Registry(tracking, pipeline.release.alias)
    run = Run(pipeline, home, tracking, registry, ledger, prepare.read_inputs(pipeline, home), turn)
    for sentence in prepare.left_out(pipeline):
        print_notice(sentence)
        run.notices.append(sentence)
    turn.saw(changes.digest_of(pipeline, run.inputs.sources))
    prepared = snapshots.known_snapshot(home, run.inputs.key)
    if prepared is not None:
        vocabulary.check_sealed(run, prepared, run.inputs.redactor)
    earlier = None if prepared is None else _earlier_outcome(run, prepared)
    if earlier is not None:
        return earlier
    check_base(run)
    with prepare.temporary_folder(home), closing(helper_process()) as side, closing(release.Reload()) as reload:
        if prepared is None:
            prepared = prepare_snapshot(run, side)
            earlier = _earlier_outcome(run, prepared)
            if earlier is not None:
                return earlier
        turn.check()
        return _train_and_judge(run, prepared, meet_opponent(run, prepared), side, reload)


def _earlier_outcome(run: Run, prepared: PreparedSnapshot) -> dict[str, Any] | None:
    """The outcome of the run that decided the same question, if there was one: HOLD where its promotion was taken back since."""
    against, name = meet_opponent(run, prepared), run.pipeline.name
    decision = find_decision(
        run.ledger, name, decision_key(run.pipeline, against.train_key, prepared.rows["test"], against.version)
    )
    if decision is None:
        return None
    report, version = str(run.home.locate_page(decision.payload["report"])), decision.payload["model"]["version"]
    outcome = {**decision.payload, "report": report, "skipped": True}
    approval = approve.open_question(run.ledger, run.registry, name, decision.decision_key) if "approval" in outcome else None
    outcome |= approval.account if approval else {}
    if decision.verdict == "PROMOTE" and against.champion != version:
        if approval and approval.state != "approved":
            verdict = "PROMOTE" if approval.state == "pending" else "HOLD"
            return outcome | {"verdict": verdict, "reasons": [approval.sentence, *outcome["reasons"]]}
        reason = f"{name} version {version} was promoted by this verdict and taken back since: only a person may promote it again"
        outcome |= {"verdict": "HOLD", "reasons": [f"{reason} (tunekeeper promote, with a reason)", *outcome["reasons"]]}
    return outcome


def _train_and_judge(
    run: Run, prepared: PreparedSnapshot, against: Opponent, side: HelperProcess, reload: release.Reload
) -> dict[str, Any]:
    """Train, then judge; each step finds what an interrupted run left behind."""
    pipeline, tracking, key = run.pipeline, run.tracking, against.train_key
    tags = {"pipeline": pipeline.name, "snapshot": prepared.snapshot}
    run_id = tracking.open_run(pipeline.name, key, f"{pipeline.name}-{key[:8]}", tags, "tunekeeper retrain")
    training = TrainingRun(run.inputs.base, prepared.snapshot, key, run_id)
    with close_on_error(tracking, run_id):
        describe_run(pipeline, run.home, tracking, prepared, run_id)
        warn_before_training(run, prepared, run_id)
        # A step waits for the slowest of its threads, one on each core: a process beside it holds up all of them.
        background = None if train.takes_every_core(pipeline) else start_background(run, prepared, side)
        trained = _train(run, training, against.start)
        background = background or start_background(run, prepared, side)
        with run.stage("pack") as facts:
            packed = release.pack_model(pipeline, run.home, tracking, training, trained, reload)
            facts["note"] = "stored; a fresh process loads it"
        challenger = Challenger(training, trained, packed)
        while True:
            try:
                outcome = judge_challenger(run, prepared, against, challenger, background, reload)
                break
            except (ChampionMovedError, LookTakenError) as error:
                moved = meet_opponent(run, prepared)
                if moved.train_key != key:
                    raise
                print_notice(f"{error}: deciding again")
                against = moved
    return outcome


def _train(run: Run, training: TrainingRun, start: str | None) -> TrainingResult:
    """Train here, or in the pool that the config names; `start` is the version whose weights the training starts from, if any."""
    pipeline, home, tracking, pool = run.pipeline, run.home, run.tracking, run.pipeline.training.work_pool
    with run.stage("train") as facts:
        if pool is not None:
            trained = train_there(pipeline, home, tracking, training, start, pool)
        else:
            folder = release.champion_folder(tracking, home, pipeline.name, start) if start else None
            trained = train.train(pipeline, home, tracking, training, folder)
        if trained.restart:
            run.notices.append(trained.restart[0].upper() + trained.restart[1:])
        how = trained.numerics
        facts["note"] = f"{pipeline.adapter.kind}, {trained.steps} steps in {trained.seconds:.0f} s, {how.dtype} on {how.device}"
    return trained
