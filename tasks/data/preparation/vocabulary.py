"""Compares the labels of new data with those known before: the contract on vocabularies, by counts of labels alone.

A label is known where the pipeline's earlier snapshot or the champion has it. Three things can be wrong: a label that differs
from a known one in spelling alone would be a new class beside it; a label that is gone leaves a champion with answers that
the data no longer have; and where the vocabulary is frozen, any new label. Each changes what champion and challenger are
compared on, so a person decides, before anything is trained.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from configs.errors import ContractError
from tasks.data.feedback import SOURCE
from tasks.data.label_sets import labels_of
from tasks.data.labels import by_fold, fold_label

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

Policy = Literal["frozen", "may_grow", "free"]
GONE_SHARE = 0.01  # of the earlier snapshot's rows: a rarer label may vanish by chance
SHOWN = 20
ACCEPT = "where the change is meant, run once by hand with contract.vocabulary=free, after which these labels are the known ones"


@dataclass(frozen=True)
class KnownLabels:
    """What was known before a run, spelled canonically: label -> rows of the earlier snapshot, and the champion's labels."""

    earlier: Mapping[str, int]
    champion: frozenset[str] = frozenset()
    snapshot: str | None = None  # the earlier one's hash
    version: str | None = None  # the champion's

    @property
    def all(self) -> frozenset[str]:
        """Every known label."""
        return self.champion.union(self.earlier)

    def share(self, label: str) -> float:
        """Of the earlier snapshot's rows, in [0, 1]."""
        return self.earlier.get(label, 0) / max(1, sum(self.earlier.values()))

    def describe(self, label: str) -> str:
        """Where a label is known from."""
        total = sum(self.earlier.values())
        rows = f"{self.earlier.get(label, 0):,} of {total:,} rows ({self.share(label):.1%}) of the earlier snapshot"
        places = ([rows] if label in self.earlier else []) + (
            [f"champion version {self.version}"] if label in self.champion else []
        )
        return " and ".join(places)


def check_vocabulary(counts: Mapping[str, int], known: KnownLabels, policy: Policy, explained: Collection[str] = ()) -> None:
    """Hold the rows of each label against what was known; ContractError names every label at fault, with counts and remedies.

    `explained` are labels whose rows are outside data.window: they may be gone.
    """
    if policy == "free":
        return
    twins = _spelling_twins(counts, known)
    misspelt = {fold_label(label) for label, _ in twins}
    missing = [label for label in gone_labels(counts, known) if label not in explained and fold_label(label) not in misspelt]
    new = sorted(label for label in counts.keys() - known.all if fold_label(label) not in misspelt) if known.all else []
    faults, remedies = [_twin_sentence(*twin, counts, known) for twin in twins], []
    if twins:
        remedies.append("write each label one way, as it is known")
    if missing:
        faults += [f"`{label}` is gone: it had {known.describe(label)}" for label in missing]
        faults += [f"new are {list_labels(new, counts)}"] if new and policy == "may_grow" else []
        remedies.append("give the missing rows back, or let data.window say why they are missing")
    if new and policy == "frozen":
        faults.append(f"contract.vocabulary is frozen, and new are {list_labels(new, counts)}")
        remedies.append("leave the new labels out, or set contract.vocabulary to may_grow")
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults[:SHOWN])
        more = f"\n  and {len(faults) - SHOWN:,} more" if len(faults) > SHOWN else ""
        raise ContractError(
            f"contract.vocabulary: data.label holds other labels than were known:\n{lines}{more}\n"
            f"{'; '.join(remedies)}; or, {ACCEPT}"
        )


def gone_labels(counts: Mapping[str, int], known: KnownLabels) -> list[str]:
    """Labels of more than GONE_SHARE of the earlier snapshot's rows that have no row now, the commonest first."""
    labels = [label for label in known.earlier if not counts.get(label) and known.share(label) > GONE_SHARE]
    return sorted(labels, key=lambda label: (-known.earlier[label], label))


def refuse_feedback(
    targets: Mapping[str, Sequence[str]], counts: Mapping[str, int], known: KnownLabels, policy: Policy
) -> dict[str, str]:
    """Row id -> why a row that people labelled is set aside, of `targets` (id -> labels): feedback cannot stop a run.

    A label that differs from the source's in spelling alone was respelled when it was loaded. Another label is refused
    where it is another spelling of a known label, or of another label that is as new, or where the vocabulary is frozen.
    """
    if policy == "free":
        return {}
    new = {label for labels in targets.values() for label in labels if label not in counts}
    folds = by_fold(new.union(counts, known.all))
    reasons = {}
    for label in new:
        twins = [f"`{other}`" for other in folds[fold_label(label)] if other != label]
        if twins:
            reasons[label] = f"its label `{label}` differs from {', '.join(twins)} in spelling alone"
        elif policy == "frozen" and label not in known.all:
            reasons[label] = f"its label `{label}` is new, and contract.vocabulary is frozen"
    refused = {row: [reasons[label] for label in labels if label in reasons] for row, labels in targets.items()}
    return {row: own[0] for row, own in refused.items() if own}


def count_labels(
    rows: Dataset, excluded: Collection[str], keep: NDArray[np.bool_] | None = None, *, sets: bool = False
) -> Counter[str]:
    """Rows of the source per label, without those whose id is `excluded`, and of those alone that the mask `keep` (rows,) names.

    `sets`: targets are sets of labels, and a row counts for each of its own.
    """
    table = _label_rows(rows, excluded, keep, of_source=True)
    counts = Counter[str]()
    for entry in table.column("target").drop_null().value_counts():
        for label in targets_labels(entry["values"].as_py(), sets=sets):
            counts[label] += entry["counts"].as_py()
    return counts


def targets_labels(target: str, *, sets: bool) -> tuple[str, ...]:
    """The labels of a target: itself, or those of the set that it is."""
    return labels_of(target) if sets else (target,)


def feedback_labels(rows: Dataset, excluded: Collection[str], *, sets: bool = False) -> dict[str, tuple[str, ...]]:
    """Id -> labels of the rows that people labelled."""
    table = _label_rows(rows, excluded, None, of_source=False)
    pairs = zip(table.column("id").to_pylist(), table.column("target").to_pylist(), strict=True)
    return {row: targets_labels(target, sets=sets) for row, target in pairs if target is not None}


def _label_rows(rows: Dataset, excluded: Collection[str], keep: NDArray[np.bool_] | None, of_source: bool) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    table = rows.data.table.select(["id", "target", "origin"])
    mask = pc.equal(table.column("origin"), SOURCE)
    mask = mask if of_source else pc.invert(mask)
    if excluded:
        mask = pc.and_(mask, pc.invert(pc.is_in(table.column("id"), value_set=pa.array(list(excluded), type=pa.string()))))
    if keep is not None:
        mask = pc.and_(mask, pa.chunked_array([pa.array(keep)]))
    return table.filter(mask)


def _spelling_twins(counts: Mapping[str, int], known: KnownLabels) -> list[tuple[str, str]]:
    """Pairs of a new label and one that it differs from in spelling alone, known or as new; not pairs that were both known."""
    pairs = []
    for labels in by_fold(known.all.union(counts)).values():
        old = [label for label in labels if label in known.all]
        new = [label for label in labels if label in counts and label not in known.all]
        pairs += [(label, old[0]) for label in new] if old else [(new[0], other) for other in new[1:]]
    return pairs


def _twin_sentence(label: str, other: str, counts: Mapping[str, int], known: KnownLabels) -> str:
    rows = [f"{counts[other]:,} rows"] if other in counts else []
    where = "; ".join([*rows, *([f"known: {known.describe(other)}"] if other in known.all else [])])
    return f"`{label}` ({counts[label]:,} rows) and `{other}` ({where}) differ only in case, spacing, punctuation or Unicode form"


def list_labels(labels: Collection[str], counts: Mapping[str, int]) -> str:
    """Labels with their rows, the commonest first and SHOWN of them at most, as words."""
    ordered = sorted(labels, key=lambda label: (-counts[label], label))
    more = f" and {len(ordered) - SHOWN:,} more" if len(ordered) > SHOWN else ""
    return ", ".join(f"`{label}` ({counts[label]:,} rows)" for label in ordered[:SHOWN]) + more
