"""A promotion that waits for a person: asked for once per decision-key, answered once, and kept in the ledger.

An approval is a row among the requests. Its row says what was answered; where nobody answered through it, what happened elsewhere
says what became of it: the version was promoted by hand (approved), another is champion by now (stale), or its time is over
(expired). Nothing waits while it waits: no process, no lock, no slot.
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
    """What is asked: may `version` replace `against` (None: there was no champion), on this evidence? Times are ISO, in UTC."""

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
        """What is to be said of it now."""
        what, by = f"{self.model} version {self.version}", f"by {self.who}: {self.reason or 'no reason given'}"
        match self.state:
            case "pending":
                return f"{what} waits until {self.until[:16].replace('T', ' ')} UTC for a person to approve it ({self.how})"
            case "approved":
                return f"{what} was approved {by}"
            case "rejected":
                return f"{what} was rejected {by}"
            case "expired":
                return f"{what} was not promoted: nobody answered until {self.until[:16].replace('T', ' ')} UTC ({self.how})"
            case "stale":
                return f"{what} was compared with {_named(self.against)}, champion no more: the next retraining decides again"
            case "superseded":
                return f"{what} was not promoted: a later challenger took its place before anybody answered ({self.how})"

    @property
    def how(self) -> str:
        form = f"the form of flow run `approve {self.model} v{self.version}` in the Prefect UI, or " if self.form else ""
        return f"{form}tunekeeper promote CONFIG --version {self.version}"

    @property
    def account(self) -> dict[str, str]:
        """What `retrain --json` says of it."""
        answered = {"approval_by": self.who, "approval_reason": self.reason} if self.who else {}
        return {"approval": self.state, "approval_until": self.until, "approval_how": self.how, **answered}

    @property
    def tags(self) -> dict[str, str]:
        """What MLflow's registry says of the version."""
        return {"approval": self.state, "approval_by": self.who, "approval_reason": self.reason}


@dataclass(frozen=True)
class ApprovalRequest:
    """A promotion that a person is asked for: of `version` in the place of `against`, as its decision and its report say."""

    decision_key: str
    version: str
    against: str | None
    run_id: str
    train_key: str
    report: str


def ask_approval(ledger: Ledger, pipeline: Pipeline, asked: ApprovalRequest) -> tuple[Approval, tuple[Approval, ...]]:
    """Ask for a decision's promotion, once; also the earlier questions about this model that are superseded by it."""
    now = ledger.now().astimezone(UTC)
    until = _iso(now + timedelta(hours=pipeline.release.approval_timeout_hours))
    alias, rule, key = pipeline.release.alias, pipeline.gate.rule_against(asked.against), asked.decision_key
    made = Approval(pipeline.name, alias=alias, rule=rule, asked=_iso(now), until=until, **vars(asked))

    def work(connection: Connection) -> tuple[Approval, tuple[Approval, ...]]:
        connection.execute(ledger.insert(rows).values(**_row(made)).on_conflict_do_nothing())
        found = _read(connection, pipeline.name, key)
        older = [each for each in _read(connection, pipeline.name) if each.state == "pending" and each.decision_key != key]
        gone = tuple(replace(each, state="superseded") for each in older)
        for each in gone:
            _write(connection, each)
        return found[0], gone

    return ledger.write(work)


def find_approval(ledger: Ledger, model: str, decision_key: str) -> Approval | None:
    """The question about a decision, as its row tells it; `approval_state` says what became of it."""
    return next(iter(ledger.read(lambda connection: _read(connection, model, decision_key))), None)


def approval_state(ledger: Ledger, registry: AliasRegistry, asked: Approval) -> Approval:
    """The question as it stands now, whoever answered it, and where."""
    since = [row for row in ledger_history(ledger, asked.model) if row.at >= asked.asked and row.state == "applied"]
    promoted = next((row for row in since if row.to_version == asked.version), None)
    if promoted is not None and asked.state != "approved":
        return replace(asked, state="approved", who=promoted.who, reason=promoted.reason)
    if asked.state != "pending":
        return asked
    if registry.champion(asked.model) != asked.against:
        return replace(asked, state="stale")
    return replace(asked, state="expired") if asked.until < ledger.stamp() else asked


def settle_approvals(ledger: Ledger, registry: AliasRegistry, model: str) -> tuple[Approval, ...]:
    """Write down what became of open questions; gives those that are open no more."""
    open_ones = [each for each in ledger.read(lambda connection: _read(connection, model)) if each.state == "pending"]
    closed = tuple(now for each in open_ones if (now := approval_state(ledger, registry, each)).state != "pending")
    for each in closed:
        write_approval(ledger, each)
    return closed


def answer_approval(ledger: Ledger, registry: AliasRegistry, asked: Approval, yes: bool, who: str, reason: str) -> Approval:
    """Promote, or not, as a person says; an answer that comes too late for that (another is champion) is stale, and says so."""
    if not yes:
        return write_approval(ledger, replace(asked, state="rejected", who=who, reason=reason))
    evidence = PromotionEvidence("PROMOTE", asked.rule, asked.run_id, asked.train_key, asked.decision_key)
    try:
        promote(ledger, registry, asked.model, PromotionRequest(asked.version, asked.against, evidence, who, reason))
    except (ChampionMovedError, WithdrawnError):
        return write_approval(ledger, replace(asked, state="stale", who=who, reason=reason))
    return write_approval(ledger, replace(asked, state="approved", who=who, reason=reason))


def write_approval(ledger: Ledger, asked: Approval) -> Approval:
    """Write a question as it is now."""
    ledger.write(lambda connection: _write(connection, asked))
    return asked


def _read(connection: Connection, model: str, decision_key: str | None = None) -> list[Approval]:
    query = sa.select(rows).where(rows.c.model == model, rows.c.why == WHY)
    if decision_key is not None:
        query = query.where(rows.c.id == decision_key)
    found = connection.execute(query.order_by(rows.c.at)).mappings().all()
    return [Approval(row["model"], row["id"], state=row["state"], **json.loads(row["payload"])) for row in found]


def _write(connection: Connection, asked: Approval) -> None:
    mine = (rows.c.model == asked.model) & (rows.c.id == asked.decision_key)
    values = {name: value for name, value in _row(asked).items() if name in ("state", "payload")}
    connection.execute(sa.update(rows).where(mine).values(**values))


def _row(asked: Approval) -> dict[str, str]:
    payload = {name: value for name, value in asdict(asked).items() if name not in ("model", "decision_key", "state")}
    named = {"model": asked.model, "id": asked.decision_key, "why": WHY, "at": asked.asked, "state": asked.state}
    return {**named, "payload": json.dumps(payload, ensure_ascii=False)}


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds")


def _named(version: str | None) -> str:
    return "no champion" if version is None else f"version {version}"
