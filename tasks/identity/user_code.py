"""The files of a function that a user brings: its own, and those of the user's folder that it imports, however deep."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

MOST_FILES = 500


def function_place(function: str) -> tuple[Path, Path]:
    """The file of `package.module:function` or `file.py:function`, and the folder that its imports are looked for in."""
    place = function.rpartition(":")[0]
    if place.endswith(".py"):
        file = Path(place).expanduser().absolute()
        return file, file.parent
    root = Path.cwd()
    return _module_file(root, place) or root.joinpath(*place.split(".")).with_suffix(".py"), root


def function_files(function: str) -> list[Path]:
    """The files whose change can change what a function gives, in order; those alone that are there."""
    first, root = function_place(function)
    waiting, files = [first], set[Path]()
    while waiting and len(files) < MOST_FILES:
        file = waiting.pop()
        if file in files or not file.is_file():
            continue
        files.add(file)
        waiting += _imported_files(file, root)
    return sorted(files)


def _imported_files(file: Path, root: Path) -> Iterator[Path]:
    """The files below a folder that a file imports, and the packages' own files on the way there."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return
    for node in ast.walk(tree):
        for base, module in _modules_of(node, file, root):
            parts = module.split(".") if module else []
            for end in range(1, len(parts) + 1):
                if (part := _module_file(base, ".".join(parts[:end]))) is not None:
                    yield part


def _modules_of(node: ast.AST, file: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """The modules that a statement imports, each with the folder that it is looked for in."""
    if isinstance(node, ast.Import):
        yield from ((root, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = file.parents[node.level - 1] if node.level else root
        start = f"{node.module}." if node.module else ""
        yield from ((base, start + alias.name) for alias in node.names)


def _module_file(root: Path, module: str) -> Path | None:
    place = root.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
