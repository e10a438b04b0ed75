"""Great Expectations itself: imported here and in what this module imports, on the first validation and not before."""

from __future__ import annotations

import difflib
import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, SupportsInt

import pandas as pd

from configs.errors import InputError
from expectations.suites import SEVERITY, Check
from expectations.types import Context

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult

Scope = Literal["chunk", "whole"]
# Row by row in form, but a row's verdict depends on the others.
_WHOLE_MAPS = frozenset({
    "expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique", "expect_column_value_z_scores_to_be_less_than",
    "expect_column_values_to_be_increasing", "expect_column_values_to_be_decreasing",
})  # fmt: skip
# About the table's form, which a chunk shows and a summary changes.
_FORM = ("expect_column_to_exist", "expect_table_column_count_", "expect_table_columns_")
_MAPS = frozenset({"ColumnMapExpectation", "ColumnPairMapExpectation", "MulticolumnMapExpectation"})


@dataclass(frozen=True)
class CheckResult:
    """One expectation's result on one frame; `failing` holds the index labels of the rows that fail, `observed` a number or so."""

    success: bool
    checked: int
    failing: tuple[int, ...]
    is_rows: bool
    observed: object
    details: str | None
    error: str | None


class Engine:
    """A quiet context that lives in memory, with our expectations registered."""

    def __init__(self) -> None:
        self._gx = _import_library()
        context = self._gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("records").add_dataframe_asset("frame")
        self._batches = asset.add_batch_definition_whole_dataframe("whole")

    def find(self, frame: pd.DataFrame, checks: Mapping[int, Check]) -> dict[int, CheckResult]:
        """Evaluates checks on one frame, whose index names its rows; keyed as given."""
        if not checks:
            return {}
        configurations = [_configuration(c, {"check": n}) for n, c in checks.items()]
        suite = self._gx.ExpectationSuite(name="checks", expectations=configurations)
        batch = self._batches.get_batch({"dataframe": frame})
        answer = batch.validate(suite, result_format={"result_format": "COMPLETE"})
        return {r.expectation_config.meta["check"]: _read_result(r, len(frame)) for r in answer.results}


@contextmanager
def visible_context(context: Context) -> Iterator[None]:
    """Makes the context visible to our metrics, which receive nothing but JSON."""
    from expectations.custom import COMPARED

    token = COMPARED.set(context)
    try:
        yield
    finally:
        COMPARED.reset(token)


def check_scope(check: Check) -> Scope:
    """Whether chunks can be judged one by one, or only all rows together.

    Raises:
        InputError: no expectation of this type exists, its arguments are wrong, or it is to quarantine but names no rows.
    """
    implementation = implementation_of(check)
    try:
        implementation(**check.kwargs)
    except (ValueError, TypeError) as error:
        raise InputError(f"{check.where}: its `kwargs` are refused: {_first_line(error)}; correct them in the suite") from None
    is_map = any(base.__name__ in _MAPS for base in implementation.__mro__)
    if check.action == "quarantine" and not is_map:
        raise InputError(f"{check.where}: it judges the whole, so it names no rows to quarantine: set meta.action to warn or stop")
    if check.sample is not None and not is_map:
        raise InputError(f"{check.where}: it judges the whole, so meta.sample has no meaning: leave it out")
    if check.type in _WHOLE_MAPS or getattr(implementation, "whole", False):
        return "whole"
    return "chunk" if is_map or check.type.startswith(_FORM) else "whole"


def implementation_of(check: Check) -> Any:
    """The expectation's class, or an InputError that offers the nearest name."""
    from great_expectations.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import get_expectation_impl, list_registered_expectation_implementations

    try:
        return get_expectation_impl(check.type)
    except ExpectationNotFoundError:
        near = difflib.get_close_matches(check.type, list_registered_expectation_implementations(), n=1)
        remedy = f"did you mean {near[0]}?" if near else "names are as in expect_column_values_to_not_be_null"
        raise InputError(f"{check.where}: there is no such expectation; {remedy}") from None


def missing_context(check: Check, context: Context) -> str | None:
    """The part of the context that an expectation needs and that is missing, if any."""
    for part, stand_in in getattr(implementation_of(check), "needs", {}).items():
        if getattr(context, part) is None and check.kwargs.get(stand_in) is None:
            return str(part)
    return None


def counted_columns(checks: Sequence[Check]) -> set[str]:
    """Columns whose words an expectation wants counted."""
    return {c.column for c in checks if c.column and getattr(implementation_of(c), "counts_words", False)}


def _import_library() -> Any:
    """Imports with the garbage collector paused: a million objects are made and none is garbage (1.6 s become 1.0)."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    was_on = gc.isenabled()
    gc.disable()
    try:
        import great_expectations

        import expectations.custom  # noqa: F401  # registers our own
    finally:
        if was_on:
            gc.enable()
    return great_expectations


def _configuration(check: Check, meta: Mapping[str, object]) -> dict[str, object]:
    return {"type": check.type, "kwargs": dict(check.kwargs), "meta": dict(meta), "severity": SEVERITY[check.action]}


def _read_result(result: ExpectationValidationResult, rows: int) -> CheckResult:
    error = _error_text(result.exception_info, result.expectation_config.kwargs)
    values = result.result or {}
    is_rows = "element_count" in values
    checked = values["element_count"] - (values.get("missing_count") or 0) if is_rows else rows
    failing = tuple(_index_label(entry) for entry in values.get("unexpected_index_list") or ())
    details = values.get("details")
    return CheckResult(
        bool(result.success),
        checked,
        failing,
        is_rows,
        values.get("observed_value"),
        details if isinstance(details, str) else None,
        error,
    )


def _index_label(entry: SupportsInt) -> int:
    return int(entry)


def _error_text(info: Mapping[str, Any], kwargs: Mapping[str, Any]) -> str | None:
    """Why it could not be computed: the kind of error alone, as its message may quote a record."""
    entries = [info] if "raised_exception" in info else list(info.values())
    for entry in entries:
        if entry.get("raised_exception"):
            message, trace = str(entry.get("exception_message")), str(entry.get("exception_traceback"))
            return _missing_column_text(message, kwargs) or f"it could not be computed ({_error_kind(trace)})"
    return None


def _missing_column_text(message: str, kwargs: Mapping[str, Any]) -> str | None:
    columns = [v for k, v in kwargs.items() if k.startswith("column") and isinstance(v, str)]
    for column in [*columns, *kwargs.get("column_list", [])]:
        if "does not exist" in message and f'"{column}"' in message:
            return f"there is no column `{column}`"
    return None


def _error_kind(trace: str) -> str:
    """The name of the first error of a chain: Great Expectations wraps it in its own."""
    ends = [line.split(":")[0].strip() for line in trace.splitlines() if line and not line[0].isspace() and ":" in line]
    kinds = [e.rsplit(".", 1)[-1] for e in ends if e.endswith(("Error", "Exception"))]
    return kinds[0] if kinds else "unknown error"


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[1:3]) if len(lines) > 1 else "".join(lines)
