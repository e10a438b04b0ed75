"""How questions on a text were answered, as the plain values of a report: with and without an answer, and the worst of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tasks.data.answers import Place, context_of, places_of, question_of
from tasks.report.run import rows as page
from tasks.snapshots import open_snapshot

if TYPE_CHECKING:
    import pandas as pd

    from tasks.collect.run import Findings
    from tasks.common.home import Home

WORST = 20
BESIDE = 160  # characters of a context that are shown on either side of its answers
BEGINNING = 400  # of one without any


def answer_fit(findings: Findings, home: Home) -> page.AnswerFit:
    """The challenger's answers to the test rows."""
    frame = findings.challenger.frame
    test = open_snapshot(home, findings.prepared.snapshot).frame("test")
    texts = dict(zip(test["id"], test["text"], strict=True))
    worst = frame[frame["f1"] < 1].sort_values(["f1", "confidence"], ascending=[True, False], kind="stable").head(WORST)
    has_answer = frame["target"].map(lambda target: bool(places_of(target)))
    groups = (("there is an answer", frame[has_answer]), ("there is none", frame[~has_answer]))
    return page.AnswerFit(
        groups=tuple(_group(name, part) for name, part in groups if len(part)),
        worst=tuple(_example(row, texts) for row in worst.itertuples()),
    )


def _group(name: str, rows: pd.DataFrame) -> page.AnswerGroup:
    answer_count = int(rows["prediction"].map(lambda prediction: bool(places_of(prediction))).sum())
    return page.AnswerGroup(
        name=name, n=len(rows), answered=answer_count, f1=float(rows["f1"].mean()), exact_match=float(rows["exact_match"].mean())
    )


def _example(row: Any, texts: Mapping[str, str]) -> page.AnswerExample:
    text, right, given = texts[row.id], places_of(row.target), places_of(row.prediction)
    context = context_of(text)
    return page.AnswerExample(
        id=row.id,
        question=question_of(text),
        pieces=context_pieces(context, right, given),
        right=tuple(place.text(context) for place in right),
        given="".join(place.text(context) for place in given),
        f1=float(row.f1),
        confidence=float(row.confidence),
    )


def context_pieces(context: str, right: Sequence[Place], given: Sequence[Place]) -> tuple[page.ContextPiece, ...]:
    """A context cut where an answer begins or ends; of a long one what stands around its answers."""
    every = [*right, *given]
    first = max(0, min(place.start for place in every) - BESIDE) if every else 0
    last = min(len(context), max(place.end for place in every) + BESIDE if every else BEGINNING)
    edges = sorted({first, last, *(edge for place in every for edge in place)})
    pieces = [
        page.ContextPiece(
            text=context[start:end],
            right=any(place.start <= start and end <= place.end for place in right),
            given=any(place.start <= start and end <= place.end for place in given),
        )
        for start, end in pairwise(edges)
    ]
    ellipsis = page.ContextPiece(text="\N{HORIZONTAL ELLIPSIS}")
    return (*([ellipsis] if first > 0 else []), *pieces, *([ellipsis] if last < len(context) else []))
