"""The group of a row that ranks a document for a query: its query, by a hash of what is kept of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tasks.data.normalise import key_text, normalise_text
from tasks.data.text_parts import split_parts

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.data.redaction.redact import Redactor

DIGITS = 16


def group_by_query(rows: pa.RecordBatch, redactor: Redactor | None) -> pa.RecordBatch:
    """Rows with their `group` set; a query is redacted before it is hashed, so that the log's copy of it is the same group.

    None where a row has no text, or one that is over the budget of its search.
    """
    import pyarrow as pa

    queries = [None if text is None else normalise_text(split_parts(text)[0]) for text in rows.column("text").to_pylist()]
    distinct = [query for query in dict.fromkeys(queries) if query is not None]
    clean_queries = redactor.redact_each(distinct) if redactor else distinct
    groups: dict[str | None, str | None] = {query: _hash_of(text) for query, text in zip(distinct, clean_queries, strict=True)}
    column = pa.array([groups.get(query) for query in queries], type=pa.string())
    return rows.set_column(rows.schema.get_field_index("group"), "group", column)


def _hash_of(query: str | None) -> str | None:
    return None if query is None else hashlib.sha256(key_text(query).encode()).hexdigest()[:DIGITS]
