"""Bring ledger and alias together, one step at a time: the same code moves a champion and finishes a move that a kill interrupted.

MLflow sets an alias without comparing. Therefore callers take turns (`Ledger.exclusive`), the alias is compared right before it is
set, and the head is read again after.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from configs.errors import InfraError
from tasks.ledger.alias_registry import AliasRegistry, check_registry
from tasks.ledger.replay import Entry, Kind, State, replay_entries
from tasks.ledger.schema import promotions as rows
from tasks.ledger.store import Ledger

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

Step = Callable[[str], None]
ROUNDS = 10  # an alias that people move more often than this within one call is not ours to chase
COLUMNS = tuple(field.name for field in fields(Entry))


class ChampionMovedError(InfraError):
    """The champion is no longer the one compared against, so the evidence is about another: decide again."""


@dataclass(frozen=True)
class PromotionEvidence:
    """Why a promotion is right. `rule` is the gate's: the anchor is the last version that won by `better`."""

    verdict: str | None = None
    rule: str | None = None
    run_id: str | None = None
    train_key: str | None = None
    decision_key: str | None = None

    @property
    def columns(self) -> tuple[str | None, str | None, str | None, str | None, str | None]:
        """In the order of `Entry`."""
        return self.verdict, self.rule, self.run_id, self.train_key, self.decision_key


@dataclass(frozen=True)
class PromotionRequest:
    """`to` in the place of `expected` (None: no champion), with which it was compared: on what evidence, who asks, and why.

    `force` is a person's: it needs a `reason`, and overrides the verdict and a withdrawal, never the comparison.
    """

    to: str
    expected: str | None
    evidence: PromotionEvidence
    who: str
    reason: str = ""
    force: bool = False


@dataclass(frozen=True)
class SettledChampion:
    """Ledger and alias agree on `champion`; `notices` tell people what had to be mended or adopted for that."""

    champion: str | None
    notices: tuple[str, ...] = ()
    finished: Entry | None = None  # the interrupted move that this call completed


@dataclass(frozen=True)
class Move:
    """A promotion or rollback that holds; `fresh` is False where an earlier, perhaps interrupted, call had made it already."""

    entry: Entry
    notices: tuple[str, ...] = ()
    fresh: bool = True


@dataclass(frozen=True)
class ReconcileStep:
    """One caller, alone with one model."""

    ledger: Ledger
    registry: AliasRegistry
    model: str
    step: Step
    still_mine: Callable[[], None]

    def settle(self) -> SettledChampion:
        """Take one step per round, and read the head again, until alias and rows agree."""
        notices: list[str] = []
        finished: Entry | None = None
        for _ in range(ROUNDS):
            entries, live = ledger_history(self.ledger, self.model), self.registry.champion(self.model)
            known = replay_entries(entries).champion
            head = entries[-1] if entries else None
            if live != known or (head is not None and head.state == "intended"):
                check_registry(entries, self.registry, self.model)
            if head is not None and head.state == "intended":
                if live == head.to_version:
                    finished = self.mark(head, "applied")
                elif live == head.from_version and head.to_version in self.registry.versions(self.model):
                    self.set_alias(str(head.to_version))
                else:
                    notices.append(self.abandon(head, live))
            elif live == known:
                return SettledChampion(live, (*notices, *self.vacancy(entries, live)), finished)
            else:
                notices.append(self.adopt(head, known, live))
        raise InfraError(
            f"the champion of {self.model} moved {ROUNDS} times while it was read: find out who moves it, then run again"
        )

    def move(self, entry: Entry, before: SettledChampion) -> Move:
        """Write the intended row, then let `settle` do the rest, as it does for another caller's interrupted move."""
        if not self.append(entry):
            raise ChampionMovedError(
                f"{self.model}: another promotion took epoch {entry.epoch} before {move_text(entry)}: decide again"
            )
        self.step("intended")
        after = self.settle()
        result = next(row for row in ledger_history(self.ledger, self.model) if row.epoch == entry.epoch)
        notices = (*before.notices, *after.notices)
        if result.state != "applied":
            raise ChampionMovedError(
                f"{self.model}: {move_text(entry)} was given up, "
                f"the champion is {version_text(after.champion)} now. {' '.join(notices)}"
            )
        return Move(result, notices)

    def entry(self, epoch: int, kind: Kind, request: PromotionRequest) -> Entry:
        """The row of a move that is not applied yet."""
        change, proof = (request.expected, request.to), request.evidence.columns
        return Entry(
            self.model, epoch, kind, *change, *proof, request.who, self.ledger.stamp(), request.reason, request.force, "intended"
        )

    def append(self, entry: Entry) -> bool:
        """Write the row if its epoch is free; the token tells it from another's after a commit whose answer was lost."""
        token = uuid.uuid4().hex
        insert = self.ledger.insert(rows).values(token=token, **asdict(entry)).on_conflict_do_nothing()
        there = sa.select(rows.c.token).where(rows.c.model == entry.model, rows.c.epoch == entry.epoch)

        def work(connection: Connection) -> bool:
            connection.execute(insert)
            return connection.scalar(there) == token

        return self.ledger.write(work)

    def mark(self, entry: Entry, state: State) -> Entry:
        """intended -> applied or abandoned: the one change a row ever sees."""
        mine = (rows.c.model == entry.model) & (rows.c.epoch == entry.epoch) & (rows.c.state == "intended")
        self.ledger.write(lambda connection: connection.execute(sa.update(rows).where(mine).values(state=state)))
        self.step(state)
        return replace(entry, state=state)

    def set_alias(self, version: str) -> None:
        self.step("before the alias")
        self.still_mine()
        self.registry.set_champion(self.model, version)
        self.step("alias set")

    def abandon(self, entry: Entry, live: str | None) -> str:
        self.mark(entry, "abandoned")
        return f"{self.model}: {move_text(entry)} was interrupted and is given up, as the champion is {version_text(live)} now"

    def adopt(self, head: Entry | None, known: str | None, live: str | None) -> str:
        epoch = head.epoch + 1 if head else 1
        if live is None:
            reason = self.why_vacant(known)
        elif head is None:
            reason = f"version {live} was champion before this ledger had a row of it"
        else:
            reason = f"version {live} was made champion outside Tunekeeper"
        proof, at = PromotionEvidence().columns, self.ledger.stamp()
        self.append(Entry(self.model, epoch, "EXTERNAL", known, live, *proof, "outside Tunekeeper", at, reason, False, "applied"))
        self.step("adopted")
        warning = "; if another ledger had one, restore that: its rollbacks and looks are not known here" if head is None else ""
        return f"{self.model}: {reason}; adopted as epoch {epoch} (EXTERNAL), before it was {version_text(known)}{warning}"

    def vacancy(self, entries: Sequence[Entry], live: str | None) -> tuple[str, ...]:
        """A notice at every call while users are without a champion; empty where there is one, or never was."""
        last = next((row.from_version for row in reversed(entries) if row.state == "applied" and row.from_version), None)
        if live is not None or last is None:
            return ()
        return (
            f"{self.model} has no champion: {self.why_vacant(last)}. Go back with `tunekeeper rollback`, or let the next "
            "retrain find a new one",
        )

    def why_vacant(self, version: str | None) -> str:
        deleted = version not in self.registry.versions(self.model)
        return (
            f"champion version {version} was deleted from the registry" if deleted else f"the alias was taken off version {version}"
        )


def ledger_history(ledger: Ledger, model: str) -> tuple[Entry, ...]:
    """Every row of the model, in order of epoch, also the intended and the abandoned ones."""
    query = sa.select(*(rows.c[name] for name in COLUMNS)).where(rows.c.model == model).order_by(rows.c.epoch)
    return tuple(Entry(**row) for row in ledger.read(lambda connection: connection.execute(query).mappings().all()))


@contextmanager
def take_turn(ledger: Ledger, registry: AliasRegistry, model: str, step: Step) -> Iterator[tuple[ReconcileStep, SettledChampion]]:
    """Be alone with `model`, its ledger and alias already brought together."""
    with ledger.exclusive(model) as still_mine:
        turn = ReconcileStep(ledger, registry, model, step, still_mine)
        step("alone")
        settled = turn.settle()
        if settled.finished is not None:
            notice = f"{model}: {move_text(settled.finished)} had been interrupted and is finished now"
            settled = replace(settled, notices=(notice, *settled.notices))
        yield turn, settled


def version_text(version: str | None) -> str:
    return "none" if version is None else f"version {version}"


def move_text(entry: Entry) -> str:
    return f"the {entry.kind.lower()} from {version_text(entry.from_version)} to {version_text(entry.to_version)}"
