"""Writes what was found of a source as the settings of a config, and as comments on them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.data.sources.chunk import shown_name
from tasks.proposed_base import ProposedBase

if TYPE_CHECKING:
    from tasks.data.proposal.choose import ProblemChoice, RowColumns
    from tasks.data.proposal.sample import RowSample
    from tasks.data.proposal.trial import Trial

STOP = 0.05  # the share of rows that a contract lets go by itself
TEST_NAMES = (("training", "test"), ("train", "test"))  # parts of the names of files that lie side by side


@dataclass(frozen=True)
class Request:
    """What `tunekeeper init` is asked: a name, what data.source may be, and a problem and a base where they are given."""

    name: str
    source: str
    problem: str | None
    base: str | None


@dataclass(frozen=True)
class ProposalFindings:
    """What was seen of a source, and what was chosen for it; the last trial is the one that is taken."""

    sample: RowSample
    choice: ProblemChoice
    others: tuple[str, ...]
    rows: RowColumns
    trials: tuple[Trial, ...]

    @property
    def trial(self) -> Trial:
        return self.trials[-1]


def describe_config(
    request: Request, found: ProposalFindings, network: ProposedBase, lacking: float
) -> tuple[dict[str, Any], dict[str, str]]:
    """The config as plain values, and comments by dotted path; `lacking` is the share of rows without a text or an answer."""
    settings, comments = _settings(request, found, network, lacking), _comments(request, found, network, lacking)
    return settings, {path: text for path, text in comments.items() if text and _is_set(settings, path)}


def _settings(request: Request, found: ProposalFindings, network: ProposedBase, lacking: float) -> dict[str, Any]:
    """The config as plain values; without rows that could be read there is no contract."""
    names = [value for value in found.trial.settings.values() if isinstance(value, str)]
    sign = found.sample.separator_to_name(names)
    separator = {"separator": sign} if sign else {}
    aside = {"max_quarantined": math.ceil(22 * lacking) / 20} if lacking > STOP else {}
    return {
        "name": request.name,
        "problem": found.choice.candidate.name,
        "data": {"source": request.source, **separator, **found.trial.settings},
        "model": network.settings,
        "contract": {**({"suite": f"{request.name}.contract.json"} if found.trial.frames else {}), **aside},
    }


def _comments(request: Request, found: ProposalFindings, network: ProposedBase, lacking: float) -> dict[str, str]:
    """What people read beside the settings, by dotted path."""
    rounded = found.rows.rounded_id
    notes = [] if found.sample.is_whole else [f"the first {found.sample.rows:,} rows were looked at"]
    notes += [f"`{shown_name(rounded)}` is no id: it was written as a float, which loses digits"] if rounded else []
    others = {f"data.{setting}": f"or: {_listed(names)}" for setting, names in found.choice.others.items()}
    guess = "a weak guess: " if found.choice.is_weak else ""
    reason = "; or: ".join([f"{guess}{found.choice.reason}", *([", ".join(found.others)] if found.others else [])])
    return {
        "problem": reason,
        "data.source": "; ".join(notes),
        **others,
        "data.group": "rows of one value stay in one split, and count as one in tests",
        "data.split": _split_comment(request, found),
        **{f"model.{name}": text for name, text in network.comments.items()},
        "contract.suite": "drafted from these rows: read and edit it",
        "contract.max_quarantined": f"{100 * lacking:.0f} % of the rows lack a text or an answer",
    }


def _is_set(settings: Mapping[str, Any], path: str) -> bool:
    """Whether a config has the setting of a dotted path."""
    section, _, name = path.partition(".")
    return not name or name in settings[section]


def _split_comment(request: Request, found: ProposalFindings) -> str:
    rejected = found.trials[:-1]
    if rejected:
        by = rejected[0].settings["split"]
        way = by["by"] if isinstance(by, dict) else by
        left = f"only {100 * rejected[0].kept:.0f} % of the rows would be left" if rejected[0].fault is None else "a run would stop"
        return f"by {way} {left}"
    if found.rows.foreign_time and not found.rows.time:
        return f"or by time, with `{shown_name(found.rows.foreign_time)}` in ISO 8601, as 2026-01-31"
    split = found.trial.settings["split"]
    way = split["by"] if isinstance(split, dict) else split
    if way == "given":
        return "as that column says"
    test, by_time = _test_file(request.source), way == "time"
    notes = ["the newest fifth of the rows is tested on"] if by_time else []
    notes += [f"or {{by: given}}, with data.test: {test}"] if test else []
    return "; ".join([*notes, *(["or {by: hash}"] if by_time and not test else [])])


def _test_file(source: str) -> str | None:
    """The file of test rows that lies beside one of training rows."""
    path = Path(source)
    for own, other in TEST_NAMES:
        beside = path.with_name(path.name.replace(own, other)) if own in path.name and "://" not in source else path
        if beside != path and beside.is_file():
            return str(beside)
    return None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(shown_name, names))
