"""Reads the modules of a checkout without running them: what each imports, where, and what of it runs when the module is loaded."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from configs import schema

CHOICES = {*get_args(schema.ProblemName), *(kind.model_fields["kind"].default for kind in schema.OBJECTIVES)}
THEIR_OWN = ("tasks.problems", "tasks.learning.objectives", "configs.schema")  # where problems and objectives are named


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


def choices_named(modules: list[Module]) -> Iterator[tuple[Module, int, str]]:
    """Module, line and name of each place that names a problem or an objective outside their own packages and the settings."""
    for module in modules:
        if not any(module.name == own or module.name.startswith(f"{own}.") for own in THEIR_OWN):
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Constant) and node.value in CHOICES:
                    yield module, node.lineno, str(node.value)


def circles(modules: list[Module]) -> list[list[str]]:
    """Groups of modules that import one another when they are loaded, by Tarjan's strongly connected components (1972).

    A package's own file, which gathers the names of its modules, makes no circle with them.
    """
    modules = [module for module in modules if not module.name.endswith("__init__")]
    known = {module.name for module in modules}
    edges = {
        module.name: sorted({name for each in imports_of(module, known) if each.at_load for name in loaded_by(each.target, known)})
        for module in modules
    }
    order: dict[str, int] = {}
    low: dict[str, int] = defaultdict(int)
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in edges[name]:
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(group)

    for name in edges:
        if name not in order:
            visit(name)
    return found
