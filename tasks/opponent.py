"""Finds the opponent of a challenger, the champion by ledger and registry, and the challenger's train-key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from configs.errors import InfraError
from tasks.common.bases import Base
from tasks.common.home import Home
from tasks.context import PipelineContext
from tasks.identity.keys import train_key
from tasks.ledger.promotions import ChampionState, Entry, ledger_history, reconcile_alias
from tasks.ledger.replay import replay_entries
from tasks.release import champion_folder, check_problem
from tasks.snapshots import PreparedSnapshot, open_snapshot
from tasks.tracking.client import Tracking

if TYPE_CHECKING:
    from tasks.data.preparation.deduplicate import Signatures

ADOPTED = "ADOPTED"  # the verdict of a version that a person adopted, and the kind of its row in the ledger
SIGNATURES = ("train.signatures.npy", "validation.signatures.npy")


@dataclass(frozen=True)
class Opponent:
    """`version` is compared with (None: a first release); `champion` is live now, the same one unless the challenger itself reigns.

    `train_key` is the challenger's; `start` the version whose weights it starts from, if any; `anchor` the last to win by `better`.
    """

    version: str | None
    champion: str | None
    anchor: str | None
    train_key: str
    start: str | None
    tags: dict[str, str]
    notices: tuple[str, ...]


def adopted_notice(model: str, version: str | None, tags: Mapping[str, str]) -> tuple[str, ...]:
    """The notice on a comparison with an adopted champion, as a tuple of at most one sentence."""
    if version is None or tags.get("verdict") != ADOPTED:
        return ()
    return (f"{model} version {version} was fine-tuned elsewhere: whether it has seen these test rows is not known",)


def find_opponent(context: PipelineContext, prepared: PreparedSnapshot, base: Base) -> Opponent:
    """Heal ledger and alias, then find the opponent of this snapshot's challenger.

    Where this snapshot and these settings lead to the live champion itself, it meets the opponent of its promotion again: the same
    question as then, so that a run in which nothing changed finds its answer instead of training.
    """
    pipeline, tracking = context.pipeline, context.tracking
    settled = reconcile_alias(context.ledger, context.registry, pipeline.name)
    entries = ledger_history(context.ledger, pipeline.name)
    standing, live = replay_entries(entries), settled.champion
    versions = context.registry.versions(pipeline.name) if live else set()
    before = _predecessor(entries, live)
    rivals = [before if before in versions else None, live] if live else [None]
    tags = {version: tracking.version_tags(pipeline.name, version) for version in {*rivals} if version}
    for version in rivals:
        start = version if pipeline.training.start == "champion" else None
        key = train_key(pipeline, prepared.rows, base, tags[start].get("train_key") if start else None)
        if version == live or tags[live or ""].get("train_key") == key:
            break
    if version is not None and (version == live or start is not None):
        check_problem(pipeline, version, champion_folder(tracking, context.home, pipeline.name, version))
    notices = (*settled.notices, *adopted_notice(pipeline.name, version, tags.get(version or "", {})))
    return Opponent(version, live, _anchor(standing, version), key, start, tags.get(version or "", {}), notices)


def _predecessor(entries: tuple[Entry, ...], version: str | None) -> str | None:
    """The opponent of a version at its promotion."""
    won = [
        entry
        for entry in entries
        if entry.to_version == version and entry.kind in ("FIRST", "PROMOTE") and entry.state == "applied"
    ]
    return won[-1].from_version if won else None


def _anchor(standing: ChampionState, version: str | None) -> str | None:
    anchor = standing.anchors.get(version) if version else None
    return None if anchor == version else anchor


def seen_in_training(home: Home, tracking: Tracking, snapshot: str, run_id: str) -> Signatures:
    """(n, slots) signatures of a snapshot's training and validation rows; from the run where the snapshot is elsewhere."""
    try:
        sealed = open_snapshot(home, snapshot)
    except InfraError:
        folder = tracking.fetch(tracking.artifact_uri(run_id, "snapshot"), home.path / "fetched" / snapshot)
        return np.concatenate([np.load(Path(folder) / name) for name in SIGNATURES])
    return np.concatenate([np.asarray(sealed.signatures(split)) for split in ("train", "validation")])
