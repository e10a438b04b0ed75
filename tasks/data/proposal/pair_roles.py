"""The columns of problems that read two texts a row, which their names have to show."""

from __future__ import annotations

from configs.schema import ProblemFacts
from tasks.data.proposal.column_facts import ColumnFacts
from tasks.data.proposal.column_names import match_name, name_parts
from tasks.data.proposal.roles import LEAST_OF_PAIR, NUMBER, Role, describe_texts
from tasks.data.proposal.row_roles import are_partners

_PARTNERS = (("query", "passage"), ("query", "document"), ("query", "text"), ("question", "passage"), ("anfrage", "dokument"))
_BELONGING = (("anchor", "positive"), ("query", "positive"), ("anker", "positiv"))
_NEGATIVE = ("negative", "negativ")


def fits_repeated_text(column: ColumnFacts) -> float:
    """Texts or words, which may stand in many rows: a query has several documents, and a document several queries."""
    if column.structured or column.times == "all" or column.distinct < 3:
        return 0.0
    return column.filled * max(column.prose, 0.8 * column.wordy)


def fits_degree(column: ColumnFacts) -> float:
    """Numbers, of two values or more."""
    if column.structured or column.times == "all" or column.numbers < 0.95 or column.rounded or column.consecutive:
        return 0.0
    return column.filled**2 if column.distinct > 1 else 0.0


QUERY = Role("text", ("query", "question", "anfrage"), fits_repeated_text, describe_texts, 0.0)
RELEVANCE = Role(
    "number",
    ("relevance", "relevant", "rel", "grade", "relevanz", "score"),
    fits_degree,
    lambda column: f"{column.distinct:,} different numbers",
    0.0,
)
ANCHOR = Role("text", ("anchor", "query", "anker"), fits_repeated_text, describe_texts, 0.0)
SENTENCE = Role("text", ("sentence", "satz"), fits_repeated_text, describe_texts, 0.0)
SIMILARITY = Role("number", ("score", "similarity", "aehnlichkeit"), fits_degree, NUMBER.describe, 0.0)


def pair_roles(facts: ProblemFacts) -> tuple[Role, ...]:
    """The columns that a problem needs beside the second text; none where it does not need two."""
    if facts.ranks:
        return QUERY, RELEVANCE
    if facts.pairs_belong:
        return (ANCHOR,)
    return (SENTENCE, SIMILARITY) if facts.embeds else ()


def second_text(facts: ProblemFacts, first: ColumnFacts, columns: list[ColumnFacts]) -> dict[str, ColumnFacts]:
    """The columns that belong to the first text, by their names; empty where none is the second text."""
    texts = [column for column in columns if column is not first and fits_repeated_text(column) >= LEAST_OF_PAIR]
    second = next((column for column in texts if _belongs(facts, first.name, column.name)), None)
    if second is None:
        return {}
    against = next((column for column in texts if match_name(column.name, _NEGATIVE)), None) if facts.pairs_belong else None
    return {"text_pair": second, **({"negative": against} if against is not None else {})}


def _belongs(facts: ProblemFacts, first: str, second: str) -> bool:
    names = "".join(name_parts(first)), "".join(name_parts(second))
    if facts.pairs_belong:
        return names in _BELONGING
    return names in _PARTNERS if facts.ranks else are_partners(first, second)
