"""Promote a model by hand, or roll it back."""

from __future__ import annotations

import getpass
from dataclasses import replace
from pathlib import Path

from configs.errors import InputError
from configs.schema import Pipeline
from flows.local.server import prefect_if_up
from tasks.common.home import find_home, settle_environment
from tasks.common.terminal import print_closing, print_notice
from tasks.context import PipelineContext, open_context
from tasks.ledger import approvals
from tasks.ledger.approvals import Approval
from tasks.ledger.decisions import find_decision
from tasks.ledger.promotions import (
    MACHINE,
    Entry,
    Ledger,
    Move,
    PromotionEvidence,
    PromotionRequest,
    RollbackRequest,
    champion_entry,
    promote,
    reconcile_alias,
    rollback,
    version_text,
)
from tasks.opponent import ADOPTED
from tasks.tracking.registry import Registry


def promote_by_hand(pipeline: Pipeline, config: Path, version: str, reason: str, person: str | None) -> dict[str, object]:
    """Make a version the champion: as its decision says, or by force, for which the ledger wants a reason."""
    author, name = person_named(person), pipeline.name
    context = open_records(pipeline)
    tracking, ledger, registry = context.tracking, context.ledger, context.registry
    settled = reconcile_alias(ledger, registry, name)
    if version not in registry.versions(name):
        raise InputError(f"{name} has no version {version}: `tunekeeper history CONFIG` and MLflow's registry list them")
    if version == settled.champion:
        raise InputError(f"{name} {version} is the champion already: nothing to promote")
    tags = tracking.version_tags(name, version)
    keys = {key: tags.get(key) for key in ("verdict", "train_key", "decision_key", "run_id")}
    evidence = PromotionEvidence(**keys)
    objection = _objection(ledger, registry, name, version, evidence, settled.champion)
    if objection is None:  # else it won nothing against this champion, and is no anchor
        evidence = replace(evidence, rule=pipeline.gate.rule_against(settled.champion))
    if objection and not reason:
        raise InputError(f"{objection}. To promote {name} {version} all the same, say why with --reason")
    request = PromotionRequest(version, settled.champion, evidence, author, reason, force=objection is not None)
    move = promote(ledger, registry, name, request)
    _close_questions(context, move.entry)
    return _report_move(pipeline, config, move, (*settled.notices, *move.notices))


def _objection(
    ledger: Ledger, registry: Registry, model: str, version: str, evidence: PromotionEvidence, champion: str | None
) -> str | None:
    """Why a version's decision does not allow its promotion now, which only force overrides; None where it does."""
    if evidence.verdict == ADOPTED:
        return f"{model} {version} was adopted: no gate has compared it with a champion"
    if evidence.verdict != "PROMOTE":
        return f"{model} {version} has the verdict {evidence.verdict}"
    key = evidence.decision_key or ""
    decision, approval = find_decision(ledger, model, key), approvals.find_approval(ledger, model, key)
    if decision is None:
        return f"{model} {version} was not decided on to the end (`tunekeeper retrain CONFIG` does that)"
    if version in champion_entry(ledger, model).withdrawn:
        return f"{model} {version} was taken back (see `tunekeeper history CONFIG`)"
    if approval and (now := approvals.approval_state(ledger, registry, approval)).state in ("rejected", "superseded", "stale"):
        return now.sentence
    if decision.champion_version != champion:
        opponent = version_text(decision.champion_version)
        return f"{model} {version} was compared with champion {opponent}, but the champion is {version_text(champion)} now"
    return None


def roll_back(pipeline: Pipeline, config: Path, to: str | None, reason: str, person: str | None) -> dict[str, object]:
    """Go back to the champion before this one, or to version `to`."""
    author = person_named(person)
    context = open_records(pipeline)
    ledger, registry = context.ledger, context.registry
    settled = reconcile_alias(ledger, registry, pipeline.name)
    force = bool(reason) and to in champion_entry(ledger, pipeline.name).withdrawn
    request = RollbackRequest(author, to, left=settled.champion, reason=reason, force=force)
    move = rollback(ledger, registry, pipeline.name, request)
    _close_questions(context, move.entry)
    return _report_move(pipeline, config, move, (*settled.notices, *move.notices))


def person_named(person: str | None) -> str:
    """The name that the ledger keeps: `person`, else the user of this process, where that is a person."""
    try:
        name = person or getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as containers have
        name = MACHINE
    if name == MACHINE:
        raise InputError(f"the ledger keeps who did this, and `{MACHINE}` is what it calls the machine: add --who and your name")
    return name


def open_records(pipeline: Pipeline) -> PipelineContext:
    """A pipeline with the records of this machine's home."""
    home = find_home()
    settle_environment(home)
    return open_context(pipeline, home, may_begin=False)


def settle_questions(context: PipelineContext) -> tuple[Approval, ...]:
    """Store which questions a move has closed, and return them: their forms must be closed too."""
    name = context.pipeline.name
    closed = approvals.settle_approvals(context.ledger, context.registry, name)
    for question in closed:
        context.tracking.tag_version(name, question.version, question.tags)
    return closed


def _close_questions(context: PipelineContext, entry: Entry) -> None:
    """Store which questions this move has closed; where Prefect runs, close their forms and link the alias."""
    pipeline, closed = context.pipeline, settle_questions(context)
    with prefect_if_up(context.home) as up:
        if not up:
            return
        from flows.approve import close_form
        from tasks import assets

        for question in closed:
            close_form(question)
        try:
            assets.record_alias(pipeline.name, str(entry.to_version), pipeline.release.alias)
        except Exception as error:  # noqa: BLE001  (whatever Prefect's client raises: the alias is moved, and that is what counts)
            print_notice(f"Prefect's assets do not show it: its server does not answer ({error})")


def _report_move(pipeline: Pipeline, config: Path, move: Move, notices: tuple[str, ...]) -> dict[str, object]:
    entry = move.entry
    for notice in notices:
        print_notice(notice)
    title = (
        f"{pipeline.name}@{pipeline.release.alias} is version {entry.to_version} (was {entry.from_version}), epoch {entry.epoch}"
    )
    print_closing(title, "green", (), (), (f"next: tunekeeper history {config}",))
    return moved_outcome(pipeline, move, notices)


def moved_outcome(pipeline: Pipeline, move: Move, notices: tuple[str, ...]) -> dict[str, object]:
    """The object that a command which moved the champion prints with --json."""
    entry = move.entry
    return {
        "pipeline": pipeline.name,
        "epoch": entry.epoch,
        "kind": entry.kind,
        "from": entry.from_version,
        "to": entry.to_version,
        "fresh": move.fresh,
        "notices": list(notices),
    }
