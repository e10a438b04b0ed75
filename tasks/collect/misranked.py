"""Texts whose right partners, or documents, do not stand first, as the plain values of a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tasks.data.text_parts import split_parts
from tasks.report.run import rows as page
from tasks.snapshots import open_snapshot

if TYPE_CHECKING:
    import pandas as pd

    from tasks.collect.run import Findings
    from tasks.common.home import Home

WORST = 20


def misranked_texts(findings: Findings, home: Home) -> tuple[page.Misranked, ...]:
    """The worst first: what was looked for, how far behind the first right text stands, and what stands first instead."""
    facts, frame = findings.pipeline.facts, findings.challenger.frame
    if not (facts.ranks or facts.pairs_belong):
        return ()
    texts = open_snapshot(home, findings.prepared.snapshot).frame("test").set_index("id")["text"]
    return tuple((_misranked_queries if facts.ranks else _misranked_pairs)(frame, texts))


def query_notices(findings: Findings) -> Iterator[str]:
    """Where the rows of a query have one score: how many queries the rows are, and how many of them have none."""
    metrics, frame = findings.challenger.metrics, findings.challenger.frame
    if findings.pipeline.facts.ranks:
        left_out = int(metrics["queries_left_out"])
        without = f"; {left_out:,} more have no relevant document, and no score" if left_out else ""
        queries = f"{len(frame):,} rows are {int(metrics['queries']):,} queries"
        yield f"The rows of a query have one score, and count as one: {queries}{without}"


def _misranked_pairs(frame: pd.DataFrame, texts: pd.Series) -> Iterator[page.Misranked]:
    for row in _rows(frame[frame["rank"] > 1].nlargest(WORST, "rank")):
        query, right = split_parts(texts[row.id])
        before = split_parts(texts[row.before])[1] if row.before else ""
        yield page.Misranked(id=row.id, text=query, rank=int(row.rank), right=right, before=before)


def _misranked_queries(frame: pd.DataFrame, texts: pd.Series) -> Iterator[page.Misranked]:
    """By their nDCG; the first row of a query has it."""
    scored = frame.assign(score=frame["prediction"].astype(float), gain=frame["target"].astype(float))
    for worst in _rows(frame[frame["ndcg"] < 1].nsmallest(WORST, "ndcg")):
        rows = scored[scored["query"] == worst.query].sort_values(["score", "gain"], ascending=[False, True], kind="stable")
        place = int((rows["gain"].to_numpy() > 0).argmax())
        right, first = rows["id"].iloc[place], rows["id"].iloc[0]
        query, document = split_parts(texts[right])
        before = split_parts(texts[first])[1] if place else ""
        yield page.Misranked(id=right, text=query, rank=place + 1, right=document, before=before)


def _rows(frame: pd.DataFrame) -> Iterator[Any]:
    return frame.itertuples()
