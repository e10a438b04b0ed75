"""The only writer of promotions: who became champion, on what evidence, and how to go back.

A promotion is a row that goes intended -> applied with the alias set in between, and every call first brings row and alias
together, so the next call finishes, or finds, what kill -9 interrupted at any point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from configs.errors import InputError
from tasks.ledger.alias_registry import AliasRegistry, check_registry
from tasks.ledger.reconcile import (
    ChampionMovedError,
    Move,
    PromotionEvidence,
    PromotionRequest,
    ReconcileStep,
    SettledChampion,
    Step,
    ledger_history,
    take_turn,
    version_text,
)
from tasks.ledger.replay import ChampionState, Entry, Kind, replay_entries
from tasks.ledger.store import Ledger

__all__ = [
    "MACHINE",
    "AliasRegistry",
    "ChampionMovedError",
    "ChampionState",
    "Entry",
    "Ledger",
    "Move",
    "PromotionEvidence",
    "PromotionRequest",
    "RollbackRequest",
    "SettledChampion",
    "WithdrawnError",
    "adopt_version",
    "anchor_version",
    "champion_entry",
    "check_registry",
    "ledger_history",
    "promote",
    "reconcile_alias",
    "replayed_champion",
    "rollback",
    "version_text",
]  # fmt: skip

MACHINE = "tunekeeper"  # who promotes on a verdict alone


class WithdrawnError(InputError):
    """The version was taken back; only a person may promote it again, by force and with a reason."""


@dataclass(frozen=True)
class RollbackRequest:
    """Back to the champion before this one, or to version `to`: who asks, and why.

    `left` is the version to leave: give it where it is known, so that two people do not go back twice. A withdrawn `to` needs
    `force`, with a reason.
    """

    who: str
    to: str | None = None
    left: str | None = None
    reason: str = ""
    force: bool = False


def promote(ledger: Ledger, registry: AliasRegistry, model: str, request: PromotionRequest, step: Step = lambda _: None) -> Move:
    """Make `request.to` the champion, if the champion still is `request.expected`.

    The same request again returns the row that it made. `step` is called between the steps, for tests that kill there.
    Raises ChampionMovedError, WithdrawnError, InputError (no such version, no PROMOTE verdict, no reason), InfraError.
    """
    if request.force and not request.reason.strip():
        raise InputError(f"promote {model} {request.to}: force needs a reason, which the ledger keeps: give one")
    verdict = request.evidence.verdict
    if not request.force and verdict != "PROMOTE":
        raise InputError(
            f"promote {model} {request.to}: its verdict is {verdict}, not PROMOTE: a person may force it, with a reason"
        )
    with take_turn(ledger, registry, model, step) as (turn, settled):
        return _make_champion(turn, settled, "FIRST" if request.expected is None else "PROMOTE", request)


def adopt_version(
    ledger: Ledger, registry: AliasRegistry, model: str, request: PromotionRequest, step: Step = lambda _: None
) -> Move:
    """Make `request.to`, fine-tuned elsewhere, the champion on a person's word, without the gate.

    It replaces `request.expected` by force where there is one. The same request again returns the row that it made.
    Raises ChampionMovedError, InputError (no such version, no reason), InfraError.
    """
    if not request.reason.strip():
        message = f"adopt {model} {request.to}: the ledger keeps why a model that no gate has seen is champion"
        raise InputError(f"{message}: give a reason")
    with take_turn(ledger, registry, model, step) as (turn, settled):
        return _make_champion(turn, settled, "ADOPTED", replace(request, force=request.expected is not None))


def _make_champion(turn: ReconcileStep, settled: SettledChampion, kind: Kind, request: PromotionRequest) -> Move:
    """Move from `request.expected` to `request.to`, or return the move that an earlier call made."""
    model, to, entries = turn.model, request.to, ledger_history(turn.ledger, turn.model)
    earlier = _earlier_promotion(entries, request)
    if earlier is not None and settled.champion == to:
        return Move(earlier, settled.notices, fresh=False)
    _require_champion(settled, request.expected, model, f"version {to}")
    if to == request.expected:
        raise InputError(f"{model} {to} is the champion already: nothing to promote")
    if to not in turn.registry.versions(model):
        raise InputError(f"{model} has no version {to} in the registry: name one that is there")
    if to in replay_entries(entries).withdrawn and not request.force:
        raise WithdrawnError(f"{model} {to} was taken back (see history): a person may promote it again, with a reason")
    return turn.move(turn.entry(_next_epoch(entries), kind, request), settled)


def rollback(ledger: Ledger, registry: AliasRegistry, model: str, request: RollbackRequest, step: Step = lambda _: None) -> Move:
    """Go back to an earlier champion; the versions left behind are withdrawn: only a person may promote one of them again.

    A rollback that was interrupted and only had to be finished counts as this one.
    Raises ChampionMovedError where `request.left` is champion no more, InputError where there is nothing to go back to.
    """
    if request.force and not request.reason.strip():
        raise InputError(f"rollback {model}: force needs a reason, which the ledger keeps: give one")
    with take_turn(ledger, registry, model, step) as (turn, settled):
        finished = settled.finished
        if finished is not None and finished.kind == "ROLLBACK" and request.to in (None, finished.to_version):
            return Move(finished, settled.notices, fresh=False)
        if request.left is not None:
            _require_champion(settled, request.left, model, "the rollback")
        entries = ledger_history(ledger, model)
        target = _rollback_target(replay_entries(entries), registry.versions(model), model, request)
        back = PromotionRequest(target, settled.champion, PromotionEvidence(), request.who, request.reason, request.force)
        return turn.move(turn.entry(_next_epoch(entries), "ROLLBACK", back), settled)


def reconcile_alias(ledger: Ledger, registry: AliasRegistry, model: str, step: Step = lambda _: None) -> SettledChampion:
    """Bring ledger and alias together: finish interrupted moves, adopt what was done in MLflow's own UI, report a deleted champion.

    Cheap where they agree: one query and one look at the alias, no lock.
    """
    entries, live = ledger_history(ledger, model), registry.champion(model)
    complete = all(row.state != "intended" for row in entries[-1:])
    if complete and replay_entries(entries).champion == live and (live is not None or not entries):
        return SettledChampion(live)
    with take_turn(ledger, registry, model, step) as (_, settled):
        return settled


def replayed_champion(ledger: Ledger, model: str) -> str | None:
    """The champion by the rows alone; after `reconcile_alias` it is the live alias."""
    return champion_entry(ledger, model).champion


def anchor_version(ledger: Ledger, model: str) -> str | None:
    """The last version that won by `better`, against which `not_worse` must hold too; see ChampionState for rollbacks."""
    return champion_entry(ledger, model).anchor


def champion_entry(ledger: Ledger, model: str) -> ChampionState:
    return replay_entries(ledger_history(ledger, model))


def _next_epoch(entries: Sequence[Entry]) -> int:
    return entries[-1].epoch + 1 if entries else 1


def _earlier_promotion(entries: Sequence[Entry], request: PromotionRequest) -> Entry | None:
    """The last applied row, if it is this promotion: a rerun after a kill asks for it again."""
    last = next((row for row in reversed(entries) if row.state == "applied"), None)
    if last is None or last.kind not in ("FIRST", "PROMOTE", "ADOPTED"):
        return None
    same = (last.from_version, last.to_version, last.decision_key) == (request.expected, request.to, request.evidence.decision_key)
    return last if same else None


def _require_champion(settled: SettledChampion, expected: str | None, model: str, move: str) -> None:
    if settled.champion != expected:
        raise ChampionMovedError(
            f"{model}: {move} was compared with champion {version_text(expected)}, "
            f"but the champion is {version_text(settled.champion)} now: decide again against that one. "
            f"{' '.join(settled.notices)}".rstrip()
        )


def _rollback_target(now: ChampionState, versions: set[str], model: str, request: RollbackRequest) -> str:
    to = request.to
    if to is None:
        earlier = (version for version in reversed(now.lineage) if version != now.champion and version in versions)
        predecessor = next(earlier, None)
        if predecessor is None:
            raise InputError(f"{model} has no earlier champion to go back to (champion: {version_text(now.champion)}): see history")
        return predecessor
    if to not in versions:
        raise InputError(f"{model} has no version {to} in the registry: name one of history that is still there")
    if to == now.champion:
        raise InputError(f"{model} {to} is the champion already: nothing to roll back")
    if to not in now.anchors:
        raise InputError(f"{model} {to} was never champion, so nothing leads back to it: promote it")
    if to in now.withdrawn and not request.force:
        raise WithdrawnError(f"{model} {to} was taken back (see history): it needs force and a reason")
    return to
