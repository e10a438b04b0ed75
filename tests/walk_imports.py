"""Reads the modules of a checkout without running them: what each imports, where, and what of it runs when the module is loaded."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Module:
    name: str
    path: str
    tree: ast.Module


@dataclass(frozen=True)
class Import:
    target: str
    line: int
    at_load: bool


def modules_in(root: Path, packages: Sequence[str]) -> list[Module]:
    """Every module below `root`, named by its dots, a package's own file as `package.__init__`."""
    found = []
    for file in sorted(path for package in packages for path in (root / package).rglob("*.py")):
        path = file.relative_to(root)
        found.append(
            Module(".".join(path.with_suffix("").parts), path.as_posix(), ast.parse(file.read_text(encoding="utf-8"), path))
        )
    return found


def imports_of(module: Module, known: set[str]) -> Iterator[Import]:
    """Every import, wherever it stands, resolved to the module it loads."""
    loading = set(map(id, run_at_load(module.tree)))
    for node in ast.walk(module.tree):
        targets: list[str] = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            here = module.name.split(".")[: -node.level] if node.level else []
            base = ".".join([*here, *([node.module] if node.module else [])])
            targets = [full if (full := f"{base}.{a.name}") in known or f"{full}.__init__" in known else base for a in node.names]
        elif isinstance(node, ast.Call) and called(node) in {"import_module", "__import__"} and node.args:
            first = node.args[0]
            targets = [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
        else:
            continue
        yield from (Import(target, node.lineno, id(node) in loading) for target in dict.fromkeys(targets))


def run_at_load(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is loaded: not the bodies of functions, nor what is there for the type checker only."""
    for child in ast.iter_child_nodes(node):
        if is_type_guard(child):
            continue
        yield child
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in (*child.decorator_list, *child.args.defaults, *filter(None, child.args.kw_defaults)):
                yield part
                yield from run_at_load(part)
        elif not isinstance(child, ast.Lambda) and not is_main_guard(child):
            yield from run_at_load(child)


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def is_type_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def is_main_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def loaded_by(target: str, known: set[str]) -> set[str]:
    """The files of ours that importing `target` runs: its own and those of the packages above it."""
    parts = target.split(".")
    above = {".".join([*parts[:i], "__init__"]) for i in range(1, len(parts) + 1)}
    return (above | {target}) & known
