"""The face of the contract on labels: compares the data with the known labels before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import ContractError, InfraError
from configs.schema import Pipeline, Window, facts_of
from tasks.common.home import Home
from tasks.common.orchestration import create_markdown_artifact
from tasks.ledger.decisions import last_decision
from tasks.snapshots import PreparedSnapshot, latest_snapshot, note_latest, open_snapshot, rows_per_label

if TYPE_CHECKING:
    from expectations.run import Validation
    from tasks.context import PipelineContext
    from tasks.data.preparation.load import RawRows
    from tasks.data.preparation.prepare import Candidate
    from tasks.data.preparation.vocabulary import KnownLabels
    from tasks.data.snapshot.snapshot import Snapshot


@dataclass(frozen=True)
class LabelCheck:
    """The result for raw rows: rows of each label, feedback to set aside (id -> why), and labels gone because of data.window."""

    known: KnownLabels
    counts: Mapping[str, int]
    refused: dict[str, str]
    explained: frozenset[str]

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences on changes of the vocabulary that stop nothing."""
        from tasks.data.preparation.vocabulary import gone_labels, list_labels

        missing = gone_labels(self.counts, self.known)
        remarks = dict.fromkeys(self.explained, ": its rows lie outside data.window")
        sentences = [f"label `{label}` is gone{remarks.get(label, '')}; it had {self.known.describe(label)}" for label in missing]
        new = self.counts.keys() - self.known.all if self.known.all else ()
        return (*sentences, *([f"labels that were not known before: {list_labels(new, self.counts)}"] if new else []))


def known_labels(context: PipelineContext) -> KnownLabels:
    """The labels of the earlier snapshot and of the champion, wherever they were made.

    The earlier snapshot is the one that this machine led to last, or that of the newest decision on the model, where another
    machine made a newer one.
    """
    from tasks.data.preparation.vocabulary import KnownLabels
    from tasks.learning.network import read_spec
    from tasks.release import champion_folder

    name = context.pipeline.name
    snapshot, manifest = _earlier_snapshot(context)
    version = context.registry.champion(name)
    labels = read_spec(champion_folder(context.tracking, context.home, name, version)).labels if version else ()
    return KnownLabels(rows_per_label(manifest), frozenset(labels), snapshot, version)


def check_raw(pipeline: Pipeline, home: Home, raw: RawRows, contract: Validation, known: KnownLabels) -> LabelCheck:
    """Check the labels of rows that passed the raw contract against the known ones; ContractError, or the counts of rows."""
    from tasks.data.preparation import vocabulary

    policy, aside = pipeline.contract.vocabulary, contract.quarantined
    sets = pipeline.facts.has_label_sets
    counts = vocabulary.count_labels(raw.rows, aside, sets=sets)
    explained = _outside_window(pipeline.data.window, home, raw.outside_labels, vocabulary.gone_labels(counts, known), known)
    with _show_contract_errors():
        vocabulary.check_vocabulary(counts, known, policy, explained)
    people = vocabulary.feedback_labels(raw.rows, aside, sets=sets)
    return LabelCheck(known, counts, vocabulary.refuse_feedback(people, counts, known, policy), explained)


def check_prepared(pipeline: Pipeline, candidate: Candidate, contract: Validation, checked: LabelCheck) -> None:
    """ContractError where preparation and the prepared contract leave no training row of a label that must not go."""
    import numpy as np

    from tasks.data.preparation import vocabulary
    from tasks.data.preparation.row_filters import KEPT
    from tasks.data.preparation.split import TRAIN

    if pipeline.contract.vocabulary == "free":
        return
    learned = (candidate.fate == KEPT) & (candidate.split == TRAIN)
    sets = pipeline.facts.has_label_sets
    remaining = vocabulary.count_labels(candidate.rows, contract.quarantined, np.asarray(learned), sets=sets)
    if unlearned := [label for label in vocabulary.gone_labels(remaining, checked.known) if label not in checked.explained]:
        labels = "\n".join(f"  `{label}`, which had {checked.known.describe(label)}" for label in unlearned[: vocabulary.SHOWN])
        with _show_contract_errors():
            raise ContractError(
                f"contract.vocabulary: no row to train on is left of {len(unlearned)} label(s) that the data have:\n{labels}\n"
                "their rows were set aside, dropped as copies, or are held out: mend or add rows; or, "
                f"{vocabulary.ACCEPT}"
            )


def check_sealed(context: PipelineContext, prepared: PreparedSnapshot, redactor: str | None) -> None:
    """Check a snapshot that is found again against the labels known now, unless it is the last one, which was checked already.

    `redactor` is the id of the key that its rows are redacted with.
    """
    from tasks.data.preparation.vocabulary import check_vocabulary

    pipeline, home = context.pipeline, context.home
    earlier = latest_snapshot(pipeline, home)
    if earlier is not None and earlier[0] == prepared.snapshot:
        return
    if pipeline.facts.has_labels:
        counts = rows_per_label(open_snapshot(home, prepared.snapshot).manifest)
        known = known_labels(context)
        window, missing = pipeline.data.window, [label for label in known.earlier if label not in counts]
        with _show_contract_errors():
            check_vocabulary(
                counts, known, pipeline.contract.vocabulary, _outside_window(window, home, frozenset(), missing, known)
            )
    note_latest(pipeline, home, prepared.snapshot, redactor)


def _earlier_snapshot(context: PipelineContext) -> tuple[str | None, dict[str, Any]]:
    """Hash and manifest of the pipeline's earlier snapshot, this machine's or that of the newest decision, whichever is newer."""
    pipeline, home, tracking = context.pipeline, context.home, context.tracking
    here, decided = latest_snapshot(pipeline, home), last_decision(context.ledger, pipeline.name)
    elsewhere = decided.payload.get("snapshot") if decided is not None else None
    if here is not None and (decided is None or elsewhere in (None, here[0]) or here[1] >= decided.at):
        try:
            return here[0], open_snapshot(home, here[0]).manifest
        except InfraError:  # it was removed here, which loses nothing where a run has its manifest
            if decided is None:
                return None, {}
    if decided is None or elsewhere is None or not decided.run_id:
        return None, {}
    try:
        return elsewhere, open_snapshot(home, elsewhere).manifest
    except InfraError:
        uri = tracking.artifact_uri(decided.run_id, "snapshot/manifest.json")
        file = tracking.fetch(uri, home.path / "fetched" / str(elsewhere))
        return elsewhere, json.loads(Path(file).read_text())


def _outside_window(
    window: Window, home: Home, outside: frozenset[str], missing: Collection[str], known: KnownLabels
) -> frozenset[str]:
    """Of the labels that are gone those whose rows lie outside data.window, in the source or in the earlier snapshot."""
    if window == Window() or not missing:
        return frozenset()
    unexplained = [label for label in missing if label not in outside]
    if not unexplained or known.snapshot is None:
        return outside.intersection(missing)
    try:
        earlier = open_snapshot(home, known.snapshot)
    except InfraError:  # another machine's
        return outside.intersection(missing)
    return outside.intersection(missing).union(label for label in unexplained if _lies_outside(earlier, label, window))


def _lies_outside(earlier: Snapshot, label: str, window: Window) -> bool:
    """Whether every row of a label in a snapshot has a time outside the window."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tasks.data.label_sets import labels_of
    from tasks.data.labels import canonical_label
    from tasks.data.preparation.split import SPLITS
    from tasks.data.sources.times import window_edges

    start, end = window_edges(window)
    rows = pa.concat_tables(pq.read_table(earlier.parquet(split), columns=["target", "time"]) for split in SPLITS)
    spelled = zip(rows.column("target").to_pylist(), rows.column("time").to_pylist(), strict=True)
    if facts_of(earlier.manifest["problem"]).has_label_sets:
        times = [time for target, time in spelled if label in labels_of(target)]
    else:
        times = [time for target, time in spelled if canonical_label(target) == label]
    return all(time is not None and ((start and time < start) or (end and time >= end)) for time in times)


@contextmanager
def _show_contract_errors() -> Iterator[None]:
    """Show on Prefect's page what breaks the contract, then raise it."""
    try:
        yield
    except ContractError as error:
        create_markdown_artifact(f"```\n{error}\n```", key="contract")
        raise
