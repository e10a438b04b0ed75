"""Adopt a model that was fine-tuned elsewhere: check > prepare > keep > evaluate > register > ledger; a person's move."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.context import TagsContext

from configs.errors import InputError
from configs.schema import Pipeline
from flows.approve import close_form
from flows.cli.promote import moved_outcome, settle_questions
from flows.judge import score_version
from flows.stages import BackgroundResults, Challenger, Run, close_on_error, prepare_snapshot, start_background
from tasks import adopt as face
from tasks import assets, decide, evaluate, prepare, publish_report, reference, release, snapshots
from tasks.collect.run import Findings
from tasks.common.home import find_home, settle_environment
from tasks.common.orchestration import flow
from tasks.common.processes import helper_process
from tasks.common.terminal import print_notice
from tasks.context import PipelineContext, TrainingRun, open_context
from tasks.describe_run import describe_run
from tasks.evaluate import AllScores
from tasks.identity.keys import json_sha256
from tasks.ledger.decisions import NewDecision, record_decision
from tasks.ledger.pipeline_lock import hold_pipeline
from tasks.ledger.promotions import Move, PromotionEvidence, PromotionRequest, ledger_history, reconcile_alias
from tasks.ledger.promotions import adopt_version as adopt_version
from tasks.ledger.retrain_requests import RetrainCause, RetrainRequest
from tasks.opponent import ADOPTED
from tasks.snapshots import PreparedSnapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.learning.finetuned import FinetunedModel
    from tasks.ledger.replay import Entry

UNSEEN = "fine-tuned elsewhere: whether it has seen the test rows is not known"
NO_PART = frozenset({"adapter", "objective", "training", "gate"})  # settings that an adopted model does not come from


@dataclass(frozen=True)
class Adoption:
    """The request to make the model of `folder` the champion; `key` names it, `replaces` is the champion now."""

    folder: Path
    model: FinetunedModel
    key: str
    who: str
    reason: str
    replaces: str | None

    @property
    def why(self) -> str:
        """The reason that the ledger keeps."""
        return f"{self.reason} ({UNSEEN})" if self.reason else UNSEEN


@flow(name="adopt", flow_run_name="adopt {pipeline.name}")
def adopt(pipeline: Pipeline, folder: str, reason: str, who: str) -> dict[str, Any]:
    """Make the model of a folder a version of the pipeline, and the champion; one that stands is replaced for a reason only."""
    from tasks.learning.finetuned import read_finetuned

    home = find_home()
    settle_environment(home)
    model_settings = pipeline.model
    model = read_finetuned(
        Path(folder), pipeline.problem, model_settings.max_length, model_settings.target_tokenizer, model_settings.language_codes
    )
    context, key = open_context(pipeline, home), face.adoption_key(pipeline, model)
    ledger = context.ledger
    with hold_pipeline(home.path, pipeline.name, print_notice, ledger=ledger) as hold, TagsContext():
        settled = reconcile_alias(ledger, context.registry, pipeline.name)
        known = _earlier_outcome(context, key, settled.champion)
        if known is not None:
            return known | {"report": str(home.locate_page(known["report"]))}
        replaces = _champion_to_replace(ledger_history(ledger, pipeline.name), key, settled.champion)
        if replaces is not None and not reason.strip():
            raise InputError(
                f"{pipeline.name} has a champion, version {replaces}: to adopt another model in its place, say why with --reason"
            )
        if replaces is not None:
            release.check_problem(pipeline, replaces, release.champion_folder(context.tracking, home, pipeline.name, replaces))
        prepare.clear_leftovers(home)
        turn = RetrainRequest(ledger, pipeline.name, RetrainCause("person"))
        turn.hold = hold
        records = (context.tracking, context.registry, ledger)
        run = Run(pipeline, home, *records, prepare.read_inputs(pipeline, home), turn, notices=[*settled.notices])
        return _run_adoption(run, Adoption(Path(folder), model, key, who, reason, replaces))


def _earlier_outcome(context: PipelineContext, key: str, champion: str | None) -> dict[str, Any] | None:
    """The outcome of the adoption that made this model the live champion; InputError where it is a version, and no champion."""
    name = context.pipeline.name
    earlier = face.adopted_before(context.ledger, name, key)
    version = earlier.payload["model"]["version"] if earlier else None
    if earlier is None or version not in context.registry.versions(name):
        return None
    when = f"this model is {name} version {version}, adopted {earlier.at[:10]}"
    if version != champion:
        raise InputError(
            f"{when}: it is not adopted twice. Make it champion again: tunekeeper promote CONFIG --version {version} --reason WHY"
        )
    notice = f"{when}, and the champion: it is not adopted twice"
    print_notice(notice)
    return {**earlier.payload, "fresh": False, "notices": [notice]}


def _champion_to_replace(entries: Sequence[Entry], key: str, champion: str | None) -> str | None:
    """The champion to replace; the one before it, where this adoption moved the alias already and was then killed."""
    mine = [row for row in entries if row.state == "applied" and row.kind == ADOPTED and row.train_key == key]
    return mine[-1].from_version if mine and mine[-1].to_version == champion else champion


def _run_adoption(run: Run, adoption: Adoption) -> dict[str, Any]:
    """Prepare as a retrain does, then keep, store and judge the model; each step finds what an interrupted run left behind."""
    pipeline, tracking = run.pipeline, run.tracking
    with prepare.temporary_folder(run.home), closing(helper_process()) as side, closing(release.Reload()) as reload:
        prepared = snapshots.known_snapshot(run.home, run.inputs.key) or prepare_snapshot(run, side)
        if pipeline.facts.has_labels:
            known = snapshots.open_snapshot(run.home, prepared.snapshot).manifest["labels"]
            face.check_labels(adoption.folder, adoption.model.labels, known)
        tags = {"pipeline": pipeline.name, "snapshot": prepared.snapshot, "adopted": str(adoption.folder)}
        name = f"{pipeline.name}-adopted-{adoption.model.base.digest[:8]}"
        run_id = tracking.open_run(pipeline.name, adoption.key, name, tags, "tunekeeper adopt")
        with close_on_error(tracking, run_id):
            describe_run(pipeline, run.home, tracking, prepared, run_id, NO_PART)
            with run.stage("pack") as facts:
                base, trained = face.keep_network(pipeline, run.home, tracking, adoption.model, adoption.key)
                training = TrainingRun(base, prepared.snapshot, adoption.key, run_id)
                packed = release.pack_model(pipeline, run.home, tracking, training, trained, reload)
                facts["note"] = "stored; a fresh process loads it"
            return _judge_adopted(
                run, adoption, prepared, Challenger(training, trained, packed), start_background(run, prepared, side), reload
            )


def _judge_adopted(
    run: Run,
    adoption: Adoption,
    prepared: PreparedSnapshot,
    adopted: Challenger,
    background: BackgroundResults,
    reload: release.Reload,
) -> dict[str, Any]:
    """Evaluate > release > report."""
    pipeline, home, tracking, training = run.pipeline, run.home, run.tracking, adopted.run
    with run.stage("evaluate") as facts:
        baselines = evaluate.score_baselines(pipeline, home, run.inputs.base, prepared.snapshot, background.lexical)
        load = partial(evaluate.network_of, adopted.trained, training.base.path)
        own = evaluate.evaluate(pipeline, home, prepared.snapshot, adoption.key, load, "adopted")
        scores = AllScores(own, score_version(run, prepared.snapshot, adoption.replaces, "champion"), None, baselines)
        facts["note"] = publish_report.in_short(pipeline, own)
    word = f"Adopted by {adoption.who}, without a verdict of the gate: {adoption.reason or 'no reason given'}."
    account = decide.describe_adopted(pipeline, scores, word)
    with run.stage("release") as facts:
        scored = reference.ScoredModel(adopted.trained, own, None, background.text_stats)  # its points are its own base's
        reference.write_reference(pipeline, home, tracking, training, scored)
        version, move, decision = _release_adopted(run, adoption, prepared, adopted.packed, training.run_id, reload)
        facts["note"] = f"{pipeline.name} version {version}"
    findings = Findings(
        pipeline, prepared, training, adopted.trained, scores, account, decision, adopted.packed.uri, version, adoption.replaces,
        run.seconds, (*run.notices, *move.notices), "tunekeeper history CONFIG", adopted=True,
    )  # fmt: skip
    outcome = publish_report.publish_report(findings, home, tracking) | {"training_seconds": None, "peak_memory_bytes": None}
    assets.link_assets(pipeline.name, prepared.snapshot, version, pipeline.release.alias)
    for question in settle_questions(run):
        close_form(question)
    tracking.close_run(training.run_id)
    outcome |= moved_outcome(pipeline, move, (*run.notices, *move.notices))
    new = NewDecision(
        pipeline.name, decision, prepared.rows["test"], adoption.replaces, ADOPTED, training.run_id, outcome, adoption.key, look=0
    )
    record_decision(run.ledger, new)
    return outcome


def _release_adopted(
    run: Run, adoption: Adoption, prepared: PreparedSnapshot, packed: release.PackedModel, run_id: str, reload: release.Reload
) -> tuple[str, Move, str]:
    """Register the model once a fresh process answers alike, and move the alias; returns version, move and decision-key."""
    pipeline, tracking = run.pipeline, run.tracking
    tags = {"train_key": adoption.key, "verdict": ADOPTED, "base": adoption.model.base.digest, "tested_on": prepared.snapshot}
    run.turn.check()
    version = release.register_model(pipeline, tracking, packed, run_id, reload, tags)
    # Without the test rows: an adoption is one decision, whatever they are.
    decision = json_sha256({"adopted": adoption.key, "version": version, "replaces": adoption.replaces})
    tracking.tag_version(pipeline.name, version, {"decision_key": decision})
    evidence = PromotionEvidence(run_id=run_id, train_key=adoption.key, decision_key=decision)
    request = PromotionRequest(version, adoption.replaces, evidence, adoption.who, adoption.why)
    move = adopt_version(run.ledger, run.registry, pipeline.name, request)
    return version, move, decision
