"""What every message of the project may not advise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("configs", "expectations", "tasks", "flows", "infra")
LOSING = re.compile(r"\b(delete|remove|erase|wipe|rm -r\w*|unlink)\s+(it|this|that|them|these|those|the|all|\{)", re.IGNORECASE)


def _messages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every string of the code that is no docstring, the fixed parts of a formatted one joined."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and _is_text(node.body[:1])}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(part.value) if isinstance(part, ast.Constant) else "{" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def _is_text(body: list[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)


def _advice_to_lose(code: str) -> list[tuple[int, str]]:
    return [(line, text) for line, text in _messages(ast.parse(code)) if LOSING.search(text)]


def test_no_remedy_advises_to_delete_what_may_be_the_only_copy() -> None:
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    found = [(file.relative_to(ROOT), *one) for file in files for one in _advice_to_lose(file.read_text(encoding="utf-8"))]
    assert len(files) > 100 and found == []


@pytest.mark.parametrize(
    "message", ['"roll back or delete it"', 'f"{path} is damaged: remove {path}, then run again"', '"a: " "Delete\\nthe run"']
)
def test_such_advice_would_be_seen(message: str) -> None:
    assert _advice_to_lose(f'def f(path):\n    """Delete it."""\n    raise ValueError({message})')
