"""performance.language_accuracy, performance.language_error: whether the champion is less right in one language than it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tasks.drift.performance import LEAST_LABELS, accuracy_loss, error_rise, labelled_rows
from tasks.drift.types import Finding, MonitorQuestion, Sample


def language_loss(question: MonitorQuestion, reference: Sample, window: Sample) -> Finding:
    """The surest loss of accuracy in one language, or rise of the error of numbers, on audited rows.

    Each language that the reference tells apart (`judged_languages`) has an equal part of alpha (Bonferroni), whether the window
    holds labels of it or not: what a language may spend does not hang on the traffic.
    """
    names = judged_languages(reference)
    if not names:
        return question.silent(f"no language has {LEAST_LABELS} labelled rows in the reference")
    judge = accuracy_loss if reference.error is None else error_rise
    part = replace(question, alpha=question.alpha / len(names))
    findings = {name: judge(part, rows_in(reference, name), rows_in(window, name)) for name in names}
    judged_names = [name for name in names if findings[name].judged]
    if not judged_names:
        return question.silent(f"fewer than {LEAST_LABELS} audited labels in each of {', '.join(names)}")
    name = min(judged_names, key=lambda each: (findings[each].p, -findings[each].effect, each))
    finding = findings[name]
    return replace(finding, p=min(1.0, finding.p * len(names)), alpha=question.alpha, note=f"{name}: {finding.note}")


def judged_languages(reference: Sample) -> tuple[str, ...]:
    """The languages of which the reference holds enough labelled rows to be judged by themselves, in order."""
    scores = reference.correct if reference.error is None else reference.error
    labelled = labelled_rows(reference, reference=True, scores=scores)
    if reference.languages is None or labelled is None:
        return ()
    names, counts = np.unique(reference.languages[labelled.rows], return_counts=True)
    return tuple(str(name) for name, count in zip(names, counts, strict=True) if name and count >= LEAST_LABELS)


def rows_in(sample: Sample, language: str) -> Sample:
    """A sample of the rows of one language; of a sample that tells none apart, no rows."""
    return sample.rows(np.flatnonzero(np.zeros(sample.n) if sample.languages is None else sample.languages == language))
