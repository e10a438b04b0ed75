"""Suites as their users write them: Great Expectations' own JSON, with what Tunekeeper adds in each expectation's `meta`.

`meta.action`: "warn", "quarantine" (the failing rows) or "stop"; without it `severity` decides: critical stops, others warn.
`meta.stages`: where it is checked, of "raw" (as loaded) and "prepared" (redacted, deduplicated, split); without it in both.
`meta.sample`: check at most so many rows of each chunk, evenly spread: for what is slow.
`meta.notes`: the expectation in plain words, for people. The suite's own `meta.free_text` names columns never to be shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from configs.errors import InputError
from expectations.types import Action, Context, Stage

ACTIONS: tuple[Action, ...] = get_args(Action)
STAGES: tuple[Stage, ...] = get_args(Stage)
SEVERITY: Mapping[Action, str] = {"warn": "warning", "quarantine": "warning", "stop": "critical"}


@dataclass(frozen=True)
class Check:
    """One expectation of one suite, still unknown to Great Expectations; `where` names it in messages."""

    suite: str
    where: str
    type: str
    kwargs: Mapping[str, Any]
    words: str
    action: Action
    stages: tuple[Stage, ...]
    sample: int | None

    @property
    def column(self) -> str | None:
        name = self.kwargs.get("column", self.kwargs.get("column_A"))
        return None if name is None else str(name)


@dataclass(frozen=True)
class Suite:
    name: str
    checks: tuple[Check, ...]
    free_text: frozenset[str]


def read_suite(path: Path) -> Suite:
    """The suite in a file.

    Raises:
        InputError: no file, no JSON, not a suite, or an unknown action, stage or sample; names file, place and remedy.
    """
    content = _read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("expectations"), list):
        raise InputError(
            f"{path} is no suite: it needs a JSON object with a list `expectations`; `tunekeeper draft-contract` writes one"
        )
    name = str(content.get("name") or path.stem)
    meta = content.get("meta")
    free_text = meta.get("free_text", []) if isinstance(meta, dict) else []
    checks = tuple(_parse_check(name, f"{path}, expectation {n}", entry) for n, entry in enumerate(content["expectations"], 1))
    return Suite(name, checks, frozenset(map(str, free_text)))


def spell_labels(check: Check, context: Context) -> Check:
    """A check with the labels that it lists spelled as the data's are; one that lists none stays as it is."""
    listed = check.kwargs.get("value_set")
    if context.label is None or check.column != "target" or not isinstance(listed, list):
        return check
    labels = [label for label in map(context.label, listed) if label is not None]
    return replace(check, kwargs={**check.kwargs, "value_set": list(dict.fromkeys(labels))})


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"no suite at {path}: correct contract.suite, or draft one with `tunekeeper draft-contract`") from None
    except (IsADirectoryError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no suite ({error}): name a JSON file in UTF-8") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply: a suite is a few levels deep; write it again") from None
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path} is no valid JSON: {error.msg} at line {error.lineno}, column {error.colno}; mend it there"
        ) from None


def _parse_check(suite: str, where: str, entry: object) -> Check:
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str) or not isinstance(entry.get("kwargs", {}), dict):
        raise InputError(f"{where} is no expectation: it needs a `type` such as expect_column_values_to_not_be_null, and `kwargs`")
    meta = entry.get("meta") or {}
    if not isinstance(meta, dict):
        raise InputError(f"{where}: `meta` is {meta!r}: make it an object with `action` and `notes`")
    kwargs = entry.get("kwargs", {})
    _check_patterns(where, kwargs)
    return Check(
        suite, f"{where} ({entry['type']})", entry["type"], kwargs, _check_words(entry["type"], kwargs, meta.get("notes")),
        _read_action(where, entry, meta), _read_stages(where, meta), _read_sample_size(where, meta),
    )  # fmt: skip


def _check_patterns(where: str, kwargs: Mapping[str, Any]) -> None:
    """Refuse a pattern that does not compile here, where its file is known: it would fail on every chunk."""
    for pattern in [kwargs.get("regex"), *(kwargs.get("regex_list") or [])]:
        if isinstance(pattern, str):
            try:
                re.compile(pattern)
            except re.error as error:
                raise InputError(f"{where}: {pattern!r} is no regular expression ({error}): correct it in the suite") from None


def _read_action(where: str, entry: Mapping[str, object], meta: Mapping[str, object]) -> Action:
    value = meta.get("action", "stop" if entry.get("severity") == "critical" else "warn")
    for action in ACTIONS:
        if value == action:
            return action
    raise InputError(f"{where}: meta.action is {value!r}: use one of {', '.join(ACTIONS)}")


def _read_stages(where: str, meta: Mapping[str, object]) -> tuple[Stage, ...]:
    stages = meta.get("stages", list(STAGES))
    if not isinstance(stages, list) or not stages or not set(stages) <= set(STAGES):
        raise InputError(f"{where}: meta.stages is {stages!r}: use a list of {', '.join(STAGES)}, or leave it out for both")
    return tuple(s for s in STAGES if s in stages)


def _read_sample_size(where: str, meta: Mapping[str, object]) -> int | None:
    size = meta.get("sample")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise InputError(f"{where}: meta.sample is {size!r}: use a whole number of rows per chunk, or leave it out to check all")
    return size


def _check_words(type_: str, kwargs: Mapping[str, object], notes: object) -> str:
    """What a person reads: the author's notes, else the type's own words with its column."""
    if isinstance(notes, Mapping):
        notes = notes.get("content")
    if isinstance(notes, Sequence) and not isinstance(notes, str):
        notes = " ".join(map(str, notes))
    if isinstance(notes, str) and notes.strip():
        return notes.strip()
    plain = type_.removeprefix("expect_").removeprefix("column_").replace("_", " ")
    column = kwargs.get("column")
    return f"{column}: {plain}" if column else plain
