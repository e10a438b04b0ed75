"""A promotion that waits for a person: asked for once per decision-key, answered once, and kept in the ledger.

An approval is a row among the requests, which stores the answer. Without an answer its state follows from other events: the version
was promoted by hand (approved), another is champion by now (stale), or its time is over (expired). A pending approval holds no
process, no lock and no slot.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa

from configs.schema import Pipeline
from tasks.ledger.promotions import ChampionMovedError, PromotionEvidence, PromotionRequest, WithdrawnError, ledger_history, promote
from tasks.ledger.schema import requests as rows

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from tasks.ledger.alias_registry import AliasRegistry
    from tasks.ledger.promotions import Ledger

State = Literal["pending", "approved", "rejected", "expired", "stale", "superseded"]
WHY = "approval"


@dataclass(frozen=True)
class Approval:
    """The question whether `version` may replace `against` (None: no champion) on this evidence. Times are ISO, in UTC."""

    model: str
    decision_key: str
    version: str
    against: str | None
    alias: str
    rule: str
    run_id: str
    train_key: str
    report: str
    asked: str
    until: str
    state: State = "pending"
    who: str = ""
    reason: str = ""
    form: str = ""  # the flow run whose form a person fills in, where there is one

    @property
    def sentence(self) -> str:
        """Its state as a sentence for people."""
        subject, by = f"{self.model} version {self.version}", f"by {self.who}: {self.reason or 'no reason given'}"
        match self.state:
            case "pending":
                return f"{subject} waits until {self.until[:16].replace('T', ' ')} UTC for a person to approve it ({self.how})"
            case "approved":
                return f"{subject} was approved {by}"
            case "rejected":
                return f"{subject} was rejected {by}"
            case "expired":
                return f"{subject} was not promoted: nobody answered until {self.until[:16].replace('T', ' ')} UTC ({self.how})"
            case "stale":
                return f"{subject} was compared with {_champion(self.against)}, champion no more: the next retraining decides again"
            case "superseded":
                return f"{subject} was not promoted: a later challenger took its place before anybody answered ({self.how})"

    @property
    def how(self) -> str:
        form = f"the form of flow run `approve {self.model} v{self.version}` in the Prefect UI, or " if self.form else ""
        return f"{form}tunekeeper promote CONFIG --version {self.version}"

    @property
    def account(self) -> dict[str, str]:
        """Its fields in the output of `retrain --json`."""
        answer = {"approval_by": self.who, "approval_reason": self.reason} if self.who else {}
        return {"approval": self.state, "approval_until": self.until, "approval_how": self.how, **answer}

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the version in MLflow's registry."""
        return {"approval": self.state, "approval_by": self.who, "approval_reason": self.reason}


@dataclass(frozen=True)
class ApprovalRequest:
    """A promotion to ask a person for: `version` in the place of `against`, with its decision and its report."""

    decision_key: str
    version: str
    against: str | None
    run_id: str
    train_key: str
    report: str


def ask_approval(ledger: Ledger, pipeline: Pipeline, request: ApprovalRequest) -> tuple[Approval, tuple[Approval, ...]]:
    """Ask once for a decision's promotion; returns the approval, and the model's earlier ones that it supersedes."""
    now = ledger.now().astimezone(UTC)
    until = _iso_time(now + timedelta(hours=pipeline.release.approval_timeout_hours))
    alias, rule, key = pipeline.release.alias, pipeline.gate.rule_against(request.against), request.decision_key
    approval = Approval(pipeline.name, alias=alias, rule=rule, asked=_iso_time(now), until=until, **vars(request))

    def work(connection: Connection) -> tuple[Approval, tuple[Approval, ...]]:
        connection.execute(ledger.insert(rows).values(**_row_of(approval)).on_conflict_do_nothing())
        matches = _read_approvals(connection, pipeline.name, key)
        others = [earlier for earlier in _read_approvals(connection, pipeline.name) if earlier.decision_key != key]
        superseded = tuple(replace(earlier, state="superseded") for earlier in others if earlier.state == "pending")
        for earlier in superseded:
            _write_row(connection, earlier)
        return matches[0], superseded

    return ledger.write(work)


def find_approval(ledger: Ledger, model: str, decision_key: str) -> Approval | None:
    """The stored approval of a decision, if there is one; `approval_state` brings it up to date."""
    return next(iter(ledger.read(lambda connection: _read_approvals(connection, model, decision_key))), None)


def approval_state(ledger: Ledger, registry: AliasRegistry, approval: Approval) -> Approval:
    """The approval brought up to date with the ledger's promotions, the registry's champion and the clock."""
    since = [row for row in ledger_history(ledger, approval.model) if row.at >= approval.asked and row.state == "applied"]
    promoted = next((row for row in since if row.to_version == approval.version), None)
    if promoted is not None and approval.state != "approved":
        return replace(approval, state="approved", who=promoted.who, reason=promoted.reason)
    if approval.state != "pending":
        return approval
    if registry.champion(approval.model) != approval.against:
        return replace(approval, state="stale")
    return replace(approval, state="expired") if approval.until < ledger.stamp() else approval


def settle_approvals(ledger: Ledger, registry: AliasRegistry, model: str) -> tuple[Approval, ...]:
    """Store the new state of pending approvals; returns those that are closed by now."""
    pending = [
        approval for approval in ledger.read(lambda connection: _read_approvals(connection, model)) if approval.state == "pending"
    ]
    closed = tuple(now for approval in pending if (now := approval_state(ledger, registry, approval)).state != "pending")
    for approval in closed:
        write_approval(ledger, approval)
    return closed


def answer_approval(ledger: Ledger, registry: AliasRegistry, approval: Approval, yes: bool, person: str, reason: str) -> Approval:
    """Store a person's answer, and promote on a yes; a yes that comes too late (another is champion) is stored as stale."""
    if not yes:
        return write_approval(ledger, replace(approval, state="rejected", who=person, reason=reason))
    evidence = PromotionEvidence("PROMOTE", approval.rule, approval.run_id, approval.train_key, approval.decision_key)
    try:
        promote(ledger, registry, approval.model, PromotionRequest(approval.version, approval.against, evidence, person, reason))
    except (ChampionMovedError, WithdrawnError):
        return write_approval(ledger, replace(approval, state="stale", who=person, reason=reason))
    return write_approval(ledger, replace(approval, state="approved", who=person, reason=reason))


def write_approval(ledger: Ledger, approval: Approval) -> Approval:
    """Store the state of an approval, and return it."""
    ledger.write(lambda connection: _write_row(connection, approval))
    return approval


def _read_approvals(connection: Connection, model: str, decision_key: str | None = None) -> list[Approval]:
    query = sa.select(rows).where(rows.c.model == model, rows.c.why == WHY)
    if decision_key is not None:
        query = query.where(rows.c.id == decision_key)
    records = connection.execute(query.order_by(rows.c.at)).mappings().all()
    return [Approval(row["model"], row["id"], state=row["state"], **json.loads(row["payload"])) for row in records]


def _write_row(connection: Connection, approval: Approval) -> None:
    mine = (rows.c.model == approval.model) & (rows.c.id == approval.decision_key)
    values = {name: value for name, value in _row_of(approval).items() if name in ("state", "payload")}
    connection.execute(sa.update(rows).where(mine).values(**values))


def _row_of(approval: Approval) -> dict[str, str]:
    payload = {name: value for name, value in asdict(approval).items() if name not in ("model", "decision_key", "state")}
    columns = {"model": approval.model, "id": approval.decision_key, "why": WHY, "at": approval.asked, "state": approval.state}
    return {**columns, "payload": json.dumps(payload, ensure_ascii=False)}


def _iso_time(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds")


def _champion(version: str | None) -> str:
    return "no champion" if version is None else f"version {version}"
