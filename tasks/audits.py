"""What audits say of served answers: whether each was right, or how far it was off."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from configs.schema import Pipeline
from tasks.common.home import Home

if TYPE_CHECKING:
    import pandas as pd


def audit_correctness(pipeline: Pipeline, home: Home, answers: pd.DataFrame, feedback: pd.DataFrame) -> pd.Series:
    """Whether each answer is the label of its audit, however the auditor spelled it, and however the log redacted it.

    Of sets of labels it is their F1, and of answers that stand in texts that of their words.
    """
    import pandas as pd

    from tasks.data.feedback import is_target, labelled_answers, sets_spelled_as_known, spelled_as_known, with_own_spans
    from tasks.data.label_sets import all_labels, set_scores
    from tasks.data.labels import canonical_label
    from tasks.data.preparation.load import redactor_of

    labels = labelled_answers(answers, feedback)
    labels = labels[labels["label"].map(partial(is_target, pipeline.facts)).astype(bool)]
    labels = with_own_spans(labels) if pipeline.facts.has_spans else labels
    label = answers["id"].map(labels[labels["label_source"] == "audit"].set_index("id")["label"])
    heard, redactor = label.astype(object).where(label.notna(), None).tolist(), redactor_of(pipeline.data, home.path)
    if pipeline.facts.finds_answers:
        return pd.Series(_answer_scores(answers, heard), index=answers.index, dtype="float64")
    if pipeline.facts.has_label_sets:
        audited_sets = sets_spelled_as_known(heard, {*all_labels(answers["prediction"])}, redactor)
        return pd.Series(set_scores(answers["prediction"].tolist(), audited_sets), index=answers.index, dtype="float64")
    answer = answers["prediction"].map(canonical_label)
    spelled = pd.Series(spelled_as_known(heard, set(answer), redactor), index=answers.index, dtype=object)
    right: pd.Series = (spelled == answer).where(label.notna()).astype("float64")
    return right


def _answer_scores(answers: pd.DataFrame, heard: list[str | None]) -> list[float]:
    """F1 of each answer against the audit's, NaN where there is none, or none that stands in the text."""
    from tasks.data.answers import right_places
    from tasks.problems.metrics.answers import answers_f1

    texts = answers["text"].tolist()
    right = [None if value is None else right_places(value, text) for value, text in zip(heard, texts, strict=True)]
    return answers_f1(answers["prediction"].tolist(), right, texts)


def audit_errors(answers: pd.DataFrame, feedback: pd.DataFrame) -> pd.Series:
    """How far each audited number was off, NaN where no audit says."""
    from tasks.data.feedback import labelled_answers
    from tasks.data.numbers import LARGEST

    labels = labelled_answers(answers, feedback)
    label = answers["id"].map(labels[labels["label_source"] == "audit"].set_index("id")["label"]).astype("float64")
    error: pd.Series = (answers["prediction"].astype("float64") - label.clip(-LARGEST, LARGEST)).abs()
    return error
