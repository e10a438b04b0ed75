"""The columns of a source that are read, and their canonical names."""

from __future__ import annotations

from configs.schema import Data, GivenSplit, ProblemName, facts_of

INDICATOR = "target of "  # begins the canonical name of a column that says whether a label applies


def wanted_columns(data: Data, problem: ProblemName) -> dict[str, str]:
    """Canonical name -> the source's column, for all that the config names (the split column apart)."""
    facts = facts_of(problem)
    target = data.tags or getattr(data, facts.target_column) or facts.target_column
    targets = {"target": target} if isinstance(target, str) else {f"{INDICATOR}{name}": name for name in target}
    targets = {} if facts.pairs_belong else targets
    others = {"rejected": data.rejected or data.negative, "text_pair": getattr(data, facts.pair_column), "thumb": data.thumb}
    names = {"text": input_column(data, problem), **targets, **others}
    if data.messages is not None:
        names = {"messages": data.messages, "rejected": data.rejected, "thumb": data.thumb}
    names |= {"id": data.id, "time": data.time, "group": data.group}
    return {k: v for k, v in names.items() if v is not None} | {f"slice_{name}": name for name in data.all_slices}


def input_column(data: Data, problem: ProblemName) -> str:
    """The source's column that is read."""
    column: str = data.words or getattr(data, facts_of(problem).input_column)
    return column


def split_column(data: Data) -> str | None:
    """The column that holds each row's split, where the source gives it."""
    return data.split.column if isinstance(data.split, GivenSplit) and data.test is None else None


def source_columns(data: Data, problem: ProblemName) -> tuple[str, ...]:
    """All columns that are read, each once."""
    split = split_column(data)
    return tuple(dict.fromkeys([*wanted_columns(data, problem).values(), *([split] if split else [])]))
