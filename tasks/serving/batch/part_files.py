"""The part files of a batch, held by one process at a time, and the result that is put together from them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from configs.errors import InfraError
from tasks.common.files import flush_to_disk, replaced_file
from tasks.common.workspace import remove_orphans
from tasks.serving.batch.input_files import staging_prefix
from tasks.serving.batch.scoring_job import ScoringJob

if TYPE_CHECKING:
    import pyarrow as pa

MARK = b"tunekeeper.score"
GROUP_ROWS = 50_000  # of a row group of the result


def result_mark(path: Path) -> dict[str, Any] | None:
    """The mark that a scoring left in its result; None where the file is absent or has none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        mark = (pq.read_schema(path).metadata or {}).get(MARK)
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    except OSError as error:
        if error.errno is not None:
            raise
        return None  # the library's word for a damaged footer
    return None if mark is None else dict(json.loads(mark))


def put_together(job: ScoringJob, folder: Path) -> int:
    """Join all parts in one file, in bounded memory; returns how many rows have an answer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = sorted(folder.glob("part-*.parquet"))
    counts = [pq.read_metadata(part).num_rows for part in parts]
    schema = _widest_schema(parts)
    answer_count: int = sum(
        table.num_rows - table.column(0).null_count for table in (_read_part(part, ["prediction"]) for part in parts)
    )
    mark = json.dumps({"key": job.key, "rows": sum(counts), "answered": answer_count, "version": job.version})
    aside = folder / "whole"
    with pq.ParquetWriter(aside, schema.with_metadata({MARK: mark.encode()}), compression="zstd") as writer:
        waiting: list[pa.Table] = []
        for number, part in enumerate(parts):
            waiting.append(_fit_to_schema(_read_part(part), schema))
            if sum(table.num_rows for table in waiting) >= GROUP_ROWS or number == len(parts) - 1:
                writer.write_table(pa.concat_tables(waiting).combine_chunks())
                waiting = []
    flush_to_disk(aside)
    aside.replace(job.output)
    flush_to_disk(job.output.parent)
    return answer_count


def _read_part(part: Path, columns: list[str] | None = None) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(part) as parquet:
        return parquet.read(columns=columns)


def _widest_schema(parts: list[Path]) -> pa.Schema:
    """The schema of all parts; a part without answers has no column of scores."""
    import pyarrow.parquet as pq

    return max((pq.read_schema(part).remove_metadata() for part in parts), key=len)


def _fit_to_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    columns = dict(zip(table.column_names, table.columns, strict=True))
    arrays = [columns[field.name] if field.name in columns else pa.nulls(table.num_rows, field.type) for field in schema]
    return pa.table(arrays, schema=schema)


@contextmanager
def locked_parts(job: ScoringJob) -> Iterator[Path]:
    """The folder of this job's parts, held by a lock that death releases."""
    folder = _job_folder(job)
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(folder / ".lock", blocking=False))
        except Timeout:
            raise InfraError(f"{job.output} is being scored by another process: let it end, or stop it, then run again") from None
        for aside in folder.glob(".part-*"):
            aside.unlink()
        yield folder


def _job_folder(job: ScoringJob) -> Path:
    return job.output.with_name(f".{job.output.name}.{job.key[:16]}.parts")


def clear_parts(job: ScoringJob) -> None:
    """Remove this job's parts, and what other jobs for the same result left that no process works on."""
    shutil.rmtree(_job_folder(job), ignore_errors=True)
    for folder in list(job.output.parent.iterdir()):
        if folder.name.startswith(f".{job.output.name}.") and folder.name.endswith(".parts"):
            remove_orphans(folder.parent, folder.name)
    remove_orphans(job.output.parent, staging_prefix(job.output))


def write_part(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    with replaced_file(path, durable=True) as aside:
        pq.write_table(table, aside, compression="zstd")
