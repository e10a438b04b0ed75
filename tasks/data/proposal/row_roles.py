"""Which columns say which row it is, when it was made and whose it is, and which two are called as a pair."""

from __future__ import annotations

from tasks.data.proposal.column_facts import ColumnFacts
from tasks.data.proposal.column_names import LAST, match_name, name_parts

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
    name_score = match_name(column.name, _ID_NAMES)
    is_code = column.numeric < 1 and column.prose == 0 and column.wordy < 1
    return max(name_score, 0.8 if is_id_name(column.name) else 0.0, 0.3 if is_code else 0.0)


def fits_group(column: ColumnFacts) -> float:
    """Names or numbers of persons or threads that repeat: at least ten, none with more than a fifth of the rows."""
    parts = _without_naming_words(column.name)
    name_score = match_name(parts, _GROUP_NAMES)
    return name_score if name_score >= 0.8 and shares_values(column) and column.filled >= 0.9 and column.longest <= 100 else 0.0


def shares_values(column: ColumnFacts) -> bool:
    """Whether rows share values, of which there are at least ten, none in more than a fifth of the rows."""
    return column.cells >= 1.1 * column.distinct and column.distinct >= 10 and column.commonest <= 0.2


def fits_time(column: ColumnFacts) -> float:
    """Times as they are read, of at least three moments."""
    if column.times != "all" or column.distinct < 3:
        return 0.0
    return column.filled * (0.5 + 0.5 * match_name(column.name, _TIME_NAMES))


def is_id_name(name: str) -> bool:
    """Whether a name ends as those of ids do: `ticket_id`, `mailID`, `Kundennr`."""
    return name.casefold().endswith("id") or match_name(name, _ID_NAMES) >= LAST


def _without_naming_words(name: str) -> str:
    """`customer` of `customer_id`: what is named, not how."""
    parts = list(name_parts(name))
    while len(parts) > 1 and parts[-1] in _NAMING:
        parts.pop()
    return " ".join(parts)
