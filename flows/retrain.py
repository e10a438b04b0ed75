"""Keep a model: prepare > validate > train > evaluate > decide > release, doing only what was not done before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from prefect.context import TagsContext
from prefect.states import Completed

from configs.errors import ContractError, InfraError
from configs.schema import Pipeline
from flows import approve
from flows.train_remote import train_there
from tasks import (
    assets,
    base_check,
    contract,
    decide,
    evaluate,
    prepare,
    publish_report,
    reference,
    release,
    snapshots,
    train,
    vocabulary,
)
from tasks.collect.run import Findings
from tasks.common.home import Home, find_home, settle_environment
from tasks.common.orchestration import flow
from tasks.common.processes import HelperProcess, helper_process
from tasks.common.terminal import print_notice, stage
from tasks.data.sources import changes
from tasks.describe_run import describe_run
from tasks.gate.evidence import Verdict
from tasks.identity.keys import decision_key
from tasks.ledger.decisions import LookTakenError, check_look, find_decision, look_number, record_decision
from tasks.ledger.promotions import MACHINE, ChampionMovedError, Ledger, PromotionEvidence, WithdrawnError, champion_entry, promote
from tasks.ledger.retrain_requests import RetrainRequest, Trigger, admit_request
from tasks.opponent import Opponent, find_opponent, open_ledger, seen_in_training
from tasks.tracking.client import Registry, Tracking

if TYPE_CHECKING:
    from tasks.learning.fit import Trained


@dataclass
class Run:
    """What the steps of one run share."""

    pipeline: Pipeline
    home: Home
    tracking: Tracking
    ledger: Ledger
    registry: Registry
    inputs: prepare.Inputs
    turn: RetrainRequest
    seconds: dict[str, float] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        with stage(name) as facts:
            yield facts
        self.seconds[name] = facts["seconds"]


@flow(name="retrain", flow_run_name="retrain {pipeline.name}: {why}")
def retrain(pipeline: Pipeline, why: Trigger = "person", asked: datetime | None = None, look: str = "") -> dict[str, Any]:
    """One turn of keeping a model; the outcome is that of `tunekeeper retrain --json`.

    `why` says who asks, and `asked` when: triggers may be turned away (retrain_requests.py), people and the cron never. `look` is
    the name of the look whose alarm asks. Where the data break their contract a person gets the error; a schedule or a trigger ends
    as Waiting, and says for what.
    """
    home = find_home()
    settle_environment(home)
    ledger = open_ledger(home)
    with admit_request(home.path, pipeline, ledger, why, asked, print_notice, look) as turn:
        if turn.refusal is None:
            try:
                # Before each task, Prefect asks its server for a slot of every tag that the task has from its run.
                with TagsContext():
                    outcome = _keep(pipeline, home, ledger, turn)
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


def _keep(pipeline: Pipeline, home: Home, ledger: Ledger, turn: RetrainRequest) -> dict[str, Any]:
    """Do what was not done before, alone with the pipeline."""
    prepare.clear_leftovers(home)
    tracking = Tracking(home)
    run = Run(
        pipeline, home, tracking, ledger, Registry(tracking, pipeline.release.alias), prepare.read_inputs(pipeline, home), turn
    )
    for sentence in prepare.left_out(pipeline):
        print_notice(sentence)
        run.notices.append(sentence)
    turn.saw(changes.digest_of(pipeline, run.inputs.sources))
    prepared = snapshots.known_snapshot(home, run.inputs.key)
    if prepared is not None:
        vocabulary.check_sealed(pipeline, home, tracking, ledger, run.registry, prepared)
    earlier = None if prepared is None else _earlier(run, prepared)
    if earlier is not None:
        return earlier
    _check_base(run)
    with prepare.temporary_folder(home), closing(helper_process()) as side, closing(release.Reload()) as reload:
        if prepared is None:
            prepared = prepare_snapshot(run, side)
            earlier = _earlier(run, prepared)
            if earlier is not None:
                return earlier
        turn.check()
        return _retrain(run, prepared, _challenged(run, prepared), side, reload)


def _check_base(run: Run) -> None:
    """Refuse a base that cannot work with these settings before anything is done with the data."""
    notices = base_check.earlier_notices(run.pipeline, run.home, run.inputs.base)
    if notices is None:
        with run.stage("check") as facts:
            notices = base_check.check_base(run.pipeline, run.home, run.inputs.base)
            facts["note"] = f"{run.pipeline.model.base} fits"
    for notice in notices:
        print_notice(notice)
    run.notices.extend(notices)


def _challenged(run: Run, prepared: snapshots.PreparedSnapshot) -> Opponent:
    """Whom the challenger meets; what was found amiss on the way, and healed, is said once and stands in the report."""
    against = find_opponent(run.pipeline, run.tracking, run.ledger, run.registry, prepared, run.inputs.base)
    for notice in dict.fromkeys(against.notices):
        if notice not in run.notices:
            print_notice(notice)
            run.notices.append(notice)
    return against


def _earlier(run: Run, prepared: snapshots.PreparedSnapshot) -> dict[str, Any] | None:
    """The outcome of the run that decided this very question, if there was one; a promotion taken back since is none."""
    against, name = _challenged(run, prepared), run.pipeline.name
    found = find_decision(run.ledger, name, decision_key(run.pipeline, against.train_key, prepared.rows["test"], against.version))
    if found is None:
        return None
    report, version = str(run.home.locate(found.payload["report"])), found.payload["model"]["version"]
    outcome = {**found.payload, "report": report, "skipped": True}
    asked = approve.open_question(run.ledger, run.registry, name, found.decision_key) if "approval" in outcome else None
    outcome |= asked.account if asked else {}
    if found.verdict == "PROMOTE" and against.champion != version:
        if asked and asked.state != "approved":
            verdict = "PROMOTE" if asked.state == "pending" else "HOLD"
            return outcome | {"verdict": verdict, "reasons": [asked.sentence, *outcome["reasons"]]}
        taken = f"{name} version {version} was promoted by this verdict and taken back since: only a person may promote it again"
        outcome |= {"verdict": "HOLD", "reasons": [f"{taken} (tunekeeper promote, with a reason)", *outcome["reasons"]]}
    return outcome


def prepare_snapshot(run: Run, side: HelperProcess) -> snapshots.PreparedSnapshot:
    """Load > raw contract, labels > candidate > prepared contract, labels > seal."""
    pipeline, home, inputs = run.pipeline, run.home, run.inputs
    for sentence in contract.without_earlier(pipeline, home):
        print_notice(sentence)
        run.notices.append(sentence)
    with prepare.open_source(pipeline, home, inputs) as raw:
        with run.stage("validate") as facts:
            greet = partial(run.registry.champion, pipeline.name)  # a registry that is away is found out now, and MLflow imported
            first = contract.validate(pipeline, home, inputs, raw, "raw", side, greet)
            labels = _check_labels(run, raw, first)
            facts["note"] = f"{first.rows:,} rows, {len(first.warnings)} warnings"
        with run.stage("prepare") as facts:
            candidate = prepare.prepare(pipeline, home, raw, first, labels.refused if labels else {})
            second = contract.validate(pipeline, home, inputs, candidate, "prepared", side, train.warm_up)
            if labels is not None:
                vocabulary.check_prepared(pipeline, candidate, second, labels)
            prepared = prepare.seal_snapshot(pipeline, home, inputs, candidate, (first, second))
            facts["note"] = f"snapshot {prepared.snapshot[:12]}, {len(second.warnings)} warnings"
    return prepared


def _check_labels(run: Run, raw: Any, contract: Any) -> vocabulary.LabelCheck | None:
    """Hold the data's labels against those known before, where they have labels; how they changed is said."""
    if not run.pipeline.facts.has_labels:
        return None
    known = vocabulary.known_labels(run.pipeline, run.home, run.tracking, run.ledger, run.registry)
    checked = vocabulary.check_raw(run.pipeline, run.home, raw, contract, known)
    for notice in checked.notices:
        print_notice(notice)
    run.notices.extend(checked.notices)
    return checked


def _retrain(
    run: Run, prepared: snapshots.PreparedSnapshot, against: Opponent, side: HelperProcess, reload: release.Reload
) -> dict[str, Any]:
    """Train, then judge; each step finds what an interrupted run left behind."""
    pipeline, tracking = run.pipeline, run.tracking
    tags = {"pipeline": pipeline.name, "snapshot": prepared.snapshot}
    run_id = tracking.open_run(
        pipeline.name, against.train_key, f"{pipeline.name}-{against.train_key[:8]}", tags, "tunekeeper retrain"
    )
    with close_on_error(tracking, run_id):
        describe_run(pipeline, run.home, tracking, prepared, run_id)
        # A step waits for the slowest of its threads, one on each core: whoever works beside it holds up all of them.
        helped = None if train.takes_every_core(pipeline) else help_beside(run, prepared, side)
        trained = _train(run, prepared, against, run_id)
        lexical, traits = helped or help_beside(run, prepared, side)
        with run.stage("pack") as facts:
            packed = release.pack_model(pipeline, run.home, tracking, run.inputs.base, prepared.snapshot, trained, run_id, reload)
            facts["note"] = "stored; a fresh process loads it"
        while True:
            try:
                outcome = _judge(run, prepared, against, trained, run_id, lexical, traits, packed, reload)
                break
            except (ChampionMovedError, LookTakenError) as error:
                moved = _challenged(run, prepared)
                if moved.train_key != against.train_key:
                    raise
                print_notice(f"{error}: deciding again")
                against = moved
    return outcome


def help_beside(run: Run, prepared: snapshots.PreparedSnapshot, side: HelperProcess) -> tuple[Any, Any]:
    """The Futures of what judging needs and another process works out: the lexical baselines, and the traits of the reference."""
    lexical = evaluate.lexical_baselines(run.pipeline, run.home, run.inputs.base, prepared.snapshot, side)
    return lexical, reference.begin_text_stats(run.home, prepared.snapshot, side)


@contextmanager
def close_on_error(tracking: Tracking, run_id: str) -> Iterator[None]:
    """Where the block fails, leave the MLflow run as what it became: KILLED by a signal, or FAILED."""
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit) or type(error).__name__ in (
            "StoppedEarlyError",
            "TerminationSignal",
        )
        with suppress(InfraError):  # the error that is on its way says more than that MLflow is away too
            tracking.close_run(run_id, "KILLED" if stopped else "FAILED")
        raise


def _train(run: Run, prepared: snapshots.PreparedSnapshot, against: Opponent, run_id: str) -> Trained:
    pipeline, home, tracking = run.pipeline, run.home, run.tracking
    pool, which = pipeline.training.work_pool, (prepared.snapshot, against.train_key, run_id)
    with run.stage("train") as facts:
        if pool is not None:
            trained = train_there(pipeline, home, tracking, run.inputs.base, *which, against.start, pool)
        else:
            start = release.champion_folder(tracking, home, pipeline.name, against.start) if against.start else None
            trained = train.train(pipeline, home, tracking, run.inputs.base, *which, start)
        if trained.restart:
            run.notices.append(trained.restart[0].upper() + trained.restart[1:])
        how = trained.numerics
        facts["note"] = f"{pipeline.adapter.kind}, {trained.steps} steps in {trained.seconds:.0f} s, {how.dtype} on {how.device}"
    return trained


def _judge(
    run: Run, prepared: snapshots.PreparedSnapshot, against: Opponent, trained: Trained, run_id: str, lexical: Any, traits: Any,
    packed: release.Packed, reload: release.Reload,
) -> dict[str, Any]:  # fmt: skip
    """Evaluate > decide > release > report, against one champion."""
    with run.stage("evaluate") as facts:
        scores = _scores(run, prepared, against, trained, lexical)
        facts["note"] = publish_report.in_short(run.pipeline, scores.challenger)
    with run.stage("decide") as facts:
        verdict = _decide(run, prepared, against, scores)
        facts["note"] = verdict.verdict
    key = decision_key(run.pipeline, against.train_key, prepared.rows["test"], against.version)
    with run.stage("release") as facts:
        reference.write_reference(
            run.pipeline, run.home, run.tracking, run.inputs.base, prepared.snapshot, trained, scores.challenger, scores.baselines,
            traits, run_id,
        )  # fmt: skip
        version, verdict = _release(run, prepared, against, packed, run_id, reload, verdict, key)
        facts["note"] = f"{run.pipeline.name} version {version}"
    found = Findings(
        run.pipeline, run.inputs.base, prepared, trained, scores.challenger, scores.champion, scores.baselines, verdict, run_id,
        packed.uri, version, against.version, (against.train_key, key), run.seconds, tuple(run.notices),
        _next_command(run, verdict, version if _waits(run, against, version, verdict) else None), fit=scores.fit,
    )  # fmt: skip
    outcome = publish_report.publish_report(found, run.home, run.tracking)
    alias = run.pipeline.release.alias if run.registry.champion(run.pipeline.name) == version else None
    assets.link_assets(run.pipeline.name, prepared.snapshot, version, alias)
    if _waits(run, against, version, verdict):
        keys = (key, against.train_key)
        asked = approve.ask_person(
            run.pipeline, run.ledger, run.registry, version, against.version, run_id, keys, outcome["report"]
        )
        outcome |= asked.account
    run.tracking.close_run(run_id)
    record_decision(  # last of all: whoever finds it has nothing left to do
        run.ledger, run.pipeline.name, key, test_rows_hash=prepared.rows["test"], champion_version=against.version,
        verdict=verdict.verdict, run_id=run_id, payload=outcome, train_key=against.train_key, look=verdict.look,
    )  # fmt: skip
    return outcome


def _waits(run: Run, against: Opponent, version: str, verdict: Verdict) -> bool:
    """Whether a promotion is a person's to make."""
    return run.pipeline.release.approval == "manual" and verdict.verdict == "PROMOTE" and version != against.champion


@dataclass(frozen=True)
class AllScores:
    challenger: evaluate.StoredScores
    champion: evaluate.StoredScores | None
    anchor: evaluate.StoredScores | None
    baselines: evaluate.Baselines
    fit: dict[str, dict[str, float]]  # of the challenger, on rows it was trained on


def _scores(run: Run, prepared: snapshots.PreparedSnapshot, against: Opponent, trained: Trained, lexical: Any) -> AllScores:
    """Everybody on the same test rows; the baselines first, while whoever fits the last of them still has a core to himself."""
    pipeline, home, base = run.pipeline, run.home, run.inputs.base
    baselines = evaluate.score_baselines(pipeline, home, base, prepared.snapshot, lexical)
    load = cache(partial(evaluate.network_of, trained, base.path))
    challenger = evaluate.evaluate(pipeline, home, prepared.snapshot, against.train_key, load, "challenger")
    fit = evaluate.evaluate_fit(pipeline, home, prepared.snapshot, against.train_key, load)
    champion, anchor = (score_version(run, prepared, version, who) for version, who in (
        (against.version, "champion"), (against.anchor, "anchor"),
    ))  # fmt: skip
    return AllScores(challenger, champion, anchor, baselines, fit)


def score_version(run: Run, prepared: snapshots.PreparedSnapshot, version: str | None, who: str) -> evaluate.StoredScores | None:
    """A registered version on the snapshot's test rows; None where there is no version."""
    if version is None:
        return None
    name = run.pipeline.name
    key = run.tracking.version_tags(name, version).get("train_key", f"{name} {version}")
    load = partial(release.champion_network, run.tracking, run.home, name, version)
    return evaluate.evaluate(run.pipeline, run.home, prepared.snapshot, key, load, who)


def _decide(run: Run, prepared: snapshots.PreparedSnapshot, against: Opponent, scores: AllScores) -> Verdict:
    """The gate, on rows that are fair to both models."""
    pipeline, home, tracking = run.pipeline, run.home, run.tracking
    seen = [seen_in_training(home, tracking, prepared.snapshot, "")]
    if against.version is not None and "snapshot" in against.tags:
        seen.append(seen_in_training(home, tracking, against.tags["snapshot"], against.tags["run_id"]))
    fair = decide.fair_rows(pipeline, home, prepared.snapshot, seen)
    alike = decide.asked_alike(pipeline, home, tracking, prepared.snapshot, [v for v in (against.version, against.anchor) if v])
    if not alike.all():
        run.notices.append(
            f"{(~alike).sum():,} test rows are left out of the comparison: their completions hold placeholders, which an earlier "
            "version was trained to write with tags and this one without"
        )
    look = look_number(run.ledger, pipeline.name)
    versions = {"champion": against.version, "anchor": against.anchor}
    labels = {
        who: release.labels_of(tracking, home, pipeline.name, version)
        for who, version in versions.items()
        if version is not None and pipeline.facts.has_labels
    }
    return decide.decide(pipeline, scores.challenger, scores.champion, scores.anchor, scores.baselines, fair & alike, look, labels)


def _release(
    run: Run,
    prepared: snapshots.PreparedSnapshot,
    against: Opponent,
    packed: release.Packed,
    run_id: str,
    reload: release.Reload,
    verdict: Verdict,
    key: str,
) -> tuple[str, Verdict]:
    """Register the challenger whatever its verdict; move the alias only on PROMOTE, and never to what was rolled back."""
    pipeline, tracking, base = run.pipeline, run.tracking, run.inputs.base
    tags = {"train_key": against.train_key, "snapshot": prepared.snapshot, "verdict": verdict.verdict, "base": base.digest}
    run.turn.check()  # hours may have passed
    version = release.register_model(pipeline, tracking, packed, run_id, reload, tags)
    tracking.tag_version(pipeline.name, version, {"verdict": verdict.verdict, "decision_key": key})
    if verdict.verdict != "PROMOTE" or version == against.champion:
        return version, verdict
    if _waits(run, against, version, verdict) and version not in champion_entry(run.ledger, pipeline.name).withdrawn:
        return version, verdict
    check_look(run.ledger, pipeline.name, verdict.look)
    evidence = PromotionEvidence(verdict.verdict, pipeline.gate.rule_against(against.version), run_id, against.train_key, key)
    try:
        move = promote(run.ledger, run.registry, pipeline.name, version, expected=against.version, evidence=evidence, who=MACHINE)
    except WithdrawnError as error:
        return version, replace(verdict, verdict="HOLD", reasons=(str(error), *verdict.reasons))
    run.notices.extend(move.notices)
    return version, verdict


def _next_command(run: Run, verdict: Verdict, waiting: str | None) -> str:
    """What a person would do now; `waiting` is the version that only a person may promote."""
    if waiting is not None:
        return f"tunekeeper promote CONFIG --version {waiting}"
    if verdict.verdict == "PROMOTE":
        where = f"MLFLOW_TRACKING_URI={run.home.tracking_uri} " if run.home.tracks_here else ""
        return f"{where}mlflow models serve -m models:/{run.pipeline.name}@{run.pipeline.release.alias} --env-manager local"
    return "tunekeeper history CONFIG" if verdict.verdict == "HOLD" else "tunekeeper retrain CONFIG, once there are more rows"
