"""Input and result of a validation: plain values, so that no other module needs to know Great Expectations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Action = Literal["warn", "quarantine", "stop"]
Stage = Literal["raw", "prepared"]


@dataclass(frozen=True)
class Context:
    """What expectations compare the records with; an expectation whose part is None is reported as not checked.

    `token_lengths` maps texts to their lengths in tokens, `unknown_shares` to the share of tokens that the model does not know,
    in order; `target_lengths` and `target_unknown` do so where targets have a tokenizer of their own. `label_shares` and
    `vocabulary` are the last snapshot's, as `reference.describe_records` gives them. Where targets are labels, `label` is how
    they are spelled: values that a suite lists of them are spelled so too, and 2.0, "2.0" and "2" in a suite are one label.
    """

    token_lengths: Callable[[Sequence[str]], Sequence[int]] | None = None
    unknown_shares: Callable[[Sequence[str]], Sequence[float]] | None = None
    target_lengths: Callable[[Sequence[str]], Sequence[int]] | None = None
    target_unknown: Callable[[Sequence[str]], Sequence[float]] | None = None
    max_tokens: int | None = None
    label_shares: Mapping[str, float] | None = None
    vocabulary: frozenset[str] | None = None
    languages: tuple[str, ...] | None = None
    label: Callable[[object], str | None] | None = None

    def lengths_of(self, column: object) -> Callable[[Sequence[str]], Sequence[int]] | None:
        """`token_lengths` of a column's texts."""
        return self.target_lengths if column == "target" and self.target_lengths else self.token_lengths

    def unknown_of(self, column: object) -> Callable[[Sequence[str]], Sequence[float]] | None:
        """`unknown_shares` of a column's texts."""
        return self.target_unknown if column == "target" and self.target_unknown else self.unknown_shares


@dataclass(frozen=True)
class Outcome:
    """How one expectation fared over all chunks: `failing` of `checked` rows, or `observed` where it is about the whole.

    `evaluated` is False where it had nothing to compare with, or could not be computed. `ids` names the first failing rows.
    `reason` is a sentence.
    """

    suite: str
    type: str
    expectation: str
    column: str | None
    action: Action
    success: bool
    evaluated: bool
    observed: str | None
    failing: int
    checked: int
    ids: tuple[str, ...]
    reason: str

    @property
    def share(self) -> float:
        """Failing rows among those checked, in [0, 1]."""
        return self.failing / self.checked if self.checked else 0.0


@dataclass(frozen=True)
class Validation:
    """The verdict of a contract: whether the run goes on, without which rows, and what a person should know.

    `quarantined` maps a row's id to its reasons; it holds rows only of expectations whose action is `quarantine`.
    No text of a record is in any of it: ids, counts, and labels alone.
    """

    stage: Stage
    rows: int
    success: bool
    outcomes: tuple[Outcome, ...]
    quarantined: Mapping[str, tuple[str, ...]]
    stopped: tuple[str, ...]
    warnings: tuple[str, ...]
    docs: Path | None
