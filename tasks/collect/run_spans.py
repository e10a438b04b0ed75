"""What test rows with labelled spans show, as the plain values of a report: scores of each type, and texts with their spans."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tasks.data.spans import Span, spans_of
from tasks.evaluate import groups_of
from tasks.problems.metrics.spans import label_counts
from tasks.report.run import rows as page
from tasks.snapshots import open_snapshot
from tasks.stats.intervals import mean_interval

if TYPE_CHECKING:
    import pandas as pd

    from tasks.collect.run import Findings
    from tasks.common.home import Home

WORST = 20
OF_GROUP = 2
AROUND = 300  # characters that are shown on either side of the first error of a long text
LONGEST = 2 * AROUND


def span_report(findings: Findings, home: Home) -> page.SpanReport:
    """Each type with its scores, and the rows that are answered worst, of equally bad ones those that the model was surest of.

    Of a group two rows at the most are shown: its texts are alike, and so are its errors.
    """
    frame = findings.challenger.frame
    wrong = frame[frame["f1"] < 1].sort_values(["f1", "confidence"], ascending=[True, False], kind="stable")
    wrong = wrong.groupby(wrong["group"].fillna(wrong["id"]), sort=False).head(OF_GROUP).head(WORST)
    texts = open_snapshot(home, findings.prepared.snapshot).frame("test").set_index("id")["text"]
    columns = zip(wrong["id"], wrong["target"], wrong["prediction"], wrong["f1"], strict=True)
    examples = (
        page.SpanExample(id=name, f1=float(f1), pieces=span_pieces(texts[name], spans_of(target), spans_of(answer)))
        for name, target, answer, f1 in columns
    )
    return page.SpanReport(types=_type_rows(findings), examples=tuple(examples))


def _type_rows(findings: Findings) -> tuple[page.ClassRow, ...]:
    """Precision, F1, and recall with its interval, of each type that occurs; spans of a group, else of a row, count together."""
    frame = findings.challenger.frame
    targets, predictions = ([spans_of(each) for each in frame[name]] for name in ("target", "prediction"))
    groups = groups_of(findings.challenger) or [str(name) for name in frame["id"]]
    theirs = {} if findings.champion is None else _recalls(findings.champion.frame)
    class_rows = []
    for label, counts in label_counts(targets, predictions).items():
        hits, own = [], []
        for spans, answers, group in zip(targets, predictions, groups, strict=True):
            span_hits = [span in answers for span in spans if span[2] == label]
            hits += span_hits
            own += [group] * len(span_hits)
        interval = mean_interval(np.array(hits, dtype=float), own) if hits else None
        class_rows.append(
            page.ClassRow(
                name=label, n=counts.wanted, recall=counts.recall if hits else None, f1=counts.f1,
                precision=counts.precision if counts.answered else None, low=interval.low if interval else None,
                high=interval.high if interval else None, champion=theirs.get(label),
            )
        )  # fmt: skip
    return tuple(sorted(class_rows, key=lambda row: (-row.n, row.name)))


def _recalls(frame: pd.DataFrame) -> dict[str, float]:
    targets, predictions = ([spans_of(each) for each in frame[name]] for name in ("target", "prediction"))
    return {label: counts.recall for label, counts in label_counts(targets, predictions).items() if counts.wanted}


def span_pieces(text: str, wanted: tuple[Span, ...], answered: tuple[Span, ...]) -> tuple[page.SpanPiece, ...]:
    """A text cut where spans begin and end; a long one around its first error alone."""
    right = {*wanted} & {*answered}
    first, last = _shown_part(text, min((start for start, *_ in {*wanted} ^ {*answered}), default=0))
    cuts = sorted({first, last} | {min(max(at, first), last) for start, end, _ in (*wanted, *answered) for at in (start, end)})
    pieces = [page.SpanPiece(text="… ")] if first > 0 else []
    for start, end in pairwise(cuts):
        ends = [("right" if span in right else "missed", span) for span in wanted if start < span[1] <= end]
        ends += [("wrong", span) for span in answered if start < span[1] <= end and span not in right]
        pieces.append(
            page.SpanPiece(
                text=text[start:end],
                wanted=any(span[0] < end and span[1] > start for span in wanted),
                answered=any(span[0] < end and span[1] > start for span in answered),
                right=any(span[0] < end and span[1] > start for span in right),
                ends=tuple(page.SpanEnd(mark=mark, label=span[2]) for mark, span in ends),  # type: ignore[arg-type]
            )
        )
    return (*pieces, *([page.SpanPiece(text=" …")] if last < len(text) else []))


def _shown_part(text: str, error: int) -> tuple[int, int]:
    if len(text) <= LONGEST:
        return 0, len(text)
    first = max(0, min(error - AROUND, len(text) - LONGEST))
    return first, min(len(text), first + LONGEST)
