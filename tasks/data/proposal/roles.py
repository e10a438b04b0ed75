"""What a column has to be like to play a part in a pipeline, and which parts a problem has, by its facts.

A new setting under `data` that a problem reads is one more Role in ROLES.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from configs.schema import ProblemFacts, ProblemName
from tasks.data.proposal.column_facts import ColumnFacts
from tasks.data.proposal.column_names import LAST, match_name, name_parts

MOST_LABELS = 1_000
LONG_LABEL = 8  # words: longer cells are answers, not names of classes
_SLICES = (
    "language", "lang", "region", "country", "channel", "source", "platform", "version", "split", "location", "timezone",
    "sprache", "land", "kanal", "quelle", "ort", "city", "state", "gender", "confidence",
)  # fmt: skip


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


def fits_text(column: ColumnFacts) -> float:
    """Sentences that differ from row to row, the longer the better."""
    if column.structured or column.times == "all":
        return 0.0
    says = max(column.prose, 0.4 * column.wordy)
    length = min(1.0, 0.6 + column.words / 50)
    return column.filled * says * length * min(1.0, 2 * column.variety) ** 2


def fits_label(column: ColumnFacts) -> float:
    """Few short values that repeat; of a single one nothing can be learned, but a file may be sorted by it."""
    if column.structured or column.times == "all" or not 1 <= column.distinct <= MOST_LABELS or column.cells < 4:
        return 0.0
    repeats = min(1.0, max(0.0, 1.25 - 2.5 * column.variety)) if column.distinct > 2 else 1.0
    short = 1.0 if column.words <= LONG_LABEL else 0.2
    alone = 0.2 if column.distinct == 1 else 1.0
    known = 0.5 if match_name(column.name, _SLICES) >= LAST or _is_id_name(column.name) else 1.0
    many = 0.8 if column.numeric == 1 and column.distinct > 20 else 1.0
    many *= 0.2 if fits_labels(column) else 1.0
    return column.filled**2 * repeats * short * alone * known * many


def fits_labels(column: ColumnFacts) -> float:
    """Lists of short values that repeat, some of them with several."""
    sets = column.label_sets
    if sets is None or sets.several < 0.05 or sets.distinct > MOST_LABELS or sets.words > LONG_LABEL / 2:
        return 0.0
    return sets.readable**2 * min(1.0, sets.repeats / 3)


def fits_number(column: ColumnFacts) -> float:
    """Numbers of many values, as they are read; fewer are rather names of classes."""
    if column.structured or column.times == "all" or column.numbers < 0.95 or column.rounded or column.consecutive:
        return 0.0
    many = min(1.0, column.distinct / 30)
    return column.filled**2 * many * (0.2 if _is_id_name(column.name) else 1.0)


def fits_answer(column: ColumnFacts) -> float:
    """Texts, words or numbers that differ from row to row, and do not number the rows."""
    if column.structured or column.times == "all" or column.consecutive:
        return 0.0
    says = max(column.prose, 0.7 * column.wordy, 0.4 * column.numeric)
    names_rows = 0.2 if column.is_unique and column.words <= 1 and _is_id_name(column.name) else 1.0
    return column.filled**2 * says * min(1.0, 2 * column.variety) * names_rows


def _describe_texts(column: ColumnFacts) -> str:
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
    _describe_texts,
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
    _describe_texts,
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
    _describe_texts,
    0.4,
)  # fmt: skip

MESSAGES = Role(
    "messages",
    ("messages", "conversations", "conversation", "chat", "chats", "dialog", "dialogue", "turns", "nachrichten", "gespraech"),
    lambda column: column.conversations,
    lambda _: "conversations",
    0.9,
)

ROLES = {role.setting: role for role in (TEXT, LABEL, LABELS, NUMBER, PROMPT, COMPLETION)}


def roles_of(facts: ProblemFacts) -> tuple[Role, ...]:
    """The columns that a problem needs: what is read, and what is to be answered; none where one of them is not known here."""
    settings = (facts.input_column, facts.target_column)
    return tuple(ROLES[setting] for setting in settings) if set(settings) <= ROLES.keys() else ()


_PARTNERS = (
    ("premise", "hypothesis"), ("claim", "evidence"), ("query", "passage"), ("query", "document"), ("praemisse", "hypothese"),
)  # fmt: skip
_NUMBERED = (("1", "2"), ("a", "b"))  # how the names of two texts beside one another end


def are_partners(first: str, second: str) -> bool:
    """Whether two columns are called as two texts that are read beside one another: `question1` and `question2`."""
    own, other = "".join(name_parts(first)), "".join(name_parts(second))
    ends = (own[-1:], other[-1:])
    return (own, other) in _PARTNERS or (len(own) > 1 and own[:-1] == other[:-1] and ends in _NUMBERED)


_ID_NAMES = ("id", "uid", "uuid", "guid", "key", "nr", "no", "nummer", "number", "kennung", "identifier")
_INDEX_NAMES = ("index", "unnamed", "row", "rowid", "zeile")
_GROUP_NAMES = (
    "customer", "client", "user", "author", "account", "thread", "conversation", "session", "dialog", "dialogue", "patient",
    "sender", "member", "kunde", "kunden", "kundennummer", "kundennr", "nutzer", "benutzer", "autor", "absender", "username",
    "userid", "customerid", "gespraech", "mandant",
)  # fmt: skip
_TIME_NAMES = (
    "created", "date", "time", "timestamp", "datum", "zeit", "published", "added", "posted", "received", "at", "erstellt",
    "eingang",
)  # fmt: skip
_NAMING = (*_ID_NAMES, "name", "code", "hash")


def fits_id(column: ColumnFacts) -> float:
    """Unique short codes. Row numbers name no row for long, and a float has lost digits of a long number."""
    if not column.is_unique or column.structured or column.times == "all" or column.rounded or column.spaced or column.longest > 64:
        return 0.0
    if column.consecutive and match_name(column.name, _INDEX_NAMES):
        return 0.0
    named = match_name(column.name, _ID_NAMES)
    is_code = column.numeric < 1 and column.prose == 0 and column.wordy < 1
    return max(named, 0.8 if _is_id_name(column.name) else 0.0, 0.3 if is_code else 0.0)


def fits_group(column: ColumnFacts) -> float:
    """Names or numbers of persons or threads that repeat: at least ten, none with more than a fifth of the rows."""
    parts = _without_naming_words(column.name)
    named = match_name(parts, _GROUP_NAMES)
    repeats = column.cells >= 1.1 * column.distinct and column.distinct >= 10 and column.commonest <= 0.2
    return named if named >= 0.8 and repeats and column.filled >= 0.9 and column.longest <= 100 else 0.0


def fits_time(column: ColumnFacts) -> float:
    """Times as they are read, of at least three moments."""
    if column.times != "all" or column.distinct < 3:
        return 0.0
    return column.filled * (0.5 + 0.5 * match_name(column.name, _TIME_NAMES))


def _is_id_name(name: str) -> bool:
    """Whether a name ends as those of ids do: `ticket_id`, `mailID`, `Kundennr`."""
    return name.casefold().endswith("id") or match_name(name, _ID_NAMES) >= LAST


def _without_naming_words(name: str) -> str:
    """`customer` of `customer_id`: what is named, not how."""
    parts = list(name_parts(name))
    while len(parts) > 1 and parts[-1] in _NAMING:
        parts.pop()
    return " ".join(parts)
