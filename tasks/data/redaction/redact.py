"""Personal data become placeholders such as <EMAIL_ADDRESS:1f3a9c2b>: equal values stay equal, none can be read back.

The tag is the first 8 hexadecimal digits of HMAC-SHA256 under the installation's key over kind and value. Two different values of a
kind share a tag with odds of 1 in 4.3 thousand million: any pair among 1,000 values with 0.01 %, 10,000 with 1.2 %, 100,000
with 69 %. A shared tag reveals nothing; it makes two values look equal. A network reads the kind alone (placeholders.py).
"""

from __future__ import annotations

import hmac
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from configs.errors import InputError
from tasks.data.alignment import Alignment, join_aligned, replace_stretches
from tasks.data.redaction.patterns import PREFILTER, PRIORITY, Finder, OverBudget, PhoneFinder, Span, ascii_forms, byte_patterns
from tasks.data.redaction.placeholders import PLACEHOLDER, TAG_DIGITS
from tasks.data.redaction.readings import part_values, unescape
from tasks.data.redaction.recognizers import pattern_finders, phone_finder
from tasks.data.redaction.windows import end_of_word, text_windows
from tasks.data.text_parts import MARK, split_parts

if TYPE_CHECKING:
    import re2

    from tasks.data.redaction.ner import NameFinder

VERSION = 3
OVER_BUDGET = "to search it for personal data costs more than a text of its length may"
_NUMBERS = frozenset({"PHONE_NUMBER", "CREDIT_CARD", "US_SSN", "IBAN_CODE"})
_WITHIN_PHONES = frozenset({"CREDIT_CARD", "IP_ADDRESS", "US_SSN"})  # kinds that match within a longer phone number
_BEFORE, _AFTER = re.compile(r"(?:\+[(]?|\d[ ().-]{0,2})$"), re.compile(r"[ ().-]{0,2}\d")
_PLUS, _REST = re.compile(r"\+[\d ().-]{0,7}$"), re.compile(r"(?:[ ().-]?\d)*")
_RANK = {entity: rank for rank, entity in enumerate(PRIORITY)}


class Redactor:
    """Finds and replaces the named entities; made from plain values, so a released model can carry the same one.

    `counts` holds how many of each entity were replaced since it was made. Values are never logged, stored or returned.
    """

    def __init__(self, entities: Sequence[str], key: bytes, ner_model: str | None = None, prefilter: bool = True) -> None:
        self.entities = tuple(entities)
        self.key = key
        self.ner_model = ner_model
        self.prefilter = prefilter
        self.counts: Counter[str] = Counter()
        self._patterns = [entity for entity in PRIORITY if entity in PREFILTER and entity in self.entities]
        self._finders: dict[str, Finder] | None = None
        self._find_phones: PhoneFinder | None = None
        self._set: re2.Set | None = None
        self._ner: NameFinder | None = None

    def __reduce__(self) -> tuple[type[Redactor], tuple[tuple[str, ...], bytes, str | None, bool]]:
        return Redactor, (self.entities, self.key, self.ner_model, self.prefilter)

    def redact(self, texts: Sequence[str]) -> list[str]:
        """Replace every found value; texts without any come back as they are. InputError where one is over its budget."""
        redacted = self.redact_each(texts)
        if None in redacted:
            raise InputError(f"text {redacted.index(None) + 1} of {len(texts)}: {OVER_BUDGET}: leave it out")
        return redacted  # type: ignore[return-value]

    def redact_each(self, texts: Sequence[str]) -> list[str | None]:
        """As `redact`, but None for a text whose search would cost more than one of its length may."""
        return [None if aligned is None else aligned[0] for aligned in self.redact_aligned(texts)]

    def redact_aligned(self, texts: Sequence[str]) -> list[tuple[str, Alignment] | None]:
        """As `redact_each`, each text with where it lies then."""
        if any(MARK in text for text in texts):
            return self._redact_parts(texts)
        if self.ner_model is None:
            possible, same = self.possible, Alignment()
            return [self._redact_text(text, kinds, []) if (kinds := possible(text)) else (text, same) for text in texts]
        return [
            self._redact_text(text, self.possible(text), name_spans)
            for text, name_spans in zip(texts, self._find_names(texts), strict=True)
        ]

    def _redact_parts(self, texts: Sequence[str]) -> list[tuple[str, Alignment] | None]:
        """Each text of an input is searched alone: no value reaches from one into the next."""
        parts = [split_parts(text) for text in texts]
        clean = iter(self.redact_aligned([part for each in parts for part in each]))
        inputs = [(each, [next(clean) for _ in each]) for each in parts]
        return [None if None in changed else join_aligned(each, (part for part in changed if part)) for each, changed in inputs]

    def spans(self, text: str) -> list[Span]:
        """The values that would be replaced in a text, by position: for measuring."""
        spans = [*self._find_values(text, self.possible(text)), *self._find_names([text])[0]]
        return [Span(start, end, entity, 1.0) for start, end, entity in _merge_spans(spans)] if spans else []

    def tag(self, entity: str, value: str) -> str:
        """The placeholder of a value: the same however it is spaced, hyphenated or capitalised, in the digits of any script."""
        value = ascii_forms(value)
        plain = "".join(c for c in value if c.isalnum() or c == "+").upper() if entity in _NUMBERS else value.casefold()
        digest = hmac.digest(self.key, f"{entity}\0{plain}".encode(), "sha256").hex()
        return f"<{entity}:{digest[:TAG_DIGITS]}>"

    def _redact_text(self, text: str, possible: list[str], name_spans: list[Span]) -> tuple[str, Alignment] | None:
        try:
            return self._replace_spans(text, [*self._find_values(text, possible), *name_spans])
        except OverBudget:
            return None

    def _find_values(self, text: str, possible: list[str]) -> Iterator[Span]:
        """The values of a text, of the kinds that are possible in it, in their places."""
        if not possible:
            return
        text, unescaped = unescape(ascii_forms(text))
        text, parted = part_values(text)
        for span in self._find_in_reading(text, possible):
            start, end = unescaped.back(*parted.back(span.start, span.end))
            yield Span(start, end, span.entity, span.score)

    def _find_in_reading(self, text: str, possible: list[str]) -> Iterator[Span]:
        """The values of a text as it is read; phones last, in what the others leave and around it."""
        if self._finders is None:
            self._finders = pattern_finders(tuple(self._patterns))
        checked = list(self._find_in_windows(text, possible))
        if "PHONE_NUMBER" not in possible:
            yield from checked
            return
        if self._find_phones is None:
            self._find_phones = phone_finder()
        left = _mask_spans(text, checked)
        whole = [span for span in checked if not _may_be_part_of_phone(left, span)]
        readings = [left, *([_mask_spans(text, whole)] if len(whole) < len(checked) else [])]
        phones = list(self._find_phones(readings))
        if len(readings) > 1:
            phones += _international_runs(text, checked)
            abroad = [phone for phone in phones if text[phone.start] == "+"]
            checked = _drop_covered(checked, abroad, len(text))
        yield from checked
        yield from phones

    def _find_in_windows(self, text: str, possible: list[str]) -> Iterator[Span]:
        """All but phones; of a long text window by window, for no recognizer is linear in more than that."""
        for window in text_windows(text):
            part = text[window.start : window.end]
            for entity in possible if len(part) == len(text) else self.possible(part):
                for span in self._finders[entity](part) if self._finders and entity != "PHONE_NUMBER" else ():
                    start, end = window.start + span.start, window.start + span.end
                    if window.first <= start < window.last:
                        yield Span(start, end if end < window.end else end_of_word(text, end), entity, span.score)

    def possible(self, text: str) -> list[str]:
        """The entities whose necessary condition the text meets, in one linear pass; phones last, in what the others leave."""
        if not self.prefilter or not self._patterns:
            return self._patterns
        if self._set is None:
            import re2

            self._set = re2.Set.SearchSet(byte_patterns())
            for entity in self._patterns:
                self._set.Add(PREFILTER[entity])
            self._set.Compile()
        matched = self._set.Match(unescape(ascii_forms(text))[0])
        return [self._patterns[i] for i in sorted(matched)] if matched else []

    def _find_names(self, texts: Sequence[str]) -> list[list[Span]]:
        if self.ner_model is None:
            return [[] for _ in texts]
        if self._ner is None:
            from tasks.data.redaction.ner import NameFinder

            self._ner = NameFinder(self.ner_model, self.entities)
        spans: list[list[Span]] = self._ner.find(texts)
        return spans

    def _replace_spans(self, text: str, spans: list[Span]) -> tuple[str, Alignment]:
        done = deque(match.span() for match in PLACEHOLDER.finditer(text)) if spans else deque()
        values = []
        for start, end, entity in _merge_spans(spans):
            while done and done[0][1] <= start:
                done.popleft()
            if done and done[0][0] < end:
                continue
            self.counts[entity] += 1
            values.append((start, end, self.tag(entity, text[start:end])))
        return replace_stretches(text, values)


def _may_be_part_of_phone(left: str, span: Span) -> bool:
    """Whether digits or a plus beside a number, in no other value, say that it may be a part of a phone's."""
    beside = _BEFORE.search(left[max(0, span.start - 3) : span.start]) or _AFTER.match(left[span.end : span.end + 3])
    return span.entity in _WITHIN_PHONES and beside is not None


def _drop_covered(spans: Sequence[Span], phones: Sequence[Span], size: int) -> list[Span]:
    """The values but those that are a part of these phones."""
    covered = bytearray(size)
    for phone in phones:
        covered[phone.start : phone.end] = b"\1" * (phone.end - phone.start)
    return [s for s in spans if s.entity not in _WITHIN_PHONES or not (covered[s.start] and covered[s.end - 1])]


def _international_runs(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Runs of digits behind a plus around these numbers, though no region knows them."""
    for span in spans:
        before = _PLUS.search(text[max(0, span.start - 8) : span.start]) if span.entity in _WITHIN_PHONES else None
        after = _REST.match(text[span.end : span.end + 24])
        if before and after:
            yield Span(span.start - len(before.group()), span.end + after.end(), "PHONE_NUMBER", span.score)


def _mask_spans(text: str, spans: Sequence[Span]) -> str:
    """The text with other characters in the places of these values."""
    parts, at = [], 0
    for start, end, _ in _merge_spans(spans):
        parts += [text[at:start], "_" * (end - start)]
        at = end
    return "".join([*parts, text[at:]])


def _merge_spans(spans: Sequence[Span]) -> Iterator[tuple[int, int, str]]:
    """Overlapping spans become one, of the most specific kind: nothing of either value is left standing."""
    if not spans:
        return
    start = end = -1
    best = spans[0]
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        if span.start < end:
            end = max(end, span.end)
            best = min(best, span, key=lambda s: _RANK[s.entity])
            continue
        if end >= 0:
            yield start, end, best.entity
        start, end, best = span.start, span.end, span
    yield start, end, best.entity
