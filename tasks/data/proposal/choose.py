"""Chooses columns for a problem, and a problem for the columns, by how well they fit one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from configs.schema import Data, Model, ProblemFacts, ProblemName
from configs.schema.problem_defaults import DEFAULTS
from configs.schema.problems import FACTS
from tasks.data.proposal.chat_role import MESSAGES
from tasks.data.proposal.column_facts import ColumnFacts
from tasks.data.proposal.column_fit import stand_in
from tasks.data.proposal.pair_roles import LEAST_OF_PAIR, pair_roles, second_text
from tasks.data.proposal.roles import Role, other_roles_of, roles_of
from tasks.data.proposal.row_roles import are_partners, fits_group, fits_id, fits_time, shares_values
from tasks.data.sources.chunk import shown_name

MOST_CANDIDATES = 6  # columns for one role whose combinations are weighed
NEARLY = 0.75  # of the best score: a column that comes so near is named beside it ...
ALIKE = 0.85  # ... and so is a problem
WEAK = 0.4  # a score below is a weak guess
USUAL = 1.02  # times what the cells say: for a column of the very name that a problem expects
FOUND = 1.25  # times what names and cells say: answers that stand in their contexts row by row are no accident
LEAST = 0.05  # a lower score is no fit at all
LONG_TEXT = 100  # words of a prompt from which a problem for long texts fits
SHORTER = 0.5  # the share of a prompt's words that a summary of it has at the most


@dataclass(frozen=True)
class ProblemCandidate:
    """A problem, and what it sets where a config does not."""

    name: ProblemName
    defaults: Mapping[str, Mapping[str, object]]

    @property
    def facts(self) -> ProblemFacts:
        return FACTS[self.name]

    @property
    def is_for_long_texts(self) -> bool:
        """Whether it reads longer texts than a config does by itself."""
        longest = self.defaults.get("model", {}).get("max_length", 0)
        return isinstance(longest, int) and longest > Model.model_fields["max_length"].default


@dataclass(frozen=True)
class ProblemChoice:
    """Columns for a problem: setting under `data` -> column; `others` are columns that fit nearly as well."""

    candidate: ProblemCandidate
    columns: dict[str, ColumnFacts]
    others: dict[str, tuple[str, ...]]
    score: float
    reason: str

    @property
    def is_weak(self) -> bool:
        """Whether neither names nor cells say much for it."""
        return self.score < WEAK


@dataclass(frozen=True)
class RowColumns:
    """The columns that say which row it is, when it was made and whose it is; None where there is none.

    `foreign_time` has times in a form that is not read, `rounded_id` ids that a float has rounded; `split` holds the split.
    """

    id: ColumnFacts | None
    time: ColumnFacts | None
    group: ColumnFacts | None
    split: ColumnFacts | None
    foreign_time: str | None
    rounded_id: str | None


def candidates() -> tuple[ProblemCandidate, ...]:
    """Every problem, with its own defaults."""
    return tuple(ProblemCandidate(name, DEFAULTS.get(name, {})) for name in FACTS)


def choose_problem(
    columns: Sequence[ColumnFacts], among: Iterable[ProblemCandidate]
) -> tuple[ProblemChoice, tuple[str, ...]] | None:
    """The problem that fits best, and others that fit as well; None where none does.

    Of problems that read the same columns the one whose usual names those are; else one for long texts where a short one follows
    a long one; else the first.
    """
    choices = [choice for candidate in among if (choice := choose_columns(columns, candidate)) is not None]
    if not choices:
        return None
    top = max(choice.score for choice in choices)
    alike = [choice for choice in choices if choice.score == top]
    best = max(alike, key=_suits_long_texts)
    others = [choice for choice in choices if choice is not best and choice.score >= ALIKE * top]
    return best, tuple(each.candidate.name for each in others if not each.candidate.is_for_long_texts or _suits_long_texts(each))


def choose_columns(columns: Sequence[ColumnFacts], candidate: ProblemCandidate) -> ProblemChoice | None:
    """The columns that fit the roles of a problem best together; None where there are none for each."""
    if candidate.facts.reads_messages and (conversations := _choose_conversations(columns, candidate)):
        return conversations
    ways = [roles for roles in (pair_roles(candidate.facts) or roles_of(candidate.facts), other_roles_of(candidate.facts)) if roles]
    choices = [choice for roles in ways if (choice := _choose_for_roles(columns, candidate, roles)) is not None]
    return max(choices, key=lambda choice: choice.score, default=None)


def _choose_for_roles(columns: Sequence[ColumnFacts], candidate: ProblemCandidate, roles: Sequence[Role]) -> ProblemChoice | None:
    usual = candidate.defaults.get("data", {})
    ranked = [_rank_columns(columns, role, usual.get(role.setting)) for role in roles]
    best: tuple[float, tuple[ColumnFacts, ...]] | None = None
    for picks in product(*(scores[:MOST_CANDIDATES] for scores in ranked)):
        chosen = tuple(column for _, column in picks)
        score = prod(score for score, _ in picks) ** (1 / len(picks))
        if candidate.facts.finds_answers:
            score *= FOUND if stand_in(chosen[-1], chosen[1]) else 0
        if len({column.name for column in chosen}) == len(chosen) and (best is None or score > best[0]):
            best = score, chosen
    if best is None or best[0] < LEAST:
        return None
    picked = dict(zip((role.setting for role in roles), best[1], strict=True))
    if candidate.facts.needs_pairs:
        free = [column for column in columns if column not in list(picked.values())[1:]]
        if not (pair := second_text(candidate.facts, picked[roles[0].setting], free)):
            return None
        picked |= pair
    elif candidate.facts.reads_pairs:
        picked |= _pair_of_texts(columns, picked, roles[0])
    names = {column.name for column in picked.values()}
    others = {
        role.setting: rivals
        for role, scores in zip(roles, ranked, strict=True)
        if (rivals := _nearly_as_good(scores, picked[role.setting], names))
    }
    sentences = [f"`{shown_name(picked[role.setting].name)}` holds {role.describe(picked[role.setting])}" for role in roles]
    in_order = {name: picked[name] for name in Data.model_fields if name in picked}
    return ProblemChoice(candidate, in_order, others, best[0], ", ".join(sentences))


def _choose_conversations(columns: Sequence[ColumnFacts], candidate: ProblemCandidate) -> ProblemChoice | None:
    """A column of conversations, which holds both what is read and what is answered; None where there is none."""
    ranked = _rank_columns(columns, MESSAGES, None)
    if not ranked or ranked[0][0] < WEAK:
        return None
    score, column = ranked[0]
    others = _nearly_as_good(ranked, column, {column.name})
    return ProblemChoice(
        candidate, {MESSAGES.setting: column}, {MESSAGES.setting: others} if others else {}, score,
        f"`{shown_name(column.name)}` holds {MESSAGES.describe(column)}",
    )  # fmt: skip


def _pair_of_texts(columns: Sequence[ColumnFacts], picked: Mapping[str, ColumnFacts], reads: Role) -> dict[str, ColumnFacts]:
    """Two columns of texts that are called as a pair, where the one that is read is of them."""
    own = picked[reads.setting]
    beside = [column for column in columns if column not in picked.values() and reads.fits(column) >= LEAST_OF_PAIR]
    for other in beside:
        if are_partners(own.name, other.name):
            return {reads.setting: own, "text_pair": other}
        if are_partners(other.name, own.name):
            return {reads.setting: other, "text_pair": own}
    return {}


def choose_row_columns(columns: Sequence[ColumnFacts], taken: Iterable[str]) -> RowColumns:
    """Id, time, group and split among the columns that no role has."""
    free = [column for column in columns if column.name not in set(taken)]
    rounded = [column for column in free if column.rounded > 0.5 and column.name.casefold().endswith(("id", "nr", "key"))]
    group = _best(free, fits_group)
    return RowColumns(
        id=_best(free, fits_id),
        time=_best(free, fits_time),
        group=group if group is None or group not in rounded else None,
        split=next((column for column in free if column.is_split), None),
        foreign_time=next((column.name for column in free if column.times == "foreign"), None),
        rounded_id=next((column.name for column in rounded), None),
    )


def with_context_group(rows: RowColumns, choice: ProblemChoice) -> RowColumns:
    """The columns of rows, with the context as their group where questions share contexts: none is trained on and tested on."""
    context = choice.columns.get("context")
    if rows.group is not None or context is None or not shares_values(context):
        return rows
    return replace(rows, group=context)


def _rank_columns(columns: Sequence[ColumnFacts], role: Role, usual: object) -> list[tuple[float, ColumnFacts]]:
    """(score, column) from the best on; the name that a problem expects says more than any other."""
    scores = [(USUAL * role.fits(column) if column.name.casefold() == usual else role.score(column), column) for column in columns]
    return sorted((pair for pair in scores if pair[0] > 0), key=lambda pair: -pair[0])


def _nearly_as_good(scores: Sequence[tuple[float, ColumnFacts]], chosen: ColumnFacts, taken: set[str]) -> tuple[str, ...]:
    """Columns that fit a role nearly as well as the chosen one, two at the most."""
    own = next(score for score, column in scores if column.name == chosen.name)
    return tuple(column.name for score, column in scores if column.name not in taken and score >= NEARLY * own)[:2]


def _suits_long_texts(choice: ProblemChoice) -> bool:
    words = [column.words for column in choice.columns.values()]
    return choice.candidate.is_for_long_texts and words[0] >= LONG_TEXT and words[-1] <= SHORTER * words[0]


def _best(columns: Sequence[ColumnFacts], fits: Callable[[ColumnFacts], float]) -> ColumnFacts | None:
    """The column that fits best, the first of equals; None where none does."""
    best = max(columns, key=fits, default=None)
    return best if best is not None and fits(best) > 0 else None
