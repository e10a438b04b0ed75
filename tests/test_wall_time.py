"""No test asserts a wall time: on a busy machine it is red for no fault. It counts instead (`counting.calls`), or orders events.

A deadline that ends a hung test may stay: it is called `deadline`. The walls are found by a walk over every assertion.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "process_time_ns", "thread_time"}
DURATIONS = {"seconds", "waited", "elapsed", "duration", "took"}


def reads_a_clock(node: ast.AST) -> bool:
    calls = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
    return any((func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")) in CLOCKS for func in calls)


def clock_names(function: ast.AST) -> set[str]:
    """Names that hold readings of a clock, or what was reckoned from them."""
    names: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and (reads_a_clock(node.value) or names & loaded(node.value)):
            names |= {part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)}
        elif isinstance(node, ast.Call) and called_append(node) and any(reads_a_clock(part) for part in node.args):
            names |= loaded(node.func)
    return names - {"deadline"}


def called_append(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "append"


def loaded(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def bounds_a_duration(node: ast.AST) -> bool:
    """Whether something that is called seconds, or alike, is held against a number by < or >."""
    for part in ast.walk(node):
        if isinstance(part, ast.Compare) and any(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in part.ops):
            sides = [part.left, *part.comparators]
            numbers = any(isinstance(side, ast.Constant) and isinstance(side.value, int | float) and side.value for side in sides)
            if numbers and any(called_duration(side) for side in sides):
                return True
    return False


def called_duration(side: ast.expr) -> bool:
    if isinstance(side, ast.Attribute):
        return side.attr in DURATIONS
    return isinstance(side, ast.Subscript) and isinstance(side.slice, ast.Constant) and side.slice.value in DURATIONS


def wall_times(source: str) -> Iterator[int]:
    """The lines of assertions on how long something took."""
    for function in [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]:
        names = clock_names(function)
        for node in ast.walk(function):
            if not isinstance(node, ast.Assert) or "deadline" in loaded(node.test):
                continue
            if reads_a_clock(node.test) or names & loaded(node.test) or bounds_a_duration(node.test):
                yield node.lineno


def test_no_test_asserts_a_wall_time() -> None:
    breaches = [f"{file}:{line}" for file in sorted(TESTS.rglob("*.py")) for line in sorted(set(wall_times(file.read_text())))]
    assert not breaches, "count calls or order events instead:\n" + "\n".join(breaches)


@pytest.mark.parametrize(
    "body",
    [
        "began = time.monotonic(); work(); assert time.monotonic() - began < 2",
        "began = perf_counter(); work(); spent = perf_counter() - began; assert spent < 2",
        "said, began = [], time.monotonic(); assert 0.4 < time.monotonic() - began < 5",
        "spent = []; spent.append(time.perf_counter() - 1); assert min(spent) < 0.05",
        "assert fitted.seconds < 15",
        "assert found['seconds'] < 5 and found['ok']",
        "assert held.waited < 2",
    ],
)
def test_an_assertion_on_a_wall_time_is_seen(body: str) -> None:
    assert list(wall_times(f"def test_it():\n    {body}")) == [2]


@pytest.mark.parametrize(
    "body",
    [
        "deadline = time.monotonic() + 60; assert time.monotonic() < deadline",
        "assert report['seconds'] == there['seconds']",
        "assert TICK_SECONDS < 1",
        "now = 3; assert now < 5",
        "assert trained.seconds > 0",
    ],
)
def test_what_a_test_may_say_of_time_is_no_breach(body: str) -> None:
    assert list(wall_times(f"def test_it():\n    {body}")) == []
