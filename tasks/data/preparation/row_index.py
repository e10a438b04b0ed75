"""The one pass over all rows: texts normalised and redacted on disk, and per row the few numbers that every later step needs.

A row costs about 190 bytes of marks, most of them in a mapped file, so rows may be many more than memory holds texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from configs.schema import ProblemFacts, facts_of
from tasks.data.language_codes import OTHER, told_apart
from tasks.data.normalise import key_text, normalise_text, unusable_reason
from tasks.data.preparation.answer_rows import context_groups, moved_answers
from tasks.data.preparation.deduplicate import (
    Signatures,
    blank_signatures,
    compared_words,
    shingle_words,
    signatures_of_words,
    text_keys,
)
from tasks.data.preparation.exchanges import Exchanges
from tasks.data.preparation.load import RawRows
from tasks.data.preparation.span_columns import moved_spans
from tasks.data.preparation.split import SPLITS, split_position
from tasks.data.redaction.aligned_texts import prepare_aligned
from tasks.data.redaction.placeholders import network_view
from tasks.data.redaction.redact import OVER_BUDGET, Redactor
from tasks.data.text_parts import in_any_order
from tasks.data.turns import spoken_text

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

NOT_GIVEN = -1
NOT_NAMED = "(none)"  # the slice of rows that name none
_BATCH = 2000
_VOCABULARY = 5000
_MOST_WORDS = 1_000_000  # distinct words held at a time; beyond it those seen once are forgotten


@dataclass
class Marks:
    """Per row, in the source's order; `unusable` gives the reason for rows without a usable text or target."""

    text: NDArray[np.uint64]  # [rows, 2]: equal for texts that a network reads alike (case folded, white space collapsed)
    target: NDArray[np.uint64]  # [rows]: equal for equal targets, of pairs for equal pairs, of thumbs with these
    group: NDArray[np.uint64]  # [rows]: equal for equal groups, 0 for none
    position: NDArray[np.float64]  # [rows]: where the split's hash puts the row, from its raw text or group
    given: NDArray[np.int8]  # [rows]: the split that the source gives the row, or NOT_GIVEN
    pairless: NDArray[np.bool_]  # [rows]: where pairs are wanted, rows whose target was preferred to no other answer
    signatures: Signatures
    exchanges: Exchanges
    unusable: dict[int, str] = field(default_factory=dict)
    words: Counter[str] = field(default_factory=Counter)

    @classmethod
    def blank(cls, n: int, folder: Path) -> Marks:
        signatures = blank_signatures(folder / "signatures.npy", n)
        keys, numbers = np.zeros((n, 2), dtype=np.uint64), np.zeros(n, dtype=np.uint64)
        splits, pairless = np.full(n, NOT_GIVEN, dtype=np.int8), np.zeros(n, dtype=np.bool_)
        return cls(keys, numbers, numbers.copy(), np.zeros(n), splits, pairless, signatures, Exchanges.of_rows(n))


def index_rows(raw: RawRows, redactor: Redactor | None) -> tuple[Dataset, Marks]:
    """Write the normalised, redacted rows beside the raw ones and return them, mapped, with their marks.

    For classification targets are labels, spelled canonically since they were loaded; for generation they are texts, redacted like
    the prompts, layout kept, and so are rejected answers. Texts are compared, and their words counted, as a network
    reads them.
    """
    marks = Marks.blank(len(raw), raw.folder)
    prepared = raw.rows.with_format("arrow").map(
        _PreparationPass(marks, redactor, facts_of(raw.problem), _languages_of(raw)),
        batched=True,
        batch_size=_BATCH,
        with_indices=True,
        features=raw.rows.features,
        cache_file_name=str(raw.folder / "prepared.arrow"),
        new_fingerprint="prepared",
        load_from_cache_file=False,
    )
    return prepared, marks


def common_words(counted: Counter[str]) -> dict[str, object]:
    """The commonest words in at least 5 rows (rarer ones may be a person's), with how many words there were in all."""
    common = [(word, count) for word, count in counted.most_common(_VOCABULARY) if count >= 5]
    return {"distinct": len(counted), "total": counted.total(), "words": dict(sorted(common))}


def _have_no_pair(targets: list[str], rejected: list[str]) -> list[bool]:
    """Whether each row has no other answer that its target was preferred to."""
    return [
        unusable_reason(other) is not None or key_text(other) == key_text(target)
        for target, other in zip(network_view(targets), network_view(rejected), strict=True)
    ]


@dataclass(frozen=True)
class _Languages:
    """The slice of languages, and those that are told apart."""

    column: str
    codes: frozenset[str | None]


def _languages_of(raw: RawRows) -> _Languages | None:
    """The languages of the rows that are told apart, where a column names them; rows that name none stay so."""
    if raw.language is None:
        return None
    column = f"slice_{raw.language}"
    counted = raw.rows.data.column(column).drop_null().value_counts().to_pylist()
    return _Languages(column, told_apart({each["values"]: each["counts"] for each in counted}) | {NOT_NAMED})


class _PreparationPass:
    """One batch at a time: prepared columns out, marks filled in."""

    def __init__(self, marks: Marks, redactor: Redactor | None, facts: ProblemFacts, languages: _Languages | None) -> None:
        self.marks, self.redactor, self.facts, self.layout = marks, redactor, facts, facts.writes_text
        self.languages = languages
        self.costly: set[str] = set()  # values of this batch over the budget of their search

    def __call__(self, batch: pa.Table, indices: Sequence[int]) -> pa.Table:
        import pyarrow as pa

        columns = {name: batch.column(name).to_pylist() for name in ("text", "target", "group", "split")}
        groups = columns["group"]
        first, last = indices[0], indices[-1] + 1
        self.costly.clear()
        raw = [text or "" for text in columns["text"]]
        plain, texts, targets, unusable = self._prepare_texts(raw, columns["target"])
        if self.facts.finds_answers:
            columns["group"] = context_groups(groups, raw, texts)
        out = {"text": texts, "target": targets, "group": self._redact_distinct(columns["group"])}
        answers = targets
        if "rejected" in batch.column_names:
            out["rejected"] = rejected = self._redact_answers(batch.column("rejected").to_pylist())
            if self.layout:  # else it is a text that may be missing
                self.marks.pairless[first:last] = _have_no_pair(targets, rejected)
            answers = [f"{target}\0{other}" for target, other in zip(targets, rejected, strict=True)]
        if "thumb" in batch.column_names:  # an answer that one found good and another bad is no copy
            answers = [f"{target}\0{thumb}" for target, thumb in zip(targets, batch.column("thumb").to_pylist(), strict=True)]
        self.marks.position[first:last] = [split_position(text, group) for text, group in zip(raw, groups, strict=True)]
        self._fill_marks(slice(first, last), texts, targets, columns["group"], columns["split"])
        if self.facts.reads_messages:
            for place, (text, target) in enumerate(zip(network_view(texts), network_view(targets), strict=True)):
                self.marks.exchanges.add_row(first + place, text, target)
        self.marks.unusable |= {first + place: reason for place, reason in unusable.items()}
        self.marks.target[first:last] = text_keys(network_view(answers))[:, 0]
        for name in (name for name in batch.column_names if name.startswith("slice_")):
            slice_names = [value or NOT_NAMED for value in self._redact_distinct(batch.column(name).to_pylist())]
            if self.languages is not None and name == self.languages.column:
                slice_names = [value if value in self.languages.codes else OTHER for value in slice_names]
            out[name] = slice_names
        if self.costly:
            self._quarantine_costly(first, plain, batch)
        for name, values in out.items():
            batch = batch.set_column(batch.column_names.index(name), name, pa.array(values, type=pa.string()))
        return batch

    def _prepare_texts(self, raw: list[str], targets: list[str | None]) -> tuple[list[str], list[str], list[str], dict[int, str]]:
        """The texts normalised, and redacted too; the targets, moved with them where they are places there; reasons by place."""
        if self.facts.has_spans or self.facts.finds_answers:
            prepared = prepare_aligned(raw, self.redactor)
            moved, unusable = moved_spans(prepared, targets) if self.facts.has_spans else moved_answers(raw, prepared, targets)
            plain = [each.normalised for each in prepared]
            return plain, self._note_costly(plain, [each.kept for each in prepared]), moved, unusable
        plain = [normalise_text(text, self.layout) for text in raw]
        texts = self._redact_texts(plain)
        return plain, texts, self._redact_answers(targets) if self.layout else [target or "" for target in targets], {}

    def _redact_answers(self, values: list[str | None]) -> list[str]:
        return self._redact_texts([normalise_text(value or "", self.layout) for value in values])

    def _redact_texts(self, texts: list[str]) -> list[str]:
        """The texts redacted; one over its budget becomes empty."""
        if self.redactor is None:
            return texts
        return self._note_costly(texts, self.redactor.redact_each(texts))

    def _note_costly(self, texts: list[str], clean: list[str | None]) -> list[str]:
        self.costly.update(text for text, after in zip(texts, clean, strict=True) if after is None)
        return [after or "" for after in clean]

    def _quarantine_costly(self, first: int, texts: list[str], batch: pa.Table) -> None:
        """Quarantine the rows that hold a value over its budget; `batch` is as it came."""
        answers = [name for name in ("target", "rejected") if name in batch.column_names]
        columns = [batch.column(name).to_pylist() for name in batch.column_names if name == "group" or name.startswith("slice_")]
        for name in answers:
            values = batch.column(name).to_pylist()
            columns.append([normalise_text(value or "", self.layout) for value in values] if self.layout else values)
        for place, values in enumerate(zip(texts, *columns, strict=True)):
            if not self.costly.isdisjoint(values):
                self.marks.unusable[first + place] = OVER_BUDGET

    def _redact_distinct(self, values: list[str | None]) -> list[str | None]:
        """Each distinct value once: groups and slices repeat."""
        distinct = [v for v in dict.fromkeys(values) if v is not None]
        clean: dict[str | None, str | None] = dict(zip(distinct, self._redact_texts(distinct), strict=True))
        return [clean.get(v) for v in values]

    def _fill_marks(
        self, rows: slice, texts: list[str], targets: list[str], groups: list[str | None], splits: list[str | None]
    ) -> None:
        marks = self.marks
        read = [in_any_order(text) for text in network_view(texts)] if self.facts.embeds else network_view(texts)
        marks.text[rows] = text_keys([key_text(text) for text in read])
        marks.group[rows] = [
            0 if g is None else k for g, k in zip(groups, text_keys([g or "" for g in groups])[:, 0] | np.uint64(1), strict=True)
        ]
        marks.given[rows] = [NOT_GIVEN if name is None else SPLITS.index(name) for name in splits]
        spoken_texts = [spoken_text(text) if self.facts.reads_messages else text for text in read]
        tokens, compared = ([words(text) for text in spoken_texts] for words in (shingle_words, compared_words))
        marks.signatures[rows] = signatures_of_words([row or [text] for row, text in zip(compared, read, strict=True)])
        marks.words.update(chain.from_iterable(tokens))
        if len(marks.words) > _MOST_WORDS:
            marks.words = Counter({word: count for word, count in marks.words.items() if count > 1})
        for i, (text, target) in enumerate(zip(texts, targets, strict=True), start=rows.start):
            if fault := unusable_reason(text):
                marks.unusable[i] = f"its text {fault}"
            elif fault := unusable_reason(target):
                marks.unusable[i] = f"its target {fault}"
