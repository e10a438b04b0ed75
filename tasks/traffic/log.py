"""The traffic log: every answer and every feedback, kept without slowing the answer.

The caller only appends to a list. A thread writes what waits to this process's journal every 0.2 s and syncs it every second, so
kill -9 costs what waited, and the machine's end one second. Another moves finished journals to their store: Parquet by day, or
tables in a database; while that is away journals wait. A full disk or a full queue costs records, which are counted and said
once, never answers. A journal of which a line cannot be read is set aside as NAME.damaged.

Open it in the process that answers, after any fork. Texts come redacted; labels and corrections are redacted by `redact`, if it is
given, in the thread that calls `feedback`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.traffic.journal import content_of, list_journals
from tasks.traffic.records import Answer, Feedback, Kind, decode_records, draw_audit, frame_of, new_id
from tasks.traffic.settle import settle_journals
from tasks.traffic.store import ParquetStore, Query, Store
from tasks.traffic.writer import Redact, Traffic, WriterCounts

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "Answer",
    "Feedback",
    "Query",
    "Traffic",
    "WriterCounts",
    "draw_audit",
    "find_answers",
    "new_id",
    "open_traffic",
    "pending_audits",
    "read_answers",
    "read_feedback",
]  # fmt: skip

log = logging.getLogger(__name__)


def open_traffic(home: Path, pipeline: str, url: str | None = None, redact: Redact | None = None) -> Traffic:
    """The log of a pipeline's traffic: in HOME/traffic/PIPELINE, or, with a URL, in that database by way of journals there.

    Nothing is written before the first record. Raises InputError for a URL that cannot be one.
    """
    return Traffic(_traffic_folder(home, pipeline), _open_store(home, pipeline, url), redact)


def read_answers(home: Path, pipeline: str, url: str | None = None, query: Query | None = None) -> pd.DataFrame:
    """Answers by time, those still in journals too; with `query.most` a random sample of so many, in bounded memory."""
    return frame_of(_read_rows(home, pipeline, url, "answers", query or Query()))


def read_feedback(home: Path, pipeline: str, url: str | None = None) -> pd.DataFrame:
    """All feedback by time."""
    return frame_of(_read_rows(home, pipeline, url, "feedback", Query()))


def find_answers(home: Path, pipeline: str, url: str | None, ids: Collection[str]) -> pd.DataFrame:
    """The answers with these ids, as far as they are there."""
    return frame_of(_read_rows(home, pipeline, url, "answers", Query(ids=frozenset(ids))))


def pending_audits(
    home: Path,
    pipeline: str,
    url: str | None = None,
    start: datetime | None = None,
    most: int | None = None,
    thumbs: bool = False,
) -> pd.DataFrame:
    """Answers since `start` drawn to be labelled that no audit has labelled yet, nor, with `thumbs`, given a thumb.

    By id, which is a random order: labelling only the first of them is still a fair draw. A user's own label does not
    count, for users choose what they label. Feedback comes after its answer: older feedback is not read.
    """
    kinds = ["label", "correction", *(["thumb"] if thumbs else [])]
    feedback = _read_rows(home, pipeline, url, "feedback", Query(start)).to_pandas()
    done = feedback[(feedback["source"] == "audit") & feedback["kind"].isin(kinds)]["answer_id"]
    drawn = _read_rows(home, pipeline, url, "answers", Query(start, audits=True)).to_pandas()
    pending: pd.DataFrame = drawn[~drawn["id"].isin(done)].sort_values("id", ignore_index=True)
    return pending if most is None else pending.head(most)


def _read_rows(home: Path, pipeline: str, url: str | None, kind: Kind, query: Query) -> pa.Table:
    """Journals first, then the store: what moves meanwhile is seen twice rather than not at all."""
    import pyarrow as pa

    folder, store = _traffic_folder(home, pipeline), _open_store(home, pipeline, url)
    try:
        settle_journals(folder, store)
    except OSError as error:
        log.warning("journals in %s stay where they are (%s)", folder, error.strerror)
    open_ones = [_open_journal(path)[kind].select(query.names(kind)) for path in list_journals(folder)]
    stored = store.read(kind, query)
    store.close()
    return query.of(pa.concat_tables([stored, *open_ones]))


def _open_journal(path: Path) -> dict[Kind, pa.Table]:
    """What can be read of a journal that is still written, or cannot be moved; nothing where it was moved meanwhile."""
    records = decode_records(content_of(path) or b"")
    if records.damaged:
        log.warning("%d lines of the journal %s cannot be read, and are left out", records.damaged, path)
    return records.tables


def _traffic_folder(home: Path, pipeline: str) -> Path:
    return home / "traffic" / pipeline


def _open_store(home: Path, pipeline: str, url: str | None) -> Store:
    if url is None:
        return ParquetStore(_traffic_folder(home, pipeline))
    from tasks.traffic.sql import SqlStore

    return SqlStore(url, pipeline)
