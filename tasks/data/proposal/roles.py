"""What a column has to be like to play a part in a pipeline, and which parts a problem has, by its facts.

A new setting under `data` that a problem reads is one more Role in ROLES.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from configs.schema import ProblemFacts, ProblemName
from tasks.data.proposal.column_facts import ColumnFacts
from tasks.data.proposal.column_fit import (
    fits_answer,
    fits_answers,
    fits_context,
    fits_label,
    fits_labels,
    fits_number,
    fits_question,
    fits_spans,
    fits_tags,
    fits_text,
    fits_words,
)
from tasks.data.proposal.column_names import match_name


@dataclass(frozen=True)
class Role:
    """A setting under `data` that names a column.

    `names` are hints: words that such columns are called by. `fits` says from the cells alone how well a column suits, 0 to 1, and
    `describe` what was seen of it. `unnamed` is how much of that a column keeps whose name says nothing.
    """

    setting: str
    names: tuple[str, ...]
    fits: Callable[[ColumnFacts], float]
    describe: Callable[[ColumnFacts], str]
    unnamed: float

    def score(self, column: ColumnFacts) -> float:
        """How well a column suits, by cells and name, 0 to 1."""
        return self.fits(column) * (self.unnamed + (1 - self.unnamed) * match_name(column.name, self.names))


def describe_texts(column: ColumnFacts) -> str:
    """What was seen of a column of texts."""
    return f"texts of {column.words:.0f} words" if column.words >= 2 else "words"


TEXT = Role(
    "text",
    (
        "text", "body", "message", "content", "description", "comment", "review", "tweet", "post", "utterance", "sentence",
        "question", "query", "input", "narrative", "complaint", "feedback", "transcript", "document", "article", "headline",
        "nachricht",
        "beschreibung", "kommentar", "inhalt", "frage", "anfrage", "meldung", "satz", "rezension", "beschwerde", "texte", "texto",
    ),
    fits_text,
    describe_texts,
    0.6,
)  # fmt: skip
LABEL = Role(
    "label",
    (
        "label", "intent", "class", "category", "target", "sentiment", "topic", "emotion", "polarity", "rating", "star", "spam",
        "toxic", "type", "kind", "priority", "outcome", "verdict", "answer",
        "is", "has", "duplicate", "relation", "klasse", "kategorie", "stimmung", "typ", "art",
        "thema", "absicht", "bewertung", "stern", "sterne", "note", "ergebnis", "gefuehl", "etikett", "classe", "categorie",
        "categoria", "department", "abteilung", "queue",
    ),
    fits_label,
    lambda column: f"{column.distinct:,} different values",
    0.45,
)  # fmt: skip
LABELS = Role(
    "labels",
    (
        "labels", "tags", "topics", "categories", "genres", "emotions", "codes", "keywords", "etiketten", "schlagworte",
        "kategorien", "themen",
    ),
    fits_labels,
    lambda column: f"sets of {column.label_sets.distinct if column.label_sets else 0:,} labels",
    0.6,
)  # fmt: skip
SPANS = Role(
    "spans",
    ("spans", "entities", "annotations", "mentions", "ner", "highlights", "labels", "label", "entitaeten", "markierungen"),
    fits_spans,
    lambda column: f"spans of {column.spans.labels:,} labels",
    0.9,
)
WORDS = Role("words", ("words", "tokens", "token", "sentence", "text", "woerter"), fits_words, lambda _: "words", 0.7)
TAGS = Role(
    "tags",
    ("tags", "ner", "labels", "iob", "bio", "entities"),
    fits_tags,
    lambda column: f"tags of {column.spans.labels:,} labels",
    0.9,
)
NUMBER = Role(
    "number",
    (
        "number", "score", "price", "amount", "value", "rating", "target", "similarity", "points", "duration", "minutes", "hours",
        "days", "cost", "probability", "degree", "grade", "steps", "zahl", "wert", "preis", "betrag", "punkte", "dauer", "kosten",
    ),
    fits_number,
    lambda column: f"{column.distinct:,} different numbers",
    0.25,
)  # fmt: skip
PROMPT = Role(
    "prompt",
    (
        "prompt", "question", "instruction", "document", "article", "source", "src", "input", "query", "dialogue", "word",
        "context",
        "request", "frage", "quelle", "artikel", "dokument", "eingabe", "anweisung", "wort", "en", "english",
    ),
    fits_answer,
    describe_texts,
    0.4,
)  # fmt: skip
COMPLETION = Role(
    "completion",
    (
        "completion", "answer", "response", "output", "target", "tgt", "summary", "highlight", "reply", "chosen",
        "phoneme", "solution", "antwort", "ziel", "zusammenfassung", "ausgabe", "uebersetzung", "loesung", "de", "german",
        *get_args(ProblemName),  # a column of answers is often called by what they are, such as a translation
    ),
    fits_answer,
    describe_texts,
    0.4,
)  # fmt: skip

QUESTION = Role(
    "question",
    ("question", "query", "ask", "frage", "anfrage", "questionnaire", "pregunta"),
    fits_question,
    describe_texts,
    0.6,
)
CONTEXT = Role(
    "context",
    (
        "context", "passage", "paragraph", "document", "text", "article", "description", "body", "evidence", "kontext", "abschnitt",
        "absatz", "dokument", "beschreibung",
    ),
    fits_context,
    describe_texts,
    0.6,
)  # fmt: skip
ANSWERS = Role(
    "answers",
    ("answers", "answer", "span", "antwort", "antworten", "respuesta"),
    fits_answers,
    lambda column: "answers with their places" if column.answers else "words that stand in it",
    0.7,
)

ROLES = {role.setting: role for role in (TEXT, LABEL, LABELS, SPANS, NUMBER, QUESTION, CONTEXT, ANSWERS, PROMPT, COMPLETION)}


def roles_of(facts: ProblemFacts) -> tuple[Role, ...]:
    """The columns that a problem needs: what is read, and what is to be answered; none where one of them is not known here."""
    settings = facts.own_columns
    return tuple(ROLES[setting] for setting in settings) if set(settings) <= ROLES.keys() else ()


def other_roles_of(facts: ProblemFacts) -> tuple[Role, ...]:
    """Another way to name the columns of the same problem, where there is one."""
    return (WORDS, TAGS) if facts.has_spans else ()
