"""The store of traffic on one machine: Parquet by day, FOLDER/{answers,feedback}/day=YYYY-MM-DD/NAME.parquet.

A file is there whole or not at all, and a row may be there twice where a process was killed while moving it: readers take the first
of each id.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from configs.errors import InfraError
from tasks.common.files import replaced_file
from tasks.common.locks import take_lock
from tasks.traffic.disk_faults import in_words, list_folder
from tasks.traffic.records import KINDS, Kind, empty_table, has_valid_time, schema_of, unique_rows

if TYPE_CHECKING:
    import pyarrow as pa

SMALL_BYTES = 8 << 20  # smaller files become one, of a day that is over or has more than MOST_FILES of them
MOST_FILES = 32
log = logging.getLogger(__name__)
_ABANDONED_SECONDS = 3600
_ATTEMPTS = 5


@dataclass(frozen=True)
class Query:
    """Which rows: of [start, end), of these ids, drawn for audit, with these `values`; and which columns of them.

    `most` of them by id, which for random ids is a random sample, the same each time. What is asked of a column needs the column.
    """

    start: datetime | None = None
    end: datetime | None = None
    ids: frozenset[str] | None = None
    audits: bool = False
    most: int | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None

    def names(self, kind: Kind) -> list[str]:
        """The columns it asks for, in their order."""
        return [name for name in schema_of(kind).names if self.columns is None or name in self.columns]

    def of(self, table: pa.Table) -> pa.Table:
        """The rows it asks for, each once."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for bound, holds in ((self.start, pc.greater_equal), (self.end, pc.less)):
            if bound is not None:
                table = table.filter(holds(table.column("time"), pa.scalar(bound, type=pa.timestamp("us", tz="UTC"))))
        if self.ids is not None:
            table = table.filter(pc.is_in(table.column("id"), value_set=pa.array(sorted(self.ids), type=pa.string())))
        if self.audits:
            table = table.filter(table.column("audit"))
        for name, value in self.values.items():
            table = table.filter(pc.equal(table.column(name), value))
        table = unique_rows(table)
        if self.most is not None and table.num_rows > self.most:
            table = table.take(pc.sort_indices(table, sort_keys=[("id", "ascending")])[: self.most])
        return table


class Store(Protocol):
    """Where finished journals go: after so many seconds or bytes a journal is finished."""

    seal_seconds: float
    seal_bytes: int

    def put(self, name: str, tables: dict[Kind, pa.Table]) -> None:
        """Keep a journal's rows, as often as it is asked to: the second time changes nothing."""

    def read(self, kind: Kind, query: Query) -> pa.Table: ...

    def tidy(self) -> None:
        """Do the upkeep that is due now and then."""

    def close(self) -> None: ...


class ParquetStore:
    """Files by day. Raises OSError where the disk fails, InfraError where it cannot be read.

    What moves or reads them holds a few files at a time in memory, whatever the day's traffic was.
    """

    seal_seconds = 600.0
    seal_bytes = 8 << 20  # of lines: about a fifth of that as Parquet

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, tables: dict[Kind, pa.Table]) -> None:
        for kind in KINDS:
            for day, rows in _split_by_day(tables[kind]):
                _write_file(rows, self.folder / kind / f"day={day}" / f"{name}.parquet")

    def read(self, kind: Kind, query: Query) -> pa.Table:
        import pyarrow as pa

        for attempt in range(_ATTEMPTS):
            table = empty_table(kind).select(query.names(kind))
            try:
                for file in [file for day in self._days_of_query(kind, query) for file in _files_of_day(day)]:
                    with _report_damage(file):
                        rows = _read_file(file, kind, query.names(kind))
                    table = pa.concat_tables([table, query.of(rows)])
                    table = query.of(table) if query.most is not None else table
                return query.of(table)
            except FileNotFoundError:  # files became one while we read them
                if attempt == _ATTEMPTS - 1:
                    raise
        return table

    def tidy(self) -> None:
        """Make larger files of the small ones of each day, by one process at a time; remove what was half written."""
        with _try_tidy_lock(self.folder) as mine:
            for day in [day for kind in KINDS for day in list_folder(self.folder / kind, "day=*")] if mine else ():
                _remove_abandoned(day)
                small = [file for file in _files_of_day(day) if file.stat().st_size < SMALL_BYTES]
                over = day.name.removeprefix("day=") < f"{datetime.now(UTC):%Y-%m-%d}"
                if len(small) > (1 if over else MOST_FILES):
                    for group in _groups_to_merge(small):
                        _merge_files(group, day.parent.name == "answers")

    def close(self) -> None:
        return None

    def _days_of_query(self, kind: Kind, query: Query) -> list[Path]:
        """The days a query may find rows in."""
        first = "" if query.start is None else f"day={query.start.astimezone(UTC):%Y-%m-%d}"
        last = "~" if query.end is None else f"day={(query.end.astimezone(UTC) - timedelta(microseconds=1)):%Y-%m-%d}"
        return [day for day in list_folder(self.folder / kind, "day=*") if first <= day.name <= last]


def check_newest(folder: Path, most: int) -> None:
    """Read the ends of the newest files of each kind, at most so many. InfraError naming the first that is not whole."""
    import pyarrow.parquet as pq

    for kind in KINDS:
        newest = (file for day in reversed(list_folder(folder / kind, "day=*")) for file in reversed(_files_of_day(day)))
        for file in islice(newest, most):
            with suppress(FileNotFoundError), _report_damage(file):  # files become one meanwhile
                pq.read_metadata(file)


def _split_by_day(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    days = table.column("time").cast(pa.timestamp("us")).cast(pa.date32())
    for day in sorted(pc.unique(days).to_pylist()):
        yield day.isoformat(), table.filter(pc.equal(days, pa.scalar(day, type=pa.date32())))


def _files_of_day(day: Path) -> list[Path]:
    return list_folder(day, "[!.]*.parquet")


def _read_file(file: Path, kind: Kind, names: list[str]) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        table = parquet.read(columns=names).cast(empty_table(kind).select(names).schema)
    rows = table.filter(has_valid_time(table))
    if rows.num_rows < table.num_rows:
        log.warning("%d rows of %s have no time that can be, and are left out", table.num_rows - rows.num_rows, file)
    return rows


@contextmanager
def _report_damage(file: Path) -> Iterator[None]:
    """Name the file that cannot be read as Parquet, and the ways out."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise
    except PermissionError as error:
        raise InfraError(f"{file} cannot be read {in_words(error)}") from error
    except (pa.ArrowException, OSError) as error:
        reason = str(error).rstrip(".")
        raise InfraError(
            f"{file} cannot be read ({reason}): restore it from a copy; where there is none, move it out of this home, and go on "
            "without its rows"
        ) from error


def _write_file(rows: pa.Table, path: Path) -> None:
    """Whole or not at all: written aside, synced, renamed, and the folder synced too."""
    import pyarrow.parquet as pq

    with replaced_file(path, durable=True) as aside:
        pq.write_table(rows, aside, compression="zstd")


def _groups_to_merge(files: list[Path]) -> Iterator[list[Path]]:
    """Files in their order, each time as many as reach SMALL_BYTES; one alone is left as it is."""
    group: list[Path] = []
    size = 0
    for file in files:
        group.append(file)
        size += file.stat().st_size
        if size >= SMALL_BYTES:
            if len(group) > 1:
                yield group
            group, size = [], 0
    if len(group) > 1:
        yield group


def _merge_files(files: list[Path], answers: bool) -> None:
    """The rows of all in one new file, then the old ones go: killed in between, they are there twice, and merged again."""
    import pyarrow as pa

    kind: Kind = "answers" if answers else "feedback"
    name = hashlib.sha256("\n".join(file.name for file in files).encode()).hexdigest()[:24]
    whole = unique_rows(pa.concat_tables([_read_file(file, kind, schema_of(kind).names) for file in files]))
    _write_file(whole.sort_by([("time", "ascending"), ("id", "ascending")]), files[0].with_name(f"day-{name}.parquet"))
    for file in files:
        file.unlink(missing_ok=True)


def _remove_abandoned(day: Path) -> None:
    for aside in list_folder(day, ".*"):
        if time.time() - aside.stat().st_mtime > _ABANDONED_SECONDS:
            aside.unlink(missing_ok=True)


@contextmanager
def _try_tidy_lock(folder: Path) -> Iterator[bool]:
    """Whether there is something to tidy up that no other process tidies; none does while the block lasts."""
    if not folder.is_dir():
        yield False
        return
    with (folder / ".tidy.lock").open("a") as lock:
        yield take_lock(lock)
