"""Answers as people read them on pages: labels, spans with their words, stretches of a text, in place of how they are kept."""

from __future__ import annotations

from configs.schema import ProblemFacts
from tasks.data.answers import answer_texts
from tasks.data.label_sets import labels_of
from tasks.data.spans import spans_of


def shown_answer(facts: ProblemFacts, answer: str, text: str) -> str:
    """An answer, as it is kept, to a text, as it is kept."""
    if facts.has_spans:
        return ", ".join(f"{text[start:end]} ({label})" for start, end, label in spans_of(answer)) or "no span"
    if facts.has_label_sets:
        return ", ".join(labels_of(answer)) or "no label"
    if facts.finds_answers:
        return ", ".join(answer_texts(answer, text)) or "no answer"
    return answer
