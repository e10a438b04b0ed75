"""What a pipeline uses of problems, objectives and adapters, among all that it could have used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from configs import schema


@dataclass(frozen=True)
class Choice:
    """Names of what a pipeline uses, and of all that it could have used: problems by name, settings by their class."""

    chosen: frozenset[str]
    possible: frozenset[str]

    def drops(self, names: set[str]) -> bool:
        """Whether these name a choice that was not made."""
        return bool(names & self.possible) and not names & self.chosen


def choice_of(pipeline: schema.Pipeline) -> Choice:
    """What a pipeline uses of problems, objectives and adapters."""
    chosen = {pipeline.problem, type(pipeline.adapter).__name__, *(type(stage).__name__ for stage in pipeline.objectives)}
    possible = {*get_args(schema.ProblemName), *_class_names(schema.Adapter), *(kind.__name__ for kind in schema.OBJECTIVES)}
    return Choice(frozenset(chosen), frozenset(possible))


def _class_names(union: object) -> set[str]:
    """The class names of a union of settings, annotated or not, or of one class."""
    members = get_args(union)
    if not members:
        return {union.__name__} if isinstance(union, type) else set()
    return {name for member in members for name in _class_names(member)}
