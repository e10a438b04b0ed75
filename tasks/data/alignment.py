"""Where each character of a text lies in what becomes of it: a text's spans outlive normalisation and redaction, and come back.

The rules that change a text stay where they are (normalise.py, redaction/): here they are applied, and what they replace is kept.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate

from tasks.data.normalise import SIGNS, SPACING, is_plain, stretches_to_compose
from tasks.data.text_parts import MARK, split_parts

Edit = tuple[int, int, int]  # start and end of a stretch of the text before, and the length of what replaces it
_OTHER_SCRIPTS = re.compile("[\x00-\x7f]?[^\x00-\x7f]+")  # an ASCII character never composes with what stands before it
_UNSPACED = "\u0e00"  # from here on most scripts have no spaces between words
_HANGUL_PARTS = range(0x1161, 0x11C3)  # vowels and finals, which compose with the syllable before them


@dataclass(frozen=True)
class Alignment:
    """The edits that made one text of another, in their order, none overlapping; without any the text is as it was.

    Places count characters (code points). A span that touches a replaced stretch grows to all of the replacement. Of a deleted
    stretch nothing is left: it widens no span beside it, and a span within it comes out empty.
    """

    edits: tuple[Edit, ...] = ()

    def forward(self, start: int, end: int) -> tuple[int, int]:
        """A span of the text before, in the text after: O(log edits)."""
        starts, ends, shifts = self._columns
        first, last = bisect_right(starts, start) - 1, bisect_left(starts, end) - 1
        new_start = starts[first] + shifts[first] if first >= 0 and start < ends[first] else start + shifts[first + 1]
        new_end = max(end, ends[last]) + shifts[last + 1] if last >= 0 else end
        return min(new_start, new_end), max(new_start, new_end)

    def back(self, start: int, end: int) -> tuple[int, int]:
        """A span of the text after, in the text before."""
        return self._inverse.forward(start, end)

    def then(self, later: Alignment) -> Alignment:
        """This alignment and, of the text that it gives, a later one, as one: linear in their edits."""
        if not self.edits or not later.edits:
            return self if self.edits else later
        edits = [(start, end, old - (end - start), 0) for start, end, old in self._inverse.edits]  # as places of the middle text
        edits += [(start, end, 0, new - (end - start)) for start, end, new in later.edits]
        merged, before, after = list[Edit](), 0, 0  # how much longer the first and the last text are than the middle one, so far
        for start, end, longer_before, longer_after in _merge_touching(sorted(edits, key=lambda edit: edit[:2])):
            first, new_start = start + before, start + after
            before, after = before + longer_before, after + longer_after
            merged.append((first, end + before, end + after - new_start))
        return Alignment(tuple(merged))

    def shift(self, offset: int) -> Iterator[Edit]:
        """Its edits, of a text that stands so many characters further on in a longer one."""
        return ((start + offset, end + offset, length) for start, end, length in self.edits)

    @cached_property
    def _columns(self) -> tuple[list[int], list[int], list[int]]:
        """Starts and ends of the edits, and how far places move that lie behind so many of them."""
        shifts = accumulate((length - (end - start) for start, end, length in self.edits), initial=0)
        return [edit[0] for edit in self.edits], [edit[1] for edit in self.edits], list(shifts)

    @cached_property
    def _inverse(self) -> Alignment:
        edits = zip(self.edits, self._columns[2], strict=False)
        return Alignment(tuple((start + shift, start + shift + length, end - start) for (start, end, length), shift in edits))


def substitute(pattern: re.Pattern[str], replacement: str, text: str) -> tuple[str, Alignment]:
    """`pattern.sub(replacement, text)`, and where it replaced something by something else."""
    return replace_stretches(text, [(*match.span(), match.expand(replacement)) for match in pattern.finditer(text)])


def replace_stretches(text: str, stretches: Sequence[tuple[int, int, str]]) -> tuple[str, Alignment]:
    """A text with these stretches (start, end, what replaces it) replaced, which are in order and do not overlap."""
    pieces, edits, at = [], [], 0
    for start, end, new in stretches:
        pieces += [text[at:start], new]
        at = end
        if text[start:end] != new:
            edits.append((start, end, len(new)))
    return ("".join([*pieces, text[at:]]), Alignment(tuple(edits))) if edits else (text, Alignment())


def join_aligned(parts: Iterable[str], changed: Iterable[tuple[str, Alignment]]) -> tuple[str, Alignment]:
    """An input of several texts (text_parts.py) of which each was changed alone, and where all of it lies then."""
    texts, edits, at = list[str](), list[Edit](), 0
    for part, (text, alignment) in zip(parts, changed, strict=True):
        texts.append(text)
        edits += alignment.shift(at)
        at += len(part) + len(MARK)
    return MARK.join(texts), Alignment(tuple(edits))


def aligned_normalise(text: str, layout: bool = False) -> tuple[str, Alignment]:
    """What `normalise_text` makes of a text or of an input of several, and where it lies then."""
    if MARK in text:
        parts = split_parts(text)
        return join_aligned(parts, (aligned_normalise(part, layout) for part in parts))
    if is_plain(text, layout):
        return text, Alignment()
    text, alignment = aligned_compose(text)
    for pattern, replacement in SIGNS if layout else (*SIGNS, *SPACING):
        text, step = substitute(pattern, replacement, text)
        alignment = alignment.then(step)
    if not layout:
        text, step = _aligned_strip(text)
        alignment = alignment.then(step)
    return text, alignment


def aligned_compose(text: str) -> tuple[str, Alignment]:
    """What `compose_unicode` makes of a text, and where it lies then: as finely as characters compose."""
    edits, at = list[Edit](), 0
    for start, end in stretches_to_compose(text):
        edits += [(at, start, 0)] if start > at else []
        at = end
    limited = Alignment((*edits, *([(at, len(text), 0)] if at < len(text) else [])))
    if limited.edits:
        text = "".join(text[start:end] for start, end in stretches_to_compose(text))
    if unicodedata.is_normalized("NFC", text):
        return text, limited
    segments = [match.span() for match in _OTHER_SCRIPTS.finditer(text)]
    pieces = [piece for start, end in segments for piece in _pieces_that_compose_alone(text, start, end)]
    text, composed = replace_stretches(text, [(start, end, unicodedata.normalize("NFC", text[start:end])) for start, end in pieces])
    return text, limited.then(composed)


def _aligned_strip(text: str) -> tuple[str, Alignment]:
    stripped = text.strip()
    start = len(text) - len(text.lstrip()) if stripped else len(text)
    return replace_stretches(text, [(0, start, ""), (start + len(stripped), len(text), "")])


def _merge_touching(edits: Sequence[tuple[int, int, int, int]]) -> Iterator[tuple[int, int, int, int]]:
    """Edits (start, end, and what is summed) by their order, those that overlap or stand at the same place as one."""
    start, end, *sums = edits[0]
    for edit in edits[1:]:
        if edit[0] < end or (edit[0] == edit[1] == start == end):
            end, sums = max(end, edit[1]), [sums[0] + edit[2], sums[1] + edit[3]]
        else:
            yield start, end, sums[0], sums[1]
            start, end, *sums = edit
    yield start, end, sums[0], sums[1]


def _pieces_that_compose_alone(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches of a segment, cut before each character that neither composes with nor is ordered among those before it."""
    for at in range(start + 1, end):
        if _begins_anew(text[at]):
            yield start, at
            start = at
    yield start, end


@cache
def _begins_anew(character: str) -> bool:
    first = unicodedata.normalize("NFD", character)[0]
    return not unicodedata.combining(first) and ord(first) not in _HANGUL_PARTS and first not in _later_parts()


@cache
def _later_parts() -> frozenset[str]:
    """The characters that some other is composed with, as Unicode's own table has them; made once, in about 0.2 s."""
    tables = (unicodedata.decomposition(chr(code)).split() for code in range(0x110000))
    return frozenset(chr(int(parts[1], 16)) for parts in tables if len(parts) == 2 and not parts[0].startswith("<"))


def stands_alone(text: str, start: int, end: int) -> bool:
    """Whether a stretch of a text begins and ends in no word's midst; in scripts that part no words by spaces any does."""
    around = text[max(0, start - 1) : start + 1], text[end - 1 : end + 1]
    return not any(len(pair) == 2 and all(character.isalnum() and character < _UNSPACED for character in pair) for pair in around)
