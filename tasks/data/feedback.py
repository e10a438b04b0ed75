"""Feedback on answers as rows of the next snapshot: labels and corrections under their own origin, thumbs never.

Users choose what they comment on, so rows of origin "feedback" are learned from and never measured on, and make no class that no
other row has. Rows of origin "audit" were drawn at random with a recorded probability, and go where rows like them go. An audit's
label of an answer wins over a user's, newer or not: else users would choose which audited rows stay in test. Otherwise the newest
wins.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from configs.errors import InfraError
from configs.schema import ProblemFacts, ProblemName, facts_of
from tasks.common.files import replaced_file
from tasks.common.workspace import world_faults
from tasks.data.answers import right_places
from tasks.data.label_sets import labels_of, rename_labels
from tasks.data.labels import by_fold, canonical_label, respell_label
from tasks.data.normalise import key_text, unusable_reason
from tasks.data.numbers import canonical_number
from tasks.data.redaction.placeholders import network_view
from tasks.data.redaction.redact import Redactor
from tasks.data.spans import read_correction
from tasks.data.thumbs import UP
from tasks.data.turns import as_input

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SOURCE, AUDIT, FEEDBACK = "source", "audit", "feedback"
ORIGINS = (SOURCE, AUDIT, FEEDBACK)  # of equal rows the first origin's stays
PREFIX = "answer:"  # of the row's id; the answer's own follows
_COLUMNS = ("id", "text", "target", "time", "origin", "prediction")


@dataclass(frozen=True)
class Export:
    """Rows of feedback on disk; `digest` is of their content, whatever wrote the file."""

    path: Path
    digest: str
    rows: int


def labelled_answers(answers: pd.DataFrame, feedback: pd.DataFrame, kind: Literal["label", "correction"] = "label") -> pd.DataFrame:
    """The answers that were labelled, one line each: their own columns and `label`, `label_time`, `label_source`.

    `label_source` is "audit" only where the answer was drawn for it, whatever the feedback claims.
    """
    import numpy as np

    labels = feedback.loc[feedback["kind"] == kind, ["id", "answer_id", "time", "value", "source"]]
    columns = {"id": "label_id", "answer_id": "id", "time": "label_time", "value": "label", "source": "label_source"}
    labelled = answers.merge(labels.rename(columns=columns), on="id")
    audit = labelled["label_source"].eq("audit") & labelled["audit"]
    labelled["label_source"] = np.where(audit, "audit", "user")
    ordered = labelled.assign(_audit=audit).sort_values(["_audit", "label_time", "label_id"])
    newest = ordered.drop_duplicates("id", keep="last").drop(columns=["_audit", "label_id"])
    return newest.sort_values(["time", "id"], ignore_index=True)


def of_inputs(answers: pd.DataFrame, inputs: Literal["text", "pair", "messages"]) -> pd.DataFrame:
    """Answers to inputs of this form; those to others were given before the pipeline had it, and no network could read them."""
    import pandas as pd

    read = pd.Series([as_input(text, inputs) for text in answers["text"]], index=answers.index, dtype=object)
    return answers.assign(text=read)[read.notna()]


def with_own_spans(labelled: pd.DataFrame) -> pd.DataFrame:
    """Answers whose label is corrected spans, with those as they are kept; without those that were corrected for another text."""
    import pandas as pd

    spans = [read_correction(value, text) for value, text in zip(labelled["label"], labelled["text"], strict=True)]
    corrected = labelled.assign(label=pd.Series(spans, index=labelled.index, dtype=object))
    return corrected[corrected["label"].notna()].reset_index(drop=True)


def accepted_answers(answers: pd.DataFrame, feedback: pd.DataFrame, clean: Callable[[list[str]], list[str]]) -> pd.Series:
    """By row, whether the newest audit of an answer found nothing to correct: 1 or 0, NaN where there is no audit.

    A thumb up accepts an answer, and so does a text equal to it. Texts are compared after `clean`, which is applied to corrections
    too, with redacted values as their kinds, all that a network can write. An audit counts only where its answer was drawn.
    """
    import numpy as np

    audits = feedback[feedback["source"] == "audit"].sort_values(["time", "id"]).drop_duplicates("answer_id", keep="last")
    audited = answers.loc[answers["audit"], ["id", "prediction"]]
    joined = audited.merge(audits[["answer_id", "kind", "value"]], left_on="id", right_on="answer_id")
    texts = [[key_text(text) for text in network_view(clean(joined[name].tolist()))] for name in ("prediction", "value")]
    same = [answer == text for answer, text in zip(*texts, strict=True)]
    good = np.where(joined["kind"] == "thumb", joined["value"] == "up", same).astype(np.float64)
    accepted: pd.Series = answers["id"].map(dict(zip(joined["id"], good, strict=True))).astype(np.float64)
    return accepted


def rows_of(answers: pd.DataFrame, feedback: pd.DataFrame, problem: ProblemName, max_characters: int) -> pa.Table:
    """Rows by id: id, text, target, time, origin, and where answers are texts the prediction that the correction replaces.

    Answers that stand in a text are its places there, and left out where it does not hold them. So are unusable labels and texts
    (normalise.unusable_reason), those over `max_characters` and values of another kind, given before the pipeline had this problem:
    feedback cannot stop a run as a broken source does, and the contract sets rows of it aside one by one.
    """
    import pyarrow as pa

    rows = labelled_answers(answers, feedback, kind=facts_of(problem).feedback)
    rows = with_own_spans(rows) if facts_of(problem).has_spans else rows
    if facts_of(problem).finds_answers:
        targets = [right_places(value, text) for value, text in zip(rows["label"], rows["text"], strict=True)]
        rows["label"] = targets
        rows = rows[rows["label"].notna()]
    texts = rows[["text", "label"]]
    usable = texts.map(lambda text: unusable_reason(text) is None).all(axis=1) & (texts.map(len).max(axis=1) <= max_characters)
    rows = rows[usable & rows["label"].map(partial(is_target, facts_of(problem)))].sort_values("id")
    predictions = rows["prediction"].tolist() if facts_of(problem).writes_text else [None] * len(rows)
    columns = {
        "id": [PREFIX + name for name in rows["id"]],
        "text": rows["text"].tolist(),
        "target": rows["label"].tolist(),
        "time": pa.array(rows["time"], type=pa.timestamp("us", tz="UTC")),
        "origin": [AUDIT if source == "audit" else FEEDBACK for source in rows["label_source"]],
        "prediction": predictions,
    }
    return pa.table({name: pa.array(columns[name], type=_feedback_schema().field(name).type) for name in _COLUMNS})


def is_target(facts: ProblemFacts, value: str) -> bool:
    """Whether a value of feedback is a number in its one spelling, large enough, or a list of labels, where targets are those."""
    try:
        if facts.is_number:
            return canonical_number(value) == value and float(value) >= facts.least_number
        return facts.target != "labels" or _is_list_of_texts(json.loads(value))
    except ValueError:
        return False


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def without_feedback(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that are no user's feedback; all of them where there are no others."""
    own = rows[rows["origin"] != FEEDBACK] if "origin" in rows else rows
    return own if len(own) else rows


def export_feedback(rows: pa.Table, folder: Path) -> Export | None:
    """Write rows to `folder`/<digest>.parquet unless they are there; nothing for no rows."""
    import pyarrow.parquet as pq

    if rows.num_rows == 0:
        return None
    digest = _rows_digest(rows)
    path = folder / f"{digest}.parquet"
    with world_faults(folder):
        if not path.is_file():
            with replaced_file(path) as aside:
                pq.write_table(rows, aside, compression="zstd")
    return Export(path, digest, rows.num_rows)


def read_export(path: Path) -> pa.Table:
    """The rows of an export; InfraError where their hash is not the one in its name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with world_faults(path):
        try:
            with pq.ParquetFile(path) as parquet:
                rows = parquet.read().cast(_feedback_schema())
        except (pa.ArrowInvalid, ValueError) as error:
            raise InfraError(f"{path}: is damaged ({str(error)[:200]}): move it aside and run again, it is made anew") from error
    if _rows_digest(rows) != path.stem:
        raise InfraError(f"{path}: is not what it is named by: move it aside and run again, it is made anew")
    return rows


def spelled_as_known(labels: Sequence[str | None], known: set[str], redactor: Redactor | None) -> list[str | None]:
    """Labels that people wrote, each as the known label that it spells differently, or that the log keeps redacted.

    A label that matches none is free text: it is redacted before it is kept, and None where that is over its budget.
    """
    folds = by_fold(known)
    spelled = [canonical_label(label) for label in labels]
    matched = [label if label is None or label in known else respell_label(label, folds) for label in spelled]
    if redactor is None or all(label is None or label in known for label in matched):
        return matched
    names = sorted(known)
    masks = {mask: name for mask, name in zip(redactor.redact_each(names), names, strict=True) if mask not in (name, None)}
    clean = redactor.redact_each([label or "" for label in matched])
    return [
        label if label is None or label in known else masks.get(label, mask and masks.get(mask, mask))
        for label, mask in zip(matched, clean, strict=True)
    ]


def sets_spelled_as_known(sets: Sequence[str | None], known: set[str], redactor: Redactor | None) -> list[str | None]:
    """Sets of labels that people wrote, each label as `spelled_as_known` has it; None where one of them has no spelling."""
    parts = [() if each is None else labels_of(each) for each in sets]
    spelled = iter(spelled_as_known([label for part in parts for label in part], known, redactor))
    names = [{label: next(spelled) for label in part} for part in parts]
    return [
        None
        if each is None or None in own.values()
        else rename_labels(each, {old: new for old, new in own.items() if new is not None})
        for each, own in zip(sets, names, strict=True)
    ]


def as_canonical(path: Path, schema: pa.Schema, chunk_rows: int = 2000) -> Iterator[pa.RecordBatch]:
    """An export's rows in the canonical columns: no group, no given split, no slices; what was corrected is what was rejected.

    What people wrote in the place of an answer is good: it has a thumb up.
    """
    import pyarrow as pa

    for batch in read_export(path).to_batches(max_chunksize=chunk_rows):
        n = batch.num_rows
        there = {"rejected" if name == "prediction" else name: batch.column(name) for name in _COLUMNS}
        there["thumb"] = pa.array([UP] * n, type=pa.string())
        yield pa.record_batch([there.get(f.name, pa.nulls(n, type=f.type)) for f in schema], schema=schema)


def _feedback_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.timestamp("us", tz="UTC") if name == "time" else pa.string()) for name in _COLUMNS])


def _rows_digest(rows: pa.Table) -> str:
    """sha256 of the rows as lines of JSON."""
    import pyarrow as pa

    digest = hashlib.sha256()
    whole = rows.set_column(_COLUMNS.index("time"), "time", rows.column("time").cast(pa.int64()))
    for batch in whole.to_batches(max_chunksize=10_000):
        for values in zip(*(batch.column(name).to_pylist() for name in _COLUMNS), strict=True):
            digest.update(json.dumps(values).encode() + b"\n")
    return digest.hexdigest()
