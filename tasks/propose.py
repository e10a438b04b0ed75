"""The face of proposals: looks at the first rows of a source, and proposes a config for them with its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from configs.errors import InputError
from configs.schema import Model
from configs.schema.section import meant_name
from tasks.common.bases import Base
from tasks.common.home import Home
from tasks.data.proposal.column_words import describe_column, is_odd_name
from tasks.data.sources.chunk import shown_name
from tasks.proposed_base import base_kind, given_base, propose_base, suits_base
from tasks.proposed_config import ProposalFindings, Request, describe_config

if TYPE_CHECKING:
    import pandas as pd

    from tasks.data.proposal.choose import ProblemCandidate, ProblemChoice
    from tasks.data.proposal.column_facts import ColumnFacts
    from tasks.data.proposal.sample import RowSample

MOST_LISTED = 20  # columns that an error describes


@dataclass(frozen=True)
class Proposal:
    """A config as plain values, comments by dotted path, and the rows that it was tried on as `frames`, as they are read.

    `reason` says why this problem, `needed` what kind of base is to be filled in, `fault` what would stop a run.
    """

    settings: dict[str, Any]
    comments: dict[str, str]
    reason: str
    other_problems: tuple[str, ...]
    other_columns: dict[str, tuple[str, ...]]
    rows: int
    is_whole: bool
    frames: tuple[pd.DataFrame, ...] = field(repr=False)
    needed: str | None
    fault: str | None


def propose_pipeline(request: Request, home: Home) -> Proposal:
    """Propose columns, problem, split and base; InputError where source, problem or base cannot be, or where no column fits."""
    from tasks.data.proposal.sample import read_sample
    from tasks.data.sources.source_files import faults_naming

    among = _candidates(request.problem)
    base = given_base(request.base) if request.base else None
    with faults_naming("--data"):
        sample = read_sample(request.source)
    findings = _study_sample(request, sample, among, base, home)
    facts, defaults = findings.choice.candidate.facts, findings.choice.candidate.defaults.get("model", {})
    length = defaults.get("max_length", Model.model_fields["max_length"].default)
    network = propose_base(facts, base, findings.trial.frames, int(str(length)))
    lacking = _share_lacking(findings.trial.frames, answers_are_texts=facts.writes_text)
    settings, comments = describe_config(request, findings, network, lacking)
    return Proposal(
        settings=settings,
        comments=comments,
        reason=findings.choice.reason,
        other_problems=findings.others,
        other_columns=findings.choice.others,
        rows=sample.rows,
        is_whole=sample.is_whole,
        frames=findings.trial.frames,
        needed=network.needed,
        fault=findings.trial.fault,
    )


def _candidates(problem: str | None) -> tuple[ProblemCandidate, ...]:
    """All problems, or the one that is named; InputError, with the nearest name, where it is none."""
    from tasks.data.proposal.choose import candidates

    every = candidates()
    if problem is None:
        return every
    names = [candidate.name for candidate in every]
    if problem not in names:
        suggestion = meant_name(problem, names, cutoff=0.4)
        raise InputError(f"--problem {problem}: is no problem: {suggestion}write one of {', '.join(names)}")
    return tuple(candidate for candidate in every if candidate.name == problem)


def _study_sample(
    request: Request, sample: RowSample, among: tuple[ProblemCandidate, ...], base: Base | None, home: Home
) -> ProposalFindings:
    from tasks.data.proposal.choose import choose_row_columns, with_context_group
    from tasks.data.proposal.column_facts import describe_columns
    from tasks.data.proposal.trial import try_splits

    columns = describe_columns(sample)
    _refuse_missing_header(sample, columns)
    choice, others = _choose_problem(request, columns, among, base)
    rows = with_context_group(choose_row_columns(columns, [column.name for column in choice.columns.values()]), choice)
    column_names = {setting: column.name for setting, column in choice.columns.items()}
    return ProposalFindings(sample, choice, others, rows, try_splits(sample, column_names, rows, choice.candidate.name, home.path))


def _choose_problem(
    request: Request, columns: Sequence[ColumnFacts], among: tuple[ProblemCandidate, ...], base: Base | None
) -> tuple[ProblemChoice, tuple[str, ...]]:
    """The problem that fits the columns, and others that do; where none is named, of those that a given base can learn."""
    from tasks.data.proposal.choose import NEARLY, choose_problem
    from tasks.data.proposal.roles import roles_of

    suiting = [candidate for candidate in among if base is None or request.problem or suits_base(candidate.facts, base)]
    chosen, other = choose_problem(columns, suiting), choose_problem(columns, among)
    if not any(roles_of(candidate.facts) for candidate in among):
        raise InputError(f"--problem {request.problem}: its columns cannot be proposed: write the YAML by hand, see README.md")
    if other is None:
        raise _no_column_fits(request, columns, among)
    if chosen is not None and chosen[0].score >= NEARLY * other[0].score:
        return chosen
    kind = base_kind(other[0].candidate.facts)
    raise InputError(
        f"--base {request.base}: the columns of {request.source} fit {other[0].candidate.name} ({other[0].reason}), which starts "
        f"from {kind}: name such a base, or leave --base out; or name the problem that is meant by --problem"
    )


def _refuse_missing_header(sample: RowSample, columns: Sequence[ColumnFacts]) -> None:
    """Refuse a table whose first line is a row: its cells would be taken for names, and one row would be lost."""
    odd = [column for column in columns if column.names_itself or is_odd_name(column.name)]
    if sample.files[0].format in ("csv", "xlsx") and 2 * len(odd) > len(columns):
        raise InputError(
            f"{sample.files[0].path}: its first line seems to be a row and no header ({len(odd)} of {len(columns)} names are "
            "numbers, sentences, or values of their own column): write the columns' names in a line above it, such as text,label"
        )


def _no_column_fits(request: Request, columns: Sequence[ColumnFacts], among: Sequence[ProblemCandidate]) -> InputError:
    from tasks.data.proposal.choose import LEAST
    from tasks.data.proposal.roles import roles_of

    columns_text = "; ".join(f"`{shown_name(column.name)}` {describe_column(column)}" for column in columns[:MOST_LISTED])
    more = f"; and {len(columns) - MOST_LISTED} more" if len(columns) > MOST_LISTED else ""
    wanted_problem = "any problem" if request.problem is None else request.problem
    lacking = [f"data.{role.setting}" for role in roles_of(among[0].facts) if max(map(role.fits, columns), default=0) < LEAST]
    lacking_text = f" (none for {', '.join(lacking)})" if request.problem and lacking else ""
    other = "name another problem by --problem, " if request.problem else ""
    return InputError(
        f"--data {request.source}: its columns do not fit {wanted_problem}{lacking_text}: {columns_text}{more}: {other}name "
        "a source with a column that is read and one that is to be answered, or write the YAML by hand from one in configs/"
    )


def _share_lacking(frames: Iterable[pd.DataFrame], *, answers_are_texts: bool) -> float:
    """The share of rows that the contract sets aside: without text or target, or with one that says nothing."""
    from expectations.measures import says_something

    rows = lacking = 0
    for frame in frames:
        bad = frame["text"].isna() | frame["target"].isna()
        for column in ("text", "target") if answers_are_texts else ("text",):
            bad |= ~frame[column].fillna("").map(says_something).astype(bool)
        rows, lacking = rows + len(frame), lacking + int(bad.sum())
    return lacking / max(1, rows)
