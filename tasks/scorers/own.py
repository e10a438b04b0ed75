"""Scorers of the user's own: loaded by import path or file, tried before anything is trained, and asked for a number a row.

They are the user's code, executed with the user's rights and in this process, as if the user ran them: what they may do is what the
user may do. Only functions that the config names are loaded.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from configs.errors import InputError
from configs.schema import Scorer
from tasks.identity.user_code import function_place

# As the problem answers: a label, a number, labels, spans (start, end, label), texts that stand in the input, or a text.
Answer = str | float | list[str] | list[tuple[int, int, str]]


@dataclass(frozen=True)
class ScoredTexts:
    """Rows that a scorer is asked about: answers, what they should have been, and what was read, redacted."""

    predictions: Sequence[Answer]
    targets: Sequence[Answer]
    inputs: Sequence[str]


def run_scorer(setting: str, scorer: Scorer, rows: ScoredTexts) -> list[float]:
    """A finite number a row; InputError, with setting and function, for anything else and for whatever it raises."""
    place = f"{setting} ({scorer.function})"
    function = _load_function(place, scorer.function)
    arguments = (list(rows.predictions), list(rows.targets), list(rows.inputs))
    try:
        scores = list(function(*arguments[: _inputs_read(function)]))
    except Exception as error:
        raise InputError(f"{place}: raises {type(error).__name__}{_line_of(error, scorer.function)}: correct it") from error
    if len(scores) != len(rows.predictions):
        raise InputError(
            f"{place}: gives {len(scores):,} numbers for {len(rows.predictions):,} rows: return one for each, in order"
        )
    return [_finite_number(place, row, score) for row, score in enumerate(scores)]


def _finite_number(place: str, row: int, score: Any) -> float:
    try:
        number = float(score)
    except (TypeError, ValueError):
        raise InputError(f"{place}: gives a {type(score).__name__} for row {row + 1}: return numbers") from None
    if not math.isfinite(number):
        raise InputError(f"{place}: gives {number} for row {row + 1}: return finite numbers")
    return number


def _inputs_read(function: Callable[..., Any]) -> int:
    """How many of predictions, targets and inputs a function takes: two, or all three."""
    kinds = inspect.Parameter
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind == kinds.VAR_POSITIONAL for parameter in parameters):
        return 3
    return min(3, sum(each.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD) for each in parameters))


def _load_function(place: str, function: str) -> Callable[..., Any]:
    path, name = function.rpartition(":")[::2]
    file, root = function_place(function)
    try:
        with _import_folder(root):
            module = _load_file(file) if path.endswith(".py") else importlib.import_module(path)
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{place}: cannot be imported ({type(error).__name__}{_line_of(error, function)}): correct its path, or the file"
        ) from error
    found = getattr(module, name, None)
    if not callable(found):
        raise InputError(f"{place}: {path} has no function `{name}`: correct the name behind the colon")
    loaded: Callable[..., Any] = found
    return loaded


def _load_file(file: Path) -> ModuleType:
    """A file as a module of its own name, which no other module has."""
    name = f"scorer_{sha256(str(file).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise FileNotFoundError(file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def _import_folder(folder: Path) -> Iterator[None]:
    """A folder as the first in which modules are looked for."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _line_of(error: BaseException, function: str) -> str:
    """Where in the user's file an error arose; its words, which may repeat a text, are left out."""
    file = function_place(function)[0]
    at, line = error.__traceback__, None
    while at is not None:
        if at.tb_frame.f_code.co_filename == str(file):
            line = at.tb_lineno
        at = at.tb_next
    return f" at {file.name} line {line}" if line is not None else ""
