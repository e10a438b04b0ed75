"""Judge a trained challenger: evaluate > decide > release > report."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from flows import approve
from flows.stages import BackgroundResults, Challenger, Run
from tasks import assets, compare_answers, decide, evaluate, publish_report, reference, release
from tasks.collect.run import Findings
from tasks.common.terminal import print_notice
from tasks.evaluate import AllScores
from tasks.gate.evidence import Verdict
from tasks.identity.keys import decision_key
from tasks.ledger.decisions import NewDecision, check_look, look_number, record_decision
from tasks.ledger.promotions import MACHINE, PromotionEvidence, PromotionRequest, WithdrawnError, champion_entry, promote
from tasks.opponent import Opponent, seen_in_training
from tasks.snapshots import PreparedSnapshot

if TYPE_CHECKING:
    pass


def judge_challenger(
    run: Run,
    prepared: PreparedSnapshot,
    against: Opponent,
    challenger: Challenger,
    background: BackgroundResults,
    reload: release.Reload,
) -> dict[str, Any]:
    """Evaluate > decide > release > report, against one champion."""
    training, trained = challenger.run, challenger.trained
    with run.stage("evaluate") as facts:
        scores = _scores(run, against, challenger, background)
        facts["note"] = publish_report.in_short(run.pipeline, scores.challenger)
    with run.stage("decide") as facts:
        verdict = _decide(run, prepared, against, scores)
        facts["note"] = verdict.verdict
    key = decision_key(run.pipeline, training.key, prepared.rows["test"], against.version)
    with run.stage("release") as facts:
        scored = reference.ScoredModel(trained, scores.challenger, scores.baselines, background.text_stats)
        reference.write_reference(run.pipeline, run.home, run.tracking, training, scored)
        version, verdict = _release(run, against, challenger, reload, verdict, key)
        facts["note"] = f"{run.pipeline.name} version {version}"
    waits = _waits_for_approval(run, against, version, verdict)
    findings = Findings(
        run.pipeline, prepared, training, trained, scores, verdict, key, challenger.packed.uri, version, against.version,
        run.seconds, tuple(run.notices), _next_command(run, verdict, version if waits else None),
    )  # fmt: skip
    outcome = publish_report.publish_report(findings, run.home, run.tracking)
    alias = run.pipeline.release.alias if run.registry.champion(run.pipeline.name) == version else None
    assets.link_assets(run.pipeline.name, prepared.snapshot, version, alias)
    if waits:
        approval = approve.ask_person(run, version, against.version, training, key, outcome["report"])
        outcome |= approval.account
    run.tracking.close_run(training.run_id)
    decision = NewDecision(
        run.pipeline.name, key, prepared.rows["test"], against.version, verdict.verdict, training.run_id, outcome, training.key,
        verdict.look,
    )  # fmt: skip
    record_decision(run.ledger, decision)  # last of all: a run that finds it has nothing left to do
    return outcome


def _waits_for_approval(run: Run, against: Opponent, version: str, verdict: Verdict) -> bool:
    """Whether a promotion is a person's to make."""
    return run.pipeline.release.approval == "manual" and verdict.verdict == "PROMOTE" and version != against.champion


def _scores(run: Run, against: Opponent, challenger: Challenger, background: BackgroundResults) -> AllScores:
    """Score all models on the same test rows; the baselines first, while the process that fits the last has a core to itself."""
    pipeline, home, training = run.pipeline, run.home, challenger.run
    baselines = evaluate.score_baselines(pipeline, home, training.base, training.snapshot, background.lexical)
    load = cache(partial(evaluate.network_of, challenger.trained, training.base.path))
    own = evaluate.evaluate(pipeline, home, training.snapshot, training.key, load, "challenger")
    fit = evaluate.evaluate_fit(pipeline, home, training.snapshot, training.key, load)
    champion, anchor = (score_version(run, training.snapshot, version, role) for version, role in (
        (against.version, "champion"), (against.anchor, "anchor"),
    ))  # fmt: skip
    compared = compare_answers.compare_answers(pipeline, home, training, own, champion)
    for notice in compared.notices:
        print_notice(notice)
    run.notices.extend(compared.notices)
    return AllScores(own, champion, anchor, baselines, fit, compared)


def score_version(run: Run, snapshot: str, version: str | None, role: str) -> evaluate.StoredScores | None:
    """The scores of a registered version on a snapshot's test rows; None where there is no version."""
    if version is None:
        return None
    name = run.pipeline.name
    key = run.tracking.version_tags(name, version).get("train_key", f"{name} {version}")
    load = partial(release.champion_network, run.tracking, run.home, name, version)
    return evaluate.evaluate(run.pipeline, run.home, snapshot, key, load, role)


def _decide(run: Run, prepared: PreparedSnapshot, against: Opponent, scores: AllScores) -> Verdict:
    """The gate's verdict, on rows that are fair to both models."""
    pipeline, home, tracking = run.pipeline, run.home, run.tracking
    training_rows = [seen_in_training(home, tracking, prepared.snapshot, "")]
    if against.version is not None and "snapshot" in against.tags:
        training_rows.append(seen_in_training(home, tracking, against.tags["snapshot"], against.tags["run_id"]))
    fair = decide.fair_rows(pipeline, home, prepared.snapshot, training_rows)
    alike = decide.asked_alike(pipeline, home, tracking, prepared.snapshot, [v for v in (against.version, against.anchor) if v])
    if not alike.all():
        run.notices.append(
            f"{(~alike).sum():,} test rows are left out of the comparison: their completions hold placeholders, which an earlier "
            "version was trained to write with tags and this one without"
        )
    look = look_number(run.ledger, pipeline.name)
    versions = {"champion": against.version, "anchor": against.anchor}
    labels = {
        role: release.labels_of(tracking, home, pipeline.name, version)
        for role, version in versions.items()
        if version is not None and pipeline.facts.has_labels
    }
    return decide.decide(pipeline, scores, fair & alike, look, labels)


def _release(
    run: Run, against: Opponent, challenger: Challenger, reload: release.Reload, verdict: Verdict, key: str
) -> tuple[str, Verdict]:
    """Register the challenger under any verdict; move the alias only on PROMOTE, and never to a version that was rolled back."""
    pipeline, tracking, training = run.pipeline, run.tracking, challenger.run
    tags = {"train_key": training.key, "snapshot": training.snapshot, "verdict": verdict.verdict, "base": training.base.digest}
    run.turn.check()  # hours may have passed
    version = release.register_model(pipeline, tracking, challenger.packed, training.run_id, reload, tags)
    tracking.tag_version(pipeline.name, version, {"verdict": verdict.verdict, "decision_key": key})
    if verdict.verdict != "PROMOTE" or version == against.champion:
        return version, verdict
    if _waits_for_approval(run, against, version, verdict) and version not in champion_entry(run.ledger, pipeline.name).withdrawn:
        return version, verdict
    check_look(run.ledger, pipeline.name, verdict.look)
    evidence = PromotionEvidence(verdict.verdict, pipeline.gate.rule_against(against.version), training.run_id, training.key, key)
    try:
        request = PromotionRequest(version, against.version, evidence, MACHINE)
        move = promote(run.ledger, run.registry, pipeline.name, request)
    except WithdrawnError as error:
        return version, replace(verdict, verdict="HOLD", reasons=(str(error), *verdict.reasons))
    run.notices.extend(move.notices)
    return version, verdict


def _next_command(run: Run, verdict: Verdict, waiting: str | None) -> str:
    """The next command for a person; `waiting` is the version that only a person may promote."""
    if waiting is not None:
        return f"tunekeeper promote CONFIG --version {waiting}"
    if verdict.verdict == "PROMOTE":
        served = f"models:/{run.pipeline.name}@{run.pipeline.release.alias}"
        return f"{run.home.mlflow_variable}mlflow models serve -m {served} --env-manager local"
    return "tunekeeper history CONFIG" if verdict.verdict == "HOLD" else "tunekeeper retrain CONFIG, once there are more rows"
