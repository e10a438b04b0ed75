"""The names of rows: an id that may say who wrote a row is kept as a pseudonym alone (<ID:5f0c...>) under the installation's key.

Ids are read more widely than texts are: an `@`, a `+`, nine digits or more, and all that would be redacted in a text.
A pseudonym too many costs nothing, since `tunekeeper find` goes from an id to its rows and back. Most ids are
judged in one linear pass, for there are as many ids as rows. What is an id by its form (a UUID, a hexadecimal hash) stays.
Unlike the tags in texts a pseudonym has 80 bits: ids stay unique.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

from tasks.data.normalise import holds_half_character
from tasks.data.redaction.phone_card_rules import CALL
from tasks.data.redaction.redact import Redactor

VERSION = 1
DIGITS = 20  # hexadecimal: two of 100 million ids share a pseudonym with odds of 4 in a thousand million
_NUMBERS = frozenset({"PHONE_NUMBER", "US_SSN", "CREDIT_CARD"})
_AT_ONCE = frozenset({"EMAIL_ADDRESS", "IP_ADDRESS"})  # a match of their prefilter is enough
LEAST_DIGITS = 9  # of a number that may be a person's; a table of 100 million rows counts them with fewer
PSEUDONYM = re.compile(rf"<ID:[0-9a-f]{{{DIGITS}}}>")
_OPAQUE = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=(?:[0-9]*[a-fA-F]){4})[0-9a-fA-F]{16,128}")
_SERIAL = re.compile(r"[A-Za-z]{0,16}[-_]?[0-9]{0,8}")  # only a word of calling makes one personal: most ids are settled by this
_DAY = re.compile(r"(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]")  # its digits are no number


def pseudonym_of(value: str, key: bytes) -> str:
    """The one pseudonym of an id: of ids that differ in a letter's case too, for they are different ids."""
    digest = hmac.new(key, b"ID\0" + value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    return f"<ID:{digest[:DIGITS]}>"


def pseudonyms_of(ids: Sequence[str], redactor: Redactor) -> list[str]:
    """Ids as they are kept, in their order: those that may be personal as pseudonyms, the others as they are."""
    personal = [_may_be_personal(value, redactor) for value in ids]
    if redactor.ner_model is not None:
        rest = [place for place, yes in enumerate(personal) if not yes]
        for place, clean in zip(rest, redactor.redact_each([ids[place] for place in rest]), strict=True):
            personal[place] = clean != ids[place]
    return [pseudonym_of(value, redactor.key) if yes else value for value, yes in zip(ids, personal, strict=True)]


def file_name(name: str, redactor: Redactor | None) -> str:
    """How the ids of rows that have none of their own begin: the file's name, or its pseudonym where a person is named in it."""
    if redactor is None or redactor.redact_each([name]) == [name]:
        return name
    return pseudonym_of(name, redactor.key)


def _is_serial(value: str) -> bool:
    return _SERIAL.fullmatch(value) is not None and not ("-" in value and CALL.search(value))


def _may_be_personal(value: str, redactor: Redactor) -> bool:
    if _is_serial(value) or _OPAQUE.fullmatch(value) or PSEUDONYM.fullmatch(value):
        return False
    if holds_half_character(value):
        return True
    kinds = redactor.possible(value)
    if not kinds:
        return False
    if _AT_ONCE.intersection(kinds):
        return True
    if _NUMBERS.intersection(kinds) and ("+" in value or sum(map(str.isdigit, _DAY.sub("", value))) >= LEAST_DIGITS):
        return True
    return redactor.redact_each([value])[0] != value  # none comes back where the search is over its budget
