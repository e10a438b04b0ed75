"""Any source as canonical rows, on disk and memory-mapped: the one shape every later stage reads, however large the files are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import InputError
from configs.schema import Data, GivenSplit, ProblemName, Window
from tasks.text.feedback import as_canonical
from tasks.text.labels import by_fold, canonical_label, respell
from tasks.text.read import Chunk, chunks
from tasks.text.sources import source_files
from tasks.text.split import SPLITS
from tasks.text.workspace import workspace, world_faults

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from datasets import Dataset

COLUMNS = ("id", "text", "target", "time", "group", "origin", "split")


@dataclass(frozen=True)
class Raw:
    """The rows of a source as found: what is empty is null, and `split` unless given; on disk until `loaded` ends.

    Labels have their canonical spelling (labels.py); `outside_labels` are those of the source's rows outside the window.
    """

    rows: Dataset
    folder: Path
    problem: ProblemName
    outside_window: int
    feedback: Path | None = None  # the export whose rows are among them, if there is one
    outside_labels: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.rows)

    def frames(self, chunk_rows: int = 50_000) -> Iterator[pd.DataFrame]:
        """The canonical columns as pandas frames of at most `chunk_rows` rows."""
        return frames_of(self.rows, chunk_rows)

    def reader(self) -> Callable[[], Iterator[pd.DataFrame]]:
        """`frames` for another process: it pickles as the file's name."""
        return partial(frames_of, self.rows)


@contextmanager
def loaded(data: Data, problem: ProblemName, home: Path, feedback: Path | None = None) -> Iterator[Raw]:
    """Load the source (and `data.test`, and exported feedback) into a working folder under `home`, which is removed at the end.

    InputError for whatever is wrong with the files: absent, empty, malformed, not UTF-8, a column missing, ids not unique, a time
    that cannot be read, a text beyond `data.max_characters`, no row in the window. InfraError where the disk fails.
    """
    with world_faults(home), workspace(home / "work", "prepare-") as folder:
        yield load(data, problem, folder, feedback)


def load(data: Data, problem: ProblemName, folder: Path, feedback: Path | None = None) -> Raw:
    """Write the canonical rows to `folder`/raw.arrow and map them; see `loaded`."""
    import pyarrow as pa
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    target = folder / "raw.arrow"
    schema = canonical_schema(data.slices)
    classifies = problem == "text-classification"
    labels, outside = set[str](), set[str]()
    read = 0
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in _batches(data, problem, schema):
            read += batch.num_rows
            kept = _in_window(batch, data.window)
            writer.write_batch(kept)
            if classifies:
                labels |= _distinct_targets(kept)
                outside |= _distinct_targets(batch) if kept.num_rows < batch.num_rows else set()
        for batch in as_canonical(feedback, schema) if feedback else ():
            read += batch.num_rows
            writer.write_batch(_in_window(_respelled(batch, labels) if classifies else batch, data.window))
    rows = Dataset.from_file(str(target))
    if len(rows) == 0:
        raise InputError(f"data.window {data.window.start} to {data.window.end}: none of the {read:,} rows lies in it: widen it")
    _check_ids(rows, named=data.id)
    return Raw(rows, folder, problem, read - len(rows), feedback, frozenset(outside - labels))


def canonical_schema(slices: Iterable[str]) -> pa.Schema:
    """The Arrow schema of canonical rows."""
    import pyarrow as pa

    text = [(name, pa.timestamp("us", tz="UTC") if name == "time" else pa.string()) for name in COLUMNS]
    return pa.schema(text + [(f"slice_{name}", pa.string()) for name in slices])


def frames_of(rows: Dataset, chunk_rows: int = 50_000) -> Iterator[pd.DataFrame]:
    """Mapped rows as pandas frames, one chunk in memory at a time."""
    arrow = rows.with_format("arrow")
    for start in range(0, len(rows), chunk_rows):
        yield arrow[start : start + chunk_rows].to_pandas()


def wanted_columns(data: Data, problem: ProblemName) -> dict[str, str]:
    """Canonical name -> the source's column, for all that the config names (the split column apart)."""
    inputs = (data.text, data.label) if problem == "text-classification" else (data.prompt, data.completion)
    names = {"text": inputs[0], "target": inputs[1], "id": data.id, "time": data.time, "group": data.group}
    return {k: v for k, v in names.items() if v is not None} | {f"slice_{name}": name for name in data.slices}


def _batches(data: Data, problem: ProblemName, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    names = wanted_columns(data, problem)
    column = data.split.column if isinstance(data.split, GivenSplit) and data.test is None else None
    wanted = tuple(dict.fromkeys([*names.values(), *([column] if column else [])]))
    source, test = source_files(data.source, data.test, data.format)
    for file, given in [(f, "train" if test else None) for f in source] + [(f, "test") for f in test]:
        for chunk in chunks(file, wanted, data.max_characters):
            yield _canonical(chunk, names, schema, column, given, data.max_characters, problem == "text-classification")


def _canonical(
    chunk: Chunk, names: dict[str, str], schema: pa.Schema, split: str | None, given: str | None, longest: int, labels: bool
) -> pa.RecordBatch:
    import pyarrow as pa

    n = len(next(iter(chunk.columns.values())))
    out: dict[str, Any] = {"origin": ["source"] * n, "split": [given] * n, "group": [None] * n, "time": [None] * n}
    out["id"] = [f"{chunk.file.name}#{i}" for i in range(chunk.first, chunk.first + n)]
    for name, column in names.items():
        as_text = _as_label if labels and name == "target" else _as_text
        out[name] = [as_text(v, chunk, column, i) for i, v in enumerate(chunk.columns[column])]
        if name in ("text", "target"):
            _check_length(out[name], chunk, column, longest)
        if name == "time":
            out[name] = _times(out[name], chunk, column)
    if "id" in names and None in out["id"]:
        raise InputError(f"{_row(chunk, out['id'].index(None))}: `{names['id']}` is empty: every row needs an id, or drop data.id")
    if split is not None:
        out["split"] = [_split_name(v, chunk, split, i) for i, v in enumerate(chunk.columns[split])]
    return pa.record_batch([pa.array(out[f.name], type=f.type) for f in schema], schema=schema)


def _as_text(value: Any, chunk: Chunk, column: str, index: int) -> str | None:
    """A cell as text: nothing and the empty string are null, sentences in a list are joined, numbers are written out."""
    if value is None or value == "":
        return None
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = " ".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        if isinstance(value, dict | list | bytes):
            raise InputError(
                f"{_row(chunk, index)}: `{column}` holds a {type(value).__name__}: it must be text, a number or a date"
            )
        return None if value != value else str(value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{_row(chunk, index)}: `{column}` holds half of a surrogate pair, which is no character: mend it"
            ) from error
    return value


def _as_label(value: Any, chunk: Chunk, column: str, index: int) -> str | None:
    """A cell as the label it is, spelled alike whatever the format."""
    return canonical_label(value if isinstance(value, Decimal) else _as_text(value, chunk, column, index))


def _distinct_targets(batch: pa.RecordBatch) -> set[str]:
    return set(batch.column("target").drop_null().unique().to_pylist())


def _respelled(batch: pa.RecordBatch, labels: set[str]) -> pa.RecordBatch:
    """Rows of feedback with the source's own label where theirs differs from it in spelling alone: people write as they like."""
    import pyarrow as pa

    folds = by_fold(labels)
    spelled = [canonical_label(target) for target in batch.column("target").to_pylist()]
    targets = [label if label is None or label in labels else respell(label, folds) for label in spelled]
    return batch.set_column(
        batch.schema.get_field_index("target"), batch.schema.field("target"), pa.array(targets, type=pa.string())
    )


def _check_length(values: list[str | None], chunk: Chunk, column: str, longest: int) -> None:
    size = max((len(v) for v in values if v is not None), default=0)
    if size > longest:
        index = next(i for i, v in enumerate(values) if v is not None and len(v) == size)
        raise InputError(
            f"{_row(chunk, index)}: `{column}` has {size:,} characters, over data.max_characters ({longest:,}): shorten or raise it"
        )


def _times(values: list[str | None], chunk: Chunk, column: str) -> pa.Array:
    import pandas as pd
    import pyarrow as pa

    given = pd.Series(values, dtype="str")
    parsed = pd.to_datetime(given, utc=True, format="ISO8601", errors="coerce").astype("datetime64[us, UTC]")
    bad = (parsed.isna() & given.notna()).to_numpy()
    if bad.any():
        index = int(bad.argmax())
        raise InputError(
            f"{_row(chunk, index)}: `{column}` is {values[index]!r}, which is no time: write ISO 8601, as 2026-01-31T08:15:00Z"
        )
    return pa.array(parsed, type=pa.timestamp("us", tz="UTC"))


def _split_name(value: Any, chunk: Chunk, column: str, index: int) -> str:
    if value not in SPLITS:
        raise InputError(f"{_row(chunk, index)}: `{column}` is {value!r}: a given split is one of {', '.join(SPLITS)}")
    return str(value)


def _row(chunk: Chunk, index: int) -> str:
    return f"{chunk.file.path} row {chunk.first + index}"


def _in_window(batch: pa.RecordBatch, window: Window) -> pa.RecordBatch:
    """Rows in [start, end); a row without a time stays, to be quarantined with that as its reason."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for bound, keeps in ((window.start, pc.greater_equal), (window.end, pc.less)):
        if bound is not None:
            edge = pa.scalar(_bound(bound), type=pa.timestamp("us", tz="UTC"))
            batch = batch.filter(pc.fill_null(keeps(batch.column("time"), edge), True))
    return batch


def window_edges(window: Window) -> tuple[Any, Any]:
    """Start and end as datetimes in UTC, None where the window is open."""
    return tuple(None if text is None else _bound(text) for text in (window.start, window.end))  # type: ignore[return-value]


def _bound(text: str) -> Any:
    import pandas as pd

    try:
        time = pd.Timestamp(text)
    except ValueError as error:
        raise InputError(f"data.window: {text!r} is no time: write ISO 8601, as 2026-01-31") from error
    return (time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")).to_pydatetime()


def _check_ids(rows: Dataset, named: str | None) -> None:
    """Ids are unique, by sorting them: exact, and far smaller in memory than a set of strings."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = rows.data.column("id").cast(pa.large_string()).combine_chunks()
    ordered = ids.take(pc.sort_indices(ids))
    same = pc.equal(ordered.slice(1), ordered.slice(0, len(ordered) - 1))
    if pc.any(same).as_py():
        value = ordered[pc.index(same, True).as_py()].as_py()
        where = f"data.id: `{named}`" if named else "data.source: the name of a row"
        raise InputError(f"{where} is {value!r} more than once ({pc.sum(same).as_py():,} repeats in all): ids must be unique")
