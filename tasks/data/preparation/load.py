"""Any source as canonical rows, on disk and memory-mapped: the one shape every later stage reads, however large the files are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from configs.errors import InputError
from configs.schema import Data, ProblemName, Window, facts_of
from tasks.common.workspace import workspace, world_faults
from tasks.data.feedback import as_canonical, sets_spelled_as_known, spelled_as_known
from tasks.data.label_sets import all_labels
from tasks.data.preparation.canonical import canonical_parts, source_places
from tasks.data.preparation.query_groups import group_by_query
from tasks.data.redaction.key import redaction_key
from tasks.data.redaction.pseudonyms import PSEUDONYM
from tasks.data.redaction.redact import Redactor
from tasks.data.sources.times import window_edges

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from datasets import Dataset

COLUMNS = ("id", "text", "target", "time", "group", "origin", "split")


@dataclass(frozen=True)
class RawRows:
    """The rows of a source as they are: empty cells are null, and so is `split` unless given; on disk until `loaded_source` ends.

    Ids are as they are kept (pseudonyms.py), labels in their canonical spelling; `outside_labels` are those of the source's
    rows outside the window. `unusable` gives, by row number, why a row cannot take part, whatever its other cells hold.
    """

    stage: ClassVar[str] = "raw"  # what its contract is called

    rows: Dataset
    folder: Path
    problem: ProblemName
    outside_window: int
    feedback: Path | None = None  # the export whose rows are among them, if there is one
    outside_labels: frozenset[str] = frozenset()
    unusable: dict[int, str] = field(default_factory=dict)
    language: str | None = None  # the column of languages, one of the slices

    def __len__(self) -> int:
        return len(self.rows)

    def frames(self, chunk_rows: int = 50_000) -> Iterator[pd.DataFrame]:
        """The canonical columns as pandas frames of at most `chunk_rows` rows."""
        return frames_of(self.rows, chunk_rows)

    def reader(self) -> Callable[[], Iterator[pd.DataFrame]]:
        """`frames` for another process: it pickles as the file's name."""
        return partial(frames_of, self.rows)


@contextmanager
def loaded_source(
    data: Data, problem: ProblemName, home: Path, feedback: Path | None = None, *, pairs: bool = False
) -> Iterator[RawRows]:
    """Load the source (and `data.test`, and exported feedback) into a working folder under `home`, which is removed at the end.

    `pairs`: rows have one more column, the answer that their target was preferred to.

    InputError for whatever is wrong with the files: absent, empty, malformed, not UTF-8, a column missing, ids not unique, a time
    that cannot be read, a text beyond `data.max_characters`, no row in the window. InfraError where the disk fails.
    """
    with world_faults(home), workspace(home / "work", "prepare-") as folder:
        yield load_source(data, problem, folder, feedback, redactor_of(data, home), pairs=pairs)


def redactor_of(data: Data, home: Path) -> Redactor | None:
    """The redactor of the config under the home's key; None where redaction is off."""
    settings = data.redact
    return Redactor(settings.entities, redaction_key(home), settings.ner_model) if settings.enabled else None


def load_source(
    data: Data, problem: ProblemName, folder: Path, feedback: Path | None = None, redactor: Redactor | None = None, *,
    pairs: bool = False,
) -> RawRows:  # fmt: skip
    """Write the canonical rows to `folder`/raw.arrow and map them; see `loaded_source`. Without a redactor ids stay as they are."""
    import pyarrow as pa
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    target = folder / "raw.arrow"
    schema = canonical_schema(data.all_slices, pairs=pairs, thumbs=data.thumb is not None)
    facts = facts_of(problem)
    classifies, labels_in = facts.has_labels, all_labels if facts.has_label_sets else _each_label
    labels, outside, unusable = set[str](), set[str](), dict[int, str]()
    rows_read = rows_written = 0
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for part in canonical_parts(data, problem, schema, redactor):
            inside = _in_window(part.rows, data.window)
            rows_inside = part.rows if inside.all() else part.rows.filter(pa.array(inside))
            rows_inside = _with_groups(rows_inside, data, problem, redactor)
            writer.write_batch(rows_inside)
            unusable |= {rows_written + int(inside[:i].sum()): reason for i, reason in part.refused.items() if inside[i]}
            rows_read, rows_written = rows_read + part.rows.num_rows, rows_written + rows_inside.num_rows
            if classifies:
                labels.update(labels_in(_distinct_targets(rows_inside)))
                outside.update(labels_in(_distinct_targets(part.rows)) if rows_inside.num_rows < part.rows.num_rows else ())
        if redactor is not None and data.redact.labels == "refuse":
            _refuse_personal_labels(labels | outside, redactor)
        for batch in as_canonical(feedback, schema) if feedback else ():
            rows_read += batch.num_rows
            whole = _respell_labels(batch, labels, redactor, sets=facts.has_label_sets) if classifies else batch
            whole = _with_groups(whole, data, problem, redactor)
            writer.write_batch(whole.filter(pa.array(_in_window(whole, data.window))))
    rows = Dataset.from_file(str(target))
    if len(rows) == 0:
        raise InputError(
            f"data.window {data.window.start} to {data.window.end}: none of the {rows_read:,} rows lies in it: widen it"
        )
    _check_ids(rows, data, problem, redactor)
    return RawRows(rows, folder, problem, rows_read - len(rows), feedback, frozenset(outside - labels), unusable, data.language)


def _with_groups(rows: pa.RecordBatch, data: Data, problem: ProblemName, redactor: Redactor | None) -> pa.RecordBatch:
    """Rows with the groups that their problem has where the config names no column of them."""
    return group_by_query(rows, redactor) if facts_of(problem).ranks and data.group is None else rows


def canonical_schema(slices: Iterable[str], *, pairs: bool = False, thumbs: bool = False) -> pa.Schema:
    """The Arrow schema of canonical rows; of `pairs` with the rejected answer, with `thumbs` with whether the target is good."""
    import pyarrow as pa

    columns = [*COLUMNS, *(["rejected"] if pairs else []), *(["thumb"] if thumbs else []), *(f"slice_{name}" for name in slices)]
    return pa.schema([(name, pa.timestamp("us", tz="UTC") if name == "time" else pa.string()) for name in columns])


def frames_of(rows: Dataset, chunk_rows: int = 50_000) -> Iterator[pd.DataFrame]:
    """Mapped rows as pandas frames, one chunk in memory at a time."""
    arrow = rows.with_format("arrow")
    for start in range(0, len(rows), chunk_rows):
        yield arrow[start : start + chunk_rows].to_pandas()


def _distinct_targets(batch: pa.RecordBatch) -> set[str]:
    return set(batch.column("target").drop_null().unique().to_pylist())


def _refuse_personal_labels(labels: set[str], redactor: Redactor) -> None:
    """Labels are answers: they are kept and served as they are, so none may be an address or a number of a person."""
    before = redactor.counts.copy()
    personal = sum(clean_label != label for label, clean_label in zip(labels, redactor.redact_each([*labels]), strict=True))
    if personal:
        kinds = ", ".join(sorted(redactor.counts - before)) or "more than can be searched"
        raise InputError(
            f"data.label: {personal:,} of {len(labels):,} labels hold personal data ({kinds}), and labels are kept as they are in "
            "snapshots, models and MLflow: name a team, a role or a number instead, or set data.redact.labels to keep"
        )


def _each_label(targets: Iterable[str]) -> Iterable[str]:
    return targets


def _respell_labels(batch: pa.RecordBatch, labels: set[str], redactor: Redactor | None, *, sets: bool) -> pa.RecordBatch:
    """Rows of feedback, with the source's own label in place of one that differs from it in spelling alone."""
    import pyarrow as pa

    respell = sets_spelled_as_known if sets else spelled_as_known
    targets = respell(batch.column("target").to_pylist(), labels, redactor)
    return batch.set_column(
        batch.schema.get_field_index("target"), batch.schema.field("target"), pa.array(targets, type=pa.string())
    )


def _in_window(batch: pa.RecordBatch, window: Window) -> NDArray[np.bool_]:
    """Which rows lie in [start, end); a row without a time does, to be quarantined with that as its reason."""
    import pyarrow as pa
    import pyarrow.compute as pc

    inside = np.ones(batch.num_rows, dtype=bool)
    for edge, keeps in zip(window_edges(window), (pc.greater_equal, pc.less), strict=True):
        if edge is not None:
            bound = pa.scalar(edge, type=pa.timestamp("us", tz="UTC"))
            inside &= np.asarray(pc.fill_null(keeps(batch.column("time"), bound), True))
    return inside


def _check_ids(rows: Dataset, data: Data, problem: ProblemName, redactor: Redactor | None) -> None:
    """Refuse ids that are not unique, found by sorting: exact, and far smaller in memory than a set of strings.

    The error names the rows of an id, not the id itself.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = rows.data.column("id").cast(pa.large_string()).combine_chunks()
    ordered = ids.take(pc.sort_indices(ids))
    same = pc.equal(ordered.slice(1), ordered.slice(0, len(ordered) - 1))
    if not pc.any(same).as_py():
        return
    value, repeats = ordered[pc.index(same, True).as_py()].as_py(), pc.sum(same).as_py()
    subject = f"data.id: `{data.id}` is" if data.id else "data.source: the name of a row is"
    pseudonym = f" ({value})" if PSEUDONYM.fullmatch(value) else ""
    where = ", ".join(source_places(data, problem, (value,), redactor)) or "rows of the source and of feedback"
    raise InputError(
        f"{subject} the same{pseudonym} in {where}; {repeats:,} repeats in all: ids must be unique: keep one row of each, or name "
        "another column"
    )
