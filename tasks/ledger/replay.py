"""The state that a ledger's rows add up to: champion, anchor, lineage of a rollback, versions taken back. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["FIRST", "PROMOTE", "ROLLBACK", "EXTERNAL", "ADOPTED"]
State = Literal["intended", "applied", "abandoned"]


@dataclass(frozen=True)
class Entry:
    """One row: `from_version` gave way to `to_version`; None is no champion at all."""

    model: str
    epoch: int
    kind: Kind
    from_version: str | None
    to_version: str | None
    verdict: str | None  # of the gate, where there was one
    rule: str | None  # the gate's rule at that decision: better or not_worse; for a first release better or useful
    run_id: str | None  # the evidence
    train_key: str | None
    decision_key: str | None
    who: str
    at: str
    reason: str
    forced: bool
    state: State


@dataclass(frozen=True)
class ChampionState:
    """Where a model stands after its applied rows.

    `lineage` holds the versions a rollback can walk back over, oldest first, the champion last. The **anchor** is the last version
    that won by `better`. A version promoted by `not_worse` inherits its predecessor's, and so does one that a person put there,
    which is no evidence. Each version keeps the anchor of its own reign, and a rollback to it brings that anchor back: the win of a
    version that was taken back is disowned with it.

    `withdrawn` are the versions taken back: left or walked over by a rollback, or by a person who moved the alias back, or off, in
    MLflow's UI. A machine never promotes one again; once a person has put it back it is as any other.
    """

    champion: str | None = None
    anchor: str | None = None
    lineage: tuple[str, ...] = ()
    withdrawn: frozenset[str] = frozenset()
    anchors: dict[str, str | None] = field(default_factory=dict)  # of every version that ever reigned


def replay_entries(entries: Iterable[Entry]) -> ChampionState:
    """The state after these rows, in order of epoch; rows that are only intended, or abandoned, do not count."""
    standing = ChampionState()
    for entry in entries:
        if entry.state == "applied":
            standing = _apply_entry(standing, entry)
    return standing


def _apply_entry(before: ChampionState, entry: Entry) -> ChampionState:
    to = entry.to_version
    if to is None:
        return _without_champion(before)
    back = entry.kind in ("ROLLBACK", "EXTERNAL") and to in before.lineage
    if back or entry.kind == "ROLLBACK":
        return _roll_back(before, to)
    won = entry.verdict == "PROMOTE" and entry.rule == "better"
    inherited = before.anchor or to
    anchor = to if won else (before.anchors.get(to) or inherited if entry.kind == "EXTERNAL" else inherited)
    return ChampionState(
        champion=to,
        anchor=anchor,
        lineage=(*(version for version in before.lineage if version != to), to),
        withdrawn=before.withdrawn - {to},
        anchors={**before.anchors, to: anchor},
    )


def _roll_back(before: ChampionState, to: str) -> ChampionState:
    """Back to `to`: all that came after it is withdrawn; outside the lineage (a person forced it) only what it replaces is."""
    if to in before.lineage:
        lineage = before.lineage[: before.lineage.index(to)]
        left = frozenset(before.lineage[len(lineage) + 1 :])
    else:
        left = _version_set(before.champion)
        lineage = tuple(version for version in before.lineage if version not in left)
    anchor = before.anchors.get(to) or before.anchor or to
    withdrawn = (before.withdrawn | left) - {to}
    return ChampionState(to, anchor, (*lineage, to), withdrawn, {**before.anchors, to: anchor})


def _without_champion(before: ChampionState) -> ChampionState:
    """No champion: the alias was taken off, or its version deleted; either way a machine does not bring that version back."""
    former = _version_set(before.champion)
    lineage = tuple(version for version in before.lineage if version not in former)
    anchor = before.anchors.get(lineage[-1]) if lineage else None
    return ChampionState(None, anchor, lineage, before.withdrawn | former, before.anchors)


def _version_set(version: str | None) -> frozenset[str]:
    return frozenset() if version is None else frozenset({version})
